//! Evaluations by the real SDKs, reproduced.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use portcullis::domain::time::Timestamp;
use portcullis::domain::user::User;
use portcullis::engine::compile::compile;
use portcullis::engine::evaluate::{Decision, Entity, evaluate};
use portcullis::engine::form::{IdList, Ruleset};
use portcullis::engine::snapshot::Snapshot;
use portcullis::transport::http::statsig::initialize::initialize;
use portcullis::transport::http::statsig::read::read;
use portcullis::transport::http::statsig::scope::Scoped;
use portcullis::transport::http::statsig::user::StatsigUser;
use portcullis::transport::http::statsig::write::{Heading, write_v1, write_v2};
use serde_json::{Map, Value, json};

/// When the SDKs were asked.
pub(super) const NOW: Timestamp = Timestamp(1_767_000_000_000);
/// The one id list of the published vectors.
pub(super) const VIP_LIST: [&str; 3] = ["vip-1", "vip-2", "user-7"];

/// One line of a file of vectors.
pub(super) struct Vector {
    spec_file: String,
    entity: Entity,
    pub(super) name: String,
    pub(super) user: User,
    expected: Value,
    line: String,
}

/// The text of a file, unpacked where its name says so.
pub(super) fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = String::new();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

/// A project with the id lists of the vectors.
fn ruleset(path: &Path) -> Ruleset {
    let mut project = read(&text(path)).unwrap();
    assert!(project.problems.is_empty(), "{}: {:?}", path.display(), project.problems);
    let list = Arc::new(IdList::new(VIP_LIST, 1, NOW));
    for name in &project.id_lists {
        project.ruleset.id_lists.insert(name.clone(), Arc::clone(&list));
    }
    project.ruleset
}

/// The same, compiled.
fn snapshot(path: &Path) -> Snapshot {
    let snapshot = compile(&ruleset(path));
    assert_eq!(snapshot.faulty().next(), None, "{}", path.display());
    snapshot
}

fn vectors(path: &Path, expected: impl Fn(&Value) -> Value) -> Vec<Vector> {
    let vector = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let user: StatsigUser = serde_json::from_value(json["user"].clone()).unwrap();
        let entity = match json["kind"].as_str().unwrap() {
            "gate" => Entity::Gate,
            "layer" => Entity::Layer,
            // Dynamic configs and experiments are asked for in the same way.
            "config" => Entity::Config,
            other => panic!("{}: kind {other}", path.display()),
        };
        Vector {
            spec_file: json["spec_file"].as_str().unwrap().to_owned(),
            entity,
            name: json["name"].as_str().unwrap().to_owned(),
            user: user.into(),
            expected: expected(&json),
            line: line.to_owned(),
        }
    };
    text(path).lines().map(vector).collect()
}

fn decide<'s>(snapshot: &'s Snapshot, vector: &Vector) -> Decision<'s> {
    let decision = evaluate(snapshot, vector.entity, &vector.name, &vector.user, NOW);
    if vector.entity == Entity::Config && decision.rule_id.is_empty() {
        return evaluate(snapshot, Entity::Experiment, &vector.name, &vector.user, NOW);
    }
    decision
}

/// The answer in the form of the vectors.
fn answer(vector: &Vector, decision: &Decision<'_>) -> Value {
    let value = if vector.entity == Entity::Gate { json!(decision.passed) } else { json!(decision.value) };
    json!({ "value": value, "rule_id": decision.rule_id, "group_name": decision.group })
}

/// The vectors of a file that are not reproduced, each with what was found; and how many there are in all.
fn wrong_in(
    file: &Path,
    load: impl Fn(&str) -> Snapshot,
    expected: impl Fn(&Value) -> Value,
) -> (Vec<(Vector, Value)>, usize) {
    let vectors = vectors(file, expected);
    let count = vectors.len();
    let mut snapshots = BTreeMap::new();
    let check = |vector: Vector| {
        let snapshot = snapshots.entry(vector.spec_file.clone()).or_insert_with(|| load(&vector.spec_file));
        let found = answer(&vector, &decide(snapshot, &vector));
        (!same(&found, &vector.expected)).then_some((vector, found))
    };
    (vectors.into_iter().filter_map(check).collect(), count)
}

/// Equal, where a number may be written whole or with a fraction of zero.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The vectors of a folder that are not reproduced, each with what was found; and how many there are in all. `load`
/// compiles the file of specs that a vector names.
pub(super) fn wrong(folder: &Path, load: impl Fn(&str) -> Snapshot) -> (Vec<(Vector, Value)>, usize) {
    let answer = |json: &Value| json!({ "value": json["value"], "rule_id": json["rule_id"], "group_name": json["group_name"] });
    let (mut wrong, agreeing) = wrong_in(&folder.join("vectors.jsonl.gz"), &load, answer);
    let divergent = |json: &Value| answer(&json["results"]["py_core"]);
    let (also_wrong, divergent) = wrong_in(&folder.join("divergent.jsonl"), &load, divergent);
    wrong.extend(also_wrong);
    (wrong, agreeing + divergent)
}

/// Checks what clients are told at their start.
fn check_starts(folder: &Path, file: &str) -> usize {
    let text = text(&folder.join(file));
    let mut scopes = BTreeMap::new();
    for line in text.lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        let spec_file = json["spec_file"].as_str().unwrap().to_owned();
        let (scoped, snapshot) = scopes.entry(spec_file).or_insert_with_key(|spec_file| {
            let path = folder.join(spec_file);
            (Scoped { ruleset: ruleset(&path), ..Scoped::default() }, snapshot(&path))
        });
        let user: StatsigUser = serde_json::from_value(json["user"].clone()).unwrap();
        let hash = serde_json::from_value(json["hash"].clone()).unwrap();
        let found = initialize(scoped, snapshot, &user.into(), NOW, hash);
        let mut expected = json["response"].as_object().unwrap().clone();
        // Told back as it was sent.
        expected.remove("user");
        for (part, expected) in &expected {
            let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
            let (found_part, expected_part) =
                (entries(found.get(part).unwrap_or(&Value::Null)), entries(expected));
            let names = |entries: &Map<String, Value>| entries.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&found_part), names(&expected_part), "{part}, for {}", json["user"]);
            for (name, expected) in &expected_part {
                let found = &found_part[name];
                assert!(
                    same(found, expected),
                    "{part}.{name}: {found}, not {expected}, for {}",
                    json["user"]
                );
            }
        }
        assert!(same(&Value::Object(found), &Value::Object(expected)), "for {}", json["user"]);
    }
    text.lines().count()
}

/// Checks that a project that is written is the one that was read, in both forms.
fn check_written(folder: &Path) {
    for file in ["spec_v1.json", "spec_v2.json"] {
        let project = read(&text(&folder.join(file))).unwrap();
        let mut read_from = project.ruleset.clone();
        let list = Arc::new(IdList::new(VIP_LIST, 1, NOW));
        read_from.id_lists = project.id_lists.iter().map(|name| (name.clone(), Arc::clone(&list))).collect();
        let heading =
            Heading { changed_at: NOW, environment: "production".to_owned(), secret: "secret-1".to_owned() };
        let forms = [json!(write_v1(&read_from, &heading)), json!(write_v2(&read_from, &heading))];
        for form in forms {
            assert_eq!(traps(&form), Vec::<String>::new());
            let again = read(&form.to_string()).unwrap();
            assert_eq!((again.problems, again.id_lists), (Vec::new(), project.id_lists.clone()));
            let parts =
                |ruleset: &Ruleset| [ruleset.gates.clone(), ruleset.configs.clone(), ruleset.layers.clone()];
            for (again, project) in parts(&again.ruleset).iter().zip(&parts(&project.ruleset)) {
                assert!(again.keys().eq(project.keys()), "{file}");
                for (name, spec) in project {
                    assert_eq!(again[name], *spec, "{file}: {name}");
                }
            }
        }
    }
}

/// What SDKs would stumble over.
fn traps(form: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let entities = |part: &str| -> Vec<Value> {
        match &form[part] {
            Value::Array(entities) => entities.clone(),
            Value::Object(entities) => entities.values().cloned().collect(),
            other => panic!("{part}: {other}"),
        }
    };
    for part in ["feature_gates", "dynamic_configs", "layer_configs"] {
        for entity in entities(part) {
            let required = ["type", "salt", "enabled", "defaultValue", "rules", "idType", "entity"];
            found.extend(lacking(&entity, &required));
            let rules = entity["rules"].as_array().unwrap();
            let yes_or_no = (part == "feature_gates").then_some((json!(false), json!(true)));
            let is_default = yes_or_no
                .as_ref()
                .map_or(entity["defaultValue"].is_object(), |(no, _)| entity["defaultValue"] == *no);
            if !is_default || (entity["enabled"] == false && !rules.is_empty()) {
                found.push(format!("{entity}"));
            }
            for rule in rules {
                let required = ["name", "id", "passPercentage", "conditions", "returnValue", "idType"];
                found.extend(lacking(rule, &required));
                let fits = yes_or_no
                    .as_ref()
                    .map_or(rule["returnValue"].is_object(), |(_, yes)| rule["returnValue"] == *yes);
                if !fits || rule["conditions"] == json!([]) {
                    found.push(format!("{rule}"));
                }
                let conditions = rule["conditions"].as_array().unwrap().iter();
                let conditions =
                    conditions.map(|one| one.as_str().map_or(one, |name| &form["condition_map"][name]));
                for condition in conditions {
                    let required = ["type", "idType", "targetValue", "operator", "field", "additionalValues"];
                    found.extend(lacking(condition, &required));
                    let has_salt = condition["additionalValues"]["salt"].is_string();
                    if condition["targetValue"].is_object()
                        || (condition["type"] == "user_bucket" && !has_salt)
                    {
                        found.push(format!("{condition}"));
                    }
                }
            }
        }
    }
    found
}

fn lacking(object: &Value, fields: &[&str]) -> Option<String> {
    let lacks = fields.iter().any(|field| object.get(field).is_none());
    lacks.then(|| format!("{fields:?} in {object}"))
}

/// Checks a folder, and says how many vectors it held.
pub(super) fn check_folder(folder: &Path) -> usize {
    let (wrong, count) = wrong(folder, |file| snapshot(&folder.join(file)));
    let line = |(vector, found): &(Vector, Value)| format!("{found} for {}", vector.line);
    let shown = wrong.iter().take(20).map(line).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{shown}", wrong.len());
    check_written(folder);
    count + check_starts(folder, "gcir_core.jsonl.gz")
}
