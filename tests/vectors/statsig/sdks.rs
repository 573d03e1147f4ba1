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
use portcullis::engine::form::IdList;
use portcullis::engine::snapshot::Snapshot;
use portcullis::transport::http::statsig::read::read;
use portcullis::transport::http::statsig::user::StatsigUser;
use serde_json::{Value, json};

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

/// A project compiled with the id lists of the vectors.
fn snapshot(path: &Path) -> Snapshot {
    let mut project = read(&text(path)).unwrap();
    assert!(project.problems.is_empty(), "{}: {:?}", path.display(), project.problems);
    let list = Arc::new(IdList::new(VIP_LIST, 1, NOW));
    for name in &project.id_lists {
        project.ruleset.id_lists.insert(name.clone(), Arc::clone(&list));
    }
    let snapshot = compile(&project.ruleset);
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

/// Checks a folder, and says how many vectors it held.
pub(super) fn check_folder(folder: &Path) -> usize {
    let (wrong, count) = wrong(folder, |file| snapshot(&folder.join(file)));
    let line = |(vector, found): &(Vector, Value)| format!("{found} for {}", vector.line);
    let shown = wrong.iter().take(20).map(line).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{shown}", wrong.len());
    count
}
