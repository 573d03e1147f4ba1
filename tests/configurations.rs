//! Laws of whole configurations: what is written down is read again as it was, and what is lifted gives the same answers.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use portcullis::domain::bucket_set::BucketSet;
use portcullis::domain::condition::{Condition, Draw, Operator, Subject};
use portcullis::domain::config::DynamicConfig;
use portcullis::domain::configuration::Configuration;
use portcullis::domain::decision_kind::DecisionKind;
use portcullis::domain::experiment::{Experiment, Group, Override, Status};
use portcullis::domain::gate::Gate;
use portcullis::domain::holdout::Holdout;
use portcullis::domain::layer::Layer;
use portcullis::domain::parameters::Parameters;
use portcullis::domain::rule::Rule;
use portcullis::domain::segment::Segment;
use portcullis::domain::time::Timestamp;
use portcullis::domain::webhook::{Secret, Webhook};
use portcullis::engine::lift::{Source, lift, same_answers};
use portcullis::engine::lower::lower;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// The configuration that people read first; it must go on being readable.
const FIRST: &str = include_str!("configurations/first.yaml");

#[test]
fn a_configuration_of_the_first_version_is_read() {
    let configuration = Configuration::from_yaml(FIRST).unwrap();
    assert_eq!(configuration.len(), 8);
    let [gate] = configuration.gates.as_slice() else { panic!("{:?}", configuration.gates) };
    assert_eq!((gate.enabled, gate.rules[0].percentage), (true, 25.0));
    assert_eq!(configuration.experiments[0].status, Status::Running);
    let [conversion, _] = configuration.metrics.as_slice() else { panic!("{:?}", configuration.metrics) };
    assert_eq!((conversion.weight, conversion.min_units), (1.0, 100));
    let again = Configuration::from_yaml(&configuration.to_yaml().unwrap());
    assert_eq!(again, Ok(configuration));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_and_read_again_decides_alike(configuration in any_configuration()) {
        let text = configuration.to_yaml().unwrap();
        let read = Configuration::from_yaml(&text);
        prop_assert_eq!(read.as_ref(), Ok(&configuration), "{}", text);
        let catalogue = read.unwrap().catalogue(NOW);
        prop_assert_eq!(lower(&catalogue), lower(&configuration.catalogue(NOW)));
        prop_assert_eq!(Configuration::of(&catalogue), configuration.sorted());
    }

    #[test]
    fn what_is_lifted_gives_the_same_answers_unless_it_is_named(configuration in any_configuration()) {
        let ruleset = lower(&configuration.catalogue(NOW));
        let ids = configuration.segments.iter();
        let ids = ids.filter_map(|segment| Some((segment.key.clone(), segment.ids.clone()?))).collect();
        let lifted = lift(&Source { ruleset: ruleset.clone(), ids, ..Source::default() });
        let lowered = lower(&lifted.configuration.catalogue(NOW));
        let named: BTreeSet<&str> = lifted.notes.iter().map(|note| note.key.as_str()).collect();
        let is_named = |name: &str| named.contains(name) || named.contains(name.trim_start_matches("segment:"));
        let shelves = [
            (&ruleset.gates, &lowered.gates),
            (&ruleset.configs, &lowered.configs),
            (&ruleset.layers, &lowered.layers),
        ];
        for (before, after) in shelves {
            for (name, spec) in before {
                let kept = after.get(name).is_some_and(|found| same_answers(found, spec));
                prop_assert!(kept || is_named(name), "{name}: {:?}\n{spec:#?}", after.get(name));
            }
        }
    }
}

/// Any valid configuration, in which documents refer to each other.
fn webhook() -> Webhook {
    Webhook {
        key: "pager".to_owned(),
        description: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        url: "https://pager.example/hook".to_owned(),
        secret: Some(Secret::File { name: "pager".to_owned() }),
        kinds: vec![DecisionKind::RollBack],
        targets: vec!["gate:gate_0/all".parse().unwrap()],
        active: false,
    }
}

fn any_configuration() -> impl Strategy<Value = Configuration> {
    let documents = (
        vec(segment(), 0..3),
        vec(gate(), 0..4),
        vec(config(), 0..3),
        vec(layer(), 0..2),
        vec(experiment(), 0..4),
        vec(holdout(), 0..3),
    );
    documents.prop_map(|(segments, gates, configs, layers, experiments, holdouts)| {
        let configuration = Configuration {
            metrics: Vec::new(),
            policies: Vec::new(),
            segments: renamed(segments, |it, index| it.key = format!("segment_{index}")),
            gates: renamed(gates, |it, index| it.key = format!("gate_{index}")),
            configs: renamed(configs, |it, index| it.key = format!("config_{index}")),
            layers: renamed(layers, |it, index| it.key = format!("layer_{index}")),
            experiments: renamed(experiments, |it, index| it.key = format!("experiment_{index}")),
            holdouts: renamed(holdouts, |it, index| it.key = format!("holdout_{index}")),
            webhooks: vec![webhook()],
        };
        assert_eq!(configuration.check(), Ok(()));
        configuration
    })
}

fn renamed<T>(mut documents: Vec<T>, rename: impl Fn(&mut T, usize)) -> Vec<T> {
    documents.iter_mut().enumerate().for_each(|(index, document)| rename(document, index));
    documents
}

/// Text that needs care in YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(.|\n){0,8}",
        Just("null".to_owned()),
        Just("1e3".to_owned()),
        Just("~".to_owned()),
        Just("- a: b # c".to_owned()),
        Just("yes".to_owned()),
        Just("0x1f".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    text().prop_filter("not empty", |name| !name.is_empty())
}

/// Whole numbers beyond it can not be written.
const MAX_WHOLE: i64 = 1 << 53;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-MAX_WHOLE..=MAX_WHOLE).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(text(), inner, 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn parameters() -> impl Strategy<Value = Parameters> {
    btree_map(text(), any_json(), 0..3)
}

fn unit_type() -> impl Strategy<Value = String> {
    prop_oneof![Just("user_id".to_owned()), Just("device".to_owned())]
}

fn condition() -> impl Strategy<Value = Condition> {
    let gates = prop_oneof!["gate_[0-2]", "holdout_[0-2]"];
    let nested = prop_oneof![gates.prop_map(Subject::Gate), "segment_[0-2]".prop_map(Subject::Segment)];
    let nested = (nested, prop_oneof![Just(Operator::Passes), Just(Operator::Fails)]);
    let draw = (text(), unit_type()).prop_filter("a salt", |(salt, _)| !salt.is_empty());
    let draw = draw.prop_map(|(salt, unit_type)| Subject::Bucket(Draw { salt, unit_type }));
    prop_oneof![
        (name(), vec(name(), 1..4)).prop_map(|(attribute, values)| {
            Condition::attribute(attribute, Operator::Any, values.into_iter().map(Value::from).collect())
        }),
        (name(), -1e9..1e9).prop_map(|(attribute, number)| {
            Condition::attribute(attribute, Operator::Gte, vec![json!(number)])
        }),
        nested.prop_map(|(subject, operator)| Condition { subject, operator, values: Vec::new() }),
        (draw, 0_i64..1_000).prop_map(|(subject, bound)| {
            Condition { subject, operator: Operator::Lt, values: vec![bound.into()] }
        }),
    ]
}

fn percentage() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(100.0), 0.0..100.0]
}

/// Rules with ids of their own.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule = (
        text(),
        vec(condition(), 0..3),
        percentage(),
        vec(name(), 0..2),
        option::of(text()),
        option::of(unit_type()),
    );
    let rule = rule.prop_map(|(name, conditions, percentage, environments, salt, unit_type)| Rule {
        name,
        conditions,
        environments,
        salt,
        unit_type,
        ..Rule::everyone("", percentage)
    });
    vec(rule, 0..4).prop_map(|rules| renamed(rules, |rule, index| rule.id = format!("rule {index}")))
}

fn segment() -> impl Strategy<Value = Segment> {
    (text(), unit_type(), text(), rules(), option::of(btree_set(name(), 0..3))).prop_map(
        |(description, unit_type, salt, rules, ids)| Segment {
            key: String::new(),
            description,
            owner: String::new(),
            tags: Vec::new(),
            unit_type,
            salt,
            rules: if ids.is_some() { Vec::new() } else { rules },
            ids: ids.map(|ids| ids.into_iter().collect()),
        },
    )
}

fn gate() -> impl Strategy<Value = Gate> {
    (text(), vec(name(), 0..2), unit_type(), text(), any::<bool>(), rules(), any::<bool>()).prop_map(
        |(owner, tags, unit_type, salt, enabled, rules, draws_missing_units)| Gate {
            key: String::new(),
            description: String::new(),
            owner,
            target_apps: tags.clone(),
            tags,
            unit_type,
            salt,
            enabled,
            rules,
            draws_missing_units,
        },
    )
}

fn config() -> impl Strategy<Value = DynamicConfig> {
    (unit_type(), text(), any::<bool>(), parameters(), rules(), parameters(), option::of(name())).prop_map(
        |(unit_type, salt, enabled, default_value, mut rules, value, group)| {
            for rule in &mut rules {
                rule.value = value.clone();
                rule.group = group.clone();
            }
            DynamicConfig {
                key: String::new(),
                description: String::new(),
                owner: String::new(),
                tags: Vec::new(),
                unit_type,
                salt,
                enabled,
                default_value,
                rules,
                target_apps: Vec::new(),
                draws_missing_units: false,
            }
        },
    )
}

fn layer() -> impl Strategy<Value = Layer> {
    text().prop_map(|salt| Layer {
        key: String::new(),
        description: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: "user_id".to_owned(),
        salt,
        parameters: BTreeMap::from([("a".to_owned(), json!("none")), ("b".to_owned(), json!(0))]),
        target_apps: Vec::new(),
        draws_missing_units: false,
    })
}

fn experiment() -> impl Strategy<Value = Experiment> {
    let status = prop_oneof![
        Just(Status::Draft),
        Just(Status::Running),
        prop_oneof![Just(100.0), Just(95.0)]
            .prop_map(|percentage| Status::Decided { group: "Control".to_owned(), percentage }),
        Just(Status::Abandoned),
    ];
    let parts = (
        text(),
        status,
        1_u32..1_000,
        btree_set(0_i64..1_000, 0..40),
        vec(condition(), 0..3),
        vec(vec(condition(), 1..3), 0..2),
        option::of("layer_[01]"),
        any::<[bool; 4]>(),
        option::of(text()),
    );
    parts.prop_map(|(salt, status, split, buckets, targeting, overrides, layer, flags, allocation_salt)| {
        let [is_named, targeting_first, stopped, has_default] = flags;
        let group = |name: &str, weight: u32, value: &str| Group {
            name: name.to_owned(),
            id: is_named.then(|| format!("id of {name}")),
            weight: f64::from(weight) / 10.0,
            parameters: BTreeMap::from([("a".to_owned(), json!(value))]),
        };
        let overrides = overrides.into_iter().enumerate().map(|(index, conditions)| Override {
            id: format!("override {index}"),
            group: "Test".to_owned(),
            conditions,
        });
        let buckets = (!buckets.is_empty()).then(|| BucketSet::of(buckets));
        Experiment {
            key: String::new(),
            hypothesis: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: "user_id".to_owned(),
            salt: salt.clone(),
            groups: vec![group("Control", split, "old"), group("Test", 1_000 - split, "new")],
            control_group: "Control".to_owned(),
            allocation: buckets.as_ref().map_or(100.0, |buckets| buckets.len() as f64 / 10.0),
            targeting,
            overrides: overrides.collect(),
            layer,
            default_parameters: if has_default {
                BTreeMap::from([("a".to_owned(), json!("default"))])
            } else {
                Parameters::new()
            },
            primary_metrics: Vec::new(),
            secondary_metrics: Vec::new(),
            status,
            stopped_groups: if stopped { BTreeSet::from(["Test".to_owned()]) } else { BTreeSet::new() },
            buckets,
            allocation_salt: allocation_salt.filter(|given| *given != salt),
            targeting_first,
            target_apps: Vec::new(),
            draws_missing_units: false,
        }
    })
}

fn holdout() -> impl Strategy<Value = Holdout> {
    let members = (vec("gate_[0-3]", 0..3), vec("experiment_[0-3]", 0..3), vec("layer_[01]", 0..2));
    (text(), percentage(), members, any::<bool>(), 0_u32..3, option::of(name()), option::of(text())).prop_map(
        |(salt, percentage, (gates, experiments, layers), covers_all, precedence, rule_id, rule_salt)| {
            let listed = |list: Vec<String>| if covers_all { Vec::new() } else { list };
            Holdout {
                key: String::new(),
                description: String::new(),
                owner: String::new(),
                tags: Vec::new(),
                unit_type: "user_id".to_owned(),
                salt,
                percentage,
                gates: listed(gates),
                experiments: listed(experiments),
                layers: listed(layers),
                covers_all,
                precedence,
                rule_id,
                rule_salt,
                link_ids: BTreeMap::new(),
            }
        },
    )
}
