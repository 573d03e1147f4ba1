//! Laws of bucketing and evaluation.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::domain::bucket_set::BucketSet;
use portcullis::domain::catalogue::Catalogue;
use portcullis::domain::condition::Condition;
use portcullis::domain::config::DynamicConfig;
use portcullis::domain::experiment::{Experiment, Group, Override, Status};
use portcullis::domain::gate::Gate;
use portcullis::domain::holdout::Holdout;
use portcullis::domain::layer::Layer;
use portcullis::domain::parameters::Parameters;
use portcullis::domain::rule::Rule;
use portcullis::domain::segment::Segment;
use portcullis::domain::stored::{Document, Stored};
use portcullis::domain::time::Timestamp;
use portcullis::domain::user::User;
use portcullis::engine::bucketing;
use portcullis::engine::compile;
use portcullis::engine::evaluate::{Entity, evaluate};
use portcullis::engine::explain::{Explanation, explain};
use portcullis::engine::lower::lower;
use portcullis::engine::reason::Reason;
use portcullis::engine::snapshot::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::arbitrary::{any_user, condition, unit_type};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

proptest! {
    // What fails is shown, and becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn raising_a_percentage_only_adds_units(
        salt in ".{0,12}", rule in ".{0,12}", unit in ".{0,24}", one in 0.0_f64..=100.0, other in 0.0_f64..=100.0
    ) {
        let (low, high) = (one.min(other), one.max(other));
        if bucketing::passes(&salt, &rule, &unit, low) {
            prop_assert!(bucketing::passes(&salt, &rule, &unit, high));
        }
    }

    #[test]
    fn a_group_never_changes_when_the_allocation_grows(
        unit in "[ -~]{1,24}", one in 0_u32..=1_000, other in 0_u32..=1_000
    ) {
        let served = |tenths: u32| {
            let snapshot = compile(&Catalogue {
                experiments: shelf(experiment("colour", f64::from(tenths) / 10.0)),
                ..Catalogue::default()
            });
            group(&snapshot, &user(&unit))
        };
        let (narrow, wide) = (served(one.min(other)), served(one.max(other)));
        if narrow.is_some() {
            prop_assert_eq!(narrow, wide);
        }
    }

    #[test]
    fn raising_a_gate_only_adds_units_and_lowering_it_only_removes_some(
        unit in "[ -~]{1,24}", one in 0.0_f64..=100.0, other in 0.0_f64..=100.0
    ) {
        let passes = |percentage: f64| {
            let snapshot = compile(&Catalogue { gates: shelf(gate("gate", percentage)), ..Catalogue::default() });
            evaluate(&snapshot, Entity::Gate, "gate", &user(&unit), NOW).passed
        };
        let (low, high) = (passes(one.min(other)), passes(one.max(other)));
        prop_assert!(!low || high);
    }

    #[test]
    fn no_unit_is_in_two_experiments_of_a_layer(
        owners in vec(0_usize..4, 1_000), units in vec("[ -~]{1,24}", 1..20)
    ) {
        let snapshot = compile(&layered(&owners));
        for unit in units {
            let user = user(&unit);
            let inside: Vec<String> = (1..4)
                .map(|owner| format!("experiment-{owner}"))
                .filter(|key| evaluate(&snapshot, Entity::Experiment, key, &user, NOW).group.is_some())
                .collect();
            prop_assert!(inside.len() <= 1, "{unit} is in {inside:?}");
            let decision = evaluate(&snapshot, Entity::Layer, "layer", &user, NOW);
            prop_assert_eq!(decision.experiment, inside.first().map(String::as_str));
        }
    }

    #[test]
    fn free_buckets_are_nobodys_and_as_many_as_there_are(owners in vec(0_usize..3, 1_000), count in 0_u64..=1_000) {
        let taken = of_owner(&owners, 1).union(&of_owner(&owners, 2));
        let free = taken.free(count);
        prop_assert!(free.iter().all(|bucket| !taken.contains(bucket)));
        prop_assert_eq!(free.len(), count.min(1_000 - taken.len()));
        prop_assert!(taken.union(&free).is_superset(&taken));
        prop_assert_eq!(free.to_string().parse::<BucketSet>(), Ok(free));
    }

    #[test]
    fn a_condition_is_read_as_it_was_written(condition in condition()) {
        let written = serde_json::to_string(&condition).unwrap();
        prop_assert_eq!(serde_json::from_str::<Condition>(&written).unwrap(), condition, "{}", written);
    }

    #[test]
    fn evaluation_decides_for_any_catalogue_and_user(
        conditions in vec(condition(), 0..5), percentage in any::<f64>(), salt in ".{0,12}", unit_type in unit_type(),
        user in any_user()
    ) {
        let snapshot = compile(&catalogue_of(&conditions, percentage, &salt, &unit_type));
        for (entity, key) in [
            (Entity::Gate, "gate"), (Entity::Gate, "segment:segment"), (Entity::Gate, "segment:listed"),
            (Entity::Gate, "holdout"), (Entity::Experiment, "experiment"), (Entity::Config, "config"),
            (Entity::Layer, "layer"), (Entity::Gate, "experiment"), (Entity::Config, "experiment")
        ] {
            let decision = evaluate(&snapshot, entity, key, &user, NOW);
            prop_assert_eq!(&decision, &evaluate(&snapshot, entity, key, &user, NOW));
            let arms = decision.exposures().filter(|exposed| exposed.arm.is_some());
            prop_assert!(arms.count() == 0, "an arm where nothing is launched");
            prop_assert!(!decision.passed || decision.rule_id != "default");
            let explained = explain(&snapshot, entity, key, &user, NOW);
            prop_assert_eq!(explained.is_none(), decision.reason == Reason::UnknownKey);
            if let Some(explained) = explained {
                prop_assert_eq!(&explained.decision, &decision);
                check_explained(&explained)?;
            }
        }
    }
}

/// The rules that were tried make the decision: the first that matches decides, by where the unit fell.
fn check_explained(explained: &Explanation<'_>) -> Result<(), TestCaseError> {
    let (rules, decision) = (&explained.rules, &explained.decision);
    for rule in rules {
        prop_assert_eq!(rule.matches, rule.conditions.iter().all(|condition| condition.holds));
    }
    let first = rules.iter().find(|rule| rule.matches);
    let deciding: Vec<_> = rules.iter().filter(|rule| rule.decides).collect();
    match (first, deciding.as_slice()) {
        (first, []) => {
            prop_assert!(first.is_none() || decision.reason == Reason::MissingUnit, "{explained:?}");
        }
        (Some(first), [rule]) => {
            prop_assert_eq!(first, *rule);
            let passes = match rule.percentage {
                all if all >= 100.0 => true,
                some => some > 0.0 && bucketing::is_within(rule.part, some),
            };
            let is_own = rule.id == decision.rule_id && passes == decision.passed;
            prop_assert!(is_own || decision.experiment.is_some(), "{explained:?}");
        }
        _ => prop_assert!(false, "{explained:?}"),
    }
    Ok(())
}

/// One document of each kind, with the same conditions.
fn catalogue_of(conditions: &[Condition], percentage: f64, salt: &str, unit_type: &str) -> Catalogue {
    let rule = |id: &str, conditions: &[Condition]| Rule {
        conditions: conditions.to_vec(),
        ..Rule::everyone(id, percentage)
    };
    let rules = vec![rule("first", conditions), rule("last", &[])];
    let (salt, unit_type) = (salt.to_owned(), unit_type.to_owned());
    let parameters = Parameters::from([("colour".to_owned(), json!("grey"))]);
    let segment = |key: &str, rules: Vec<Rule>, ids: Option<Vec<String>>| Segment {
        key: key.to_owned(),
        unit_type: unit_type.clone(),
        salt: salt.clone(),
        rules,
        ids,
        ..empty_segment()
    };
    let overridden =
        Override { id: "override".to_owned(), group: "red".to_owned(), conditions: conditions.to_vec() };
    let experiment = Experiment {
        unit_type: unit_type.clone(),
        salt: salt.clone(),
        targeting: conditions.to_vec(),
        overrides: vec![overridden],
        layer: Some("layer".to_owned()),
        ..experiment("experiment", percentage)
    };
    let mut segments = shelf(segment("segment", rules.clone(), None));
    segments.extend(shelf(segment("listed", Vec::new(), Some(vec!["a".to_owned()]))));
    Catalogue {
        gates: shelf(Gate {
            unit_type: unit_type.clone(),
            salt: salt.clone(),
            rules: rules.clone(),
            ..gate("gate", 0.0)
        }),
        experiments: shelf(experiment),
        holdouts: shelf(holdout(&unit_type, percentage)),
        segments,
        configs: shelf(DynamicConfig {
            key: "config".to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: unit_type.clone(),
            salt: salt.clone(),
            enabled: true,
            default_value: parameters.clone(),
            rules,
            target_apps: Vec::new(),
            draws_missing_units: false,
        }),
        layers: shelf(Layer { unit_type, salt, ..layer(parameters) }),
        ..Catalogue::default()
    }
}

/// A layer with an experiment for each owner of buckets; owner 0 is nobody.
fn layered(owners: &[usize]) -> Catalogue {
    let member = |owner: usize| Experiment {
        layer: Some("layer".to_owned()),
        buckets: Some(of_owner(owners, owner)),
        ..experiment(&format!("experiment-{owner}"), 0.0)
    };
    Catalogue {
        experiments: (1..4).flat_map(|owner| shelf(member(owner))).collect(),
        layers: shelf(layer(Parameters::from([("colour".to_owned(), json!("grey"))]))),
        ..Catalogue::default()
    }
}

fn of_owner(owners: &[usize], owner: usize) -> BucketSet {
    BucketSet::of((0..).zip(owners).filter(|(_, other)| **other == owner).map(|(bucket, _)| bucket))
}

/// A catalogue, compiled.
fn compile(catalogue: &Catalogue) -> Snapshot {
    compile::compile(&lower(catalogue))
}

/// Pearson's statistic of counts against what is expected.
fn chi_square(found: &[u32], expected: &[f64]) -> f64 {
    found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (f64::from(*found) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn groups_get_their_shares() {
    let snapshot =
        compile(&Catalogue { experiments: shelf(experiment("colour", 100.0)), ..Catalogue::default() });
    let mut counts = BTreeMap::new();
    for number in 0..100_000 {
        let name = group(&snapshot, &user(&format!("unit-{number}"))).unwrap();
        *counts.entry(name).or_insert(0) += 1;
    }
    let found: Vec<u32> = ["blue", "green", "red"].iter().map(|name| counts[*name]).collect();
    // The 99.9 % quantile with two degrees of freedom.
    assert!(chi_square(&found, &[50_000.0, 30_000.0, 20_000.0]) < 13.82, "{found:?}");
}

#[test]
fn two_gates_are_independent() {
    let gates = [gate("first", 30.0), gate("second", 50.0)];
    let shelves = gates.map(shelf).into_iter().flatten().collect();
    let snapshot = compile(&Catalogue { gates: shelves, ..Catalogue::default() });
    let mut found = [0_u32; 4];
    for number in 0..100_000 {
        let user = user(&format!("unit-{number}"));
        let passes = |key| usize::from(evaluate(&snapshot, Entity::Gate, key, &user, NOW).passed);
        found[2 * passes("first") + passes("second")] += 1;
    }
    // The 99.9 % quantile with three degrees of freedom.
    assert!(chi_square(&found, &[35_000.0, 35_000.0, 15_000.0, 15_000.0]) < 16.27, "{found:?}");
}

#[test]
fn being_allocated_says_nothing_about_the_group() {
    let snapshot =
        compile(&Catalogue { experiments: shelf(experiment("colour", 30.0)), ..Catalogue::default() });
    let users = (0..100_000).map(|number| user(&format!("unit-{number}")));
    let mut counts = BTreeMap::new();
    for name in users.filter_map(|user| group(&snapshot, &user)) {
        *counts.entry(name).or_insert(0) += 1;
    }
    let found: Vec<u32> = ["blue", "green", "red"].iter().map(|name| counts[*name]).collect();
    let total = f64::from(found.iter().sum::<u32>());
    assert!((total - 30_000.0).abs() < 500.0, "{total}");
    assert!(chi_square(&found, &[0.5 * total, 0.3 * total, 0.2 * total]) < 13.82, "{found:?}");
}

#[test]
fn buckets_are_uniform() {
    let mut found = [0_u32; 1_000];
    for number in 0..100_000 {
        let bucket = bucketing::bucket("salt", &format!("unit-{number}"));
        found[usize::try_from(bucket).unwrap()] += 1;
    }
    // The 99.9 % quantile with 999 degrees of freedom.
    assert!(chi_square(&found, &[100.0; 1_000]) < 1_142.8);
}

fn shelf<T: Document>(document: T) -> BTreeMap<String, Arc<Stored<T>>> {
    BTreeMap::from([(document.key().to_owned(), Arc::new(Stored::new(document, NOW)))])
}

fn gate(key: &str, percentage: f64) -> Gate {
    Gate {
        key: key.to_owned(),
        description: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: "user_id".to_owned(),
        salt: format!("salt-{key}"),
        enabled: true,
        rules: vec![Rule::everyone("everyone", percentage)],
        target_apps: Vec::new(),
        draws_missing_units: false,
    }
}

fn experiment(key: &str, allocation: f64) -> Experiment {
    let group = |name: &str, weight| Group {
        name: name.to_owned(),
        id: None,
        weight,
        parameters: BTreeMap::from([("colour".to_owned(), json!(name))]),
    };
    Experiment {
        key: key.to_owned(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: "user_id".to_owned(),
        salt: format!("salt-{key}"),
        groups: vec![group("blue", 50.0), group("green", 30.0), group("red", 20.0)],
        control_group: "blue".to_owned(),
        allocation,
        targeting: Vec::new(),
        primary_metrics: Vec::new(),
        status: Status::Running,
        stopped_groups: std::collections::BTreeSet::new(),
        overrides: Vec::new(),
        layer: None,
        default_parameters: BTreeMap::new(),
        secondary_metrics: Vec::new(),
        buckets: None,
        allocation_salt: None,
        targeting_first: false,
        target_apps: Vec::new(),
        draws_missing_units: false,
    }
}

fn holdout(unit_type: &str, percentage: f64) -> Holdout {
    Holdout {
        key: "holdout".to_owned(),
        description: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: unit_type.to_owned(),
        salt: "held".to_owned(),
        percentage: percentage / 2.0,
        gates: vec!["gate".to_owned(), "missing".to_owned()],
        experiments: vec!["experiment".to_owned()],
        layers: Vec::new(),
        covers_all: false,
        precedence: 0,
        rule_id: None,
        rule_salt: None,
        link_ids: BTreeMap::new(),
    }
}

fn user(id: &str) -> User {
    User { user_id: id.to_owned(), ..User::default() }
}

fn group(snapshot: &Snapshot, user: &User) -> Option<String> {
    evaluate(snapshot, Entity::Experiment, "colour", user, NOW).group.map(str::to_owned)
}

fn layer(parameters: Parameters) -> Layer {
    Layer {
        key: "layer".to_owned(),
        description: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: "user_id".to_owned(),
        salt: "layered".to_owned(),
        parameters,
        target_apps: Vec::new(),
        draws_missing_units: false,
    }
}

fn empty_segment() -> Segment {
    Segment {
        key: String::new(),
        description: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: String::new(),
        salt: String::new(),
        rules: Vec::new(),
        ids: None,
    }
}
