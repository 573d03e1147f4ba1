//! Laws that hold for any input.
#![cfg(test)]

mod estimates;
mod hard_inputs;
mod judgements;

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::domain::catalogue::Catalogue;
use portcullis::domain::condition::{Condition, Operator};
use portcullis::domain::experiment::{Experiment, Group, Status};
use portcullis::domain::gate::{Gate, GateRule};
use portcullis::domain::holdout::Holdout;
use portcullis::domain::metric::Direction;
use portcullis::domain::stored::{Document, Stored};
use portcullis::domain::time::Timestamp;
use portcullis::domain::user::{Attribute, User};
use portcullis::engine::bucketing;
use portcullis::engine::compile::compile;
use portcullis::engine::evaluate::{Entity, evaluate};
use portcullis::engine::reason::Reason;
use portcullis::engine::snapshot::Snapshot;
use portcullis::stats::e_process::{self, Evidence, Test, epoch_evidence};
use portcullis::stats::moments::Moments;
use portcullis::stats::outcome::Outcome;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn moments(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    for value in values {
        moments.add(*value);
    }
    moments
}

fn outcome(values: &[f64]) -> Outcome {
    Outcome::Mean(moments(values))
}

fn scaled(values: &[f64], factor: f64) -> Moments {
    moments(&values.iter().map(|value| value * factor).collect::<Vec<_>>())
}

/// Enough of them for evidence.
fn positive_values() -> impl Strategy<Value = Vec<f64>> {
    vec(0.0_f64..1_000.0, 30..200)
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::HigherIsBetter), Just(Direction::LowerIsBetter)]
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::HigherIsBetter => Direction::LowerIsBetter,
        Direction::LowerIsBetter => Direction::HigherIsBetter,
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-7 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    // What fails is shown, and becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_logarithm_of_an_e_value_is_finite_for_any_evidence(score in finite(), information in finite()) {
        let ln_e = e_process::ln_e(Evidence { score, information: information.abs() });
        prop_assert!(ln_e.is_finite(), "{ln_e}");
    }

    #[test]
    fn an_e_value_is_finite_and_not_negative_for_any_values(
        control in vec(finite(), 30..60), treatment in vec(finite(), 30..60), direction in direction(),
        margin in 0.0_f64..0.999
    ) {
        let (control, treatment) = (outcome(&control), outcome(&treatment));
        let scale = e_process::first_scale(&control, &treatment).unwrap_or(1.0);
        for test in [Test::Harm(margin), Test::Safety(margin)] {
            if let Ok(evidence) = epoch_evidence(&control, &treatment, direction, test, scale) {
                prop_assert!(evidence.information >= 0.0);
                prop_assert!(e_process::ln_e(evidence).is_finite());
            }
        }
    }

    #[test]
    fn the_unit_of_measurement_does_not_matter(
        control in positive_values(), treatment in positive_values(), direction in direction(),
        margin in 0.0_f64..0.5, factor in 1e-6_f64..1e6
    ) {
        let ln_e = |factor: f64| {
            let (control, treatment) =
                (Outcome::Mean(scaled(&control, factor)), Outcome::Mean(scaled(&treatment, factor)));
            let scale = e_process::first_scale(&control, &treatment)?;
            let test = Test::Harm(margin);
            epoch_evidence(&control, &treatment, direction, test, scale).map(e_process::ln_e)
        };
        match (ln_e(1.0), ln_e(factor)) {
            (Ok(one), Ok(other)) => prop_assert!(near(one, other), "{one} and {other}"),
            (one, other) => prop_assert_eq!(one, other),
        }
    }

    #[test]
    fn arms_and_direction_swapped_together_change_nothing(
        control in positive_values(), treatment in positive_values(), direction in direction()
    ) {
        let (a, b) = (outcome(&control), outcome(&treatment));
        let evidence = |control: &Outcome, treatment: &Outcome, direction| {
            epoch_evidence(control, treatment, direction, Test::Harm(0.0), 100.0).unwrap()
        };
        let plain = evidence(&a, &b, direction);
        let both = evidence(&b, &a, opposite(direction));
        let arms = evidence(&b, &a, direction);
        prop_assert!(near(plain.score, both.score) && near(plain.information, both.information));
        prop_assert!(near(plain.score, -arms.score) && near(plain.information, arms.information));
    }

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
    fn evaluation_decides_for_any_catalogue_and_user(
        conditions in vec(condition(), 0..5), percentage in any::<f64>(), salt in ".{0,12}", unit_type in unit_type(),
        user in any_user()
    ) {
        let rule = |id: &str, conditions| GateRule {
            id: id.to_owned(), name: String::new(), conditions, percentage
        };
        let gate = Gate {
            unit_type: unit_type.clone(),
            salt: salt.clone(),
            rules: vec![rule("first", conditions.clone()), rule("last", Vec::new())],
            ..gate("gate", percentage)
        };
        let experiment = Experiment {
            unit_type: unit_type.clone(), salt, targeting: conditions, ..experiment("experiment", percentage)
        };
        let holdout = holdout(&unit_type, percentage);
        let snapshot = compile(&Catalogue {
            gates: shelf(gate),
            experiments: shelf(experiment),
            holdouts: shelf(holdout),
            ..Catalogue::default()
        });
        for (entity, key) in [
            (Entity::Gate, "gate"), (Entity::Experiment, "experiment"), (Entity::Gate, "experiment")
        ] {
            let decision = evaluate(&snapshot, entity, key, &user, NOW);
            prop_assert_eq!(&decision, &evaluate(&snapshot, entity, key, &user, NOW));
            let recorded = decision.exposure.as_ref().is_none_or(|exposed| exposed.record(&user).is_some());
            prop_assert!(recorded, "an exposure without a unit");
            prop_assert!(!decision.passed || matches!(decision.reason, Reason::Rule | Reason::Decided));
        }
    }
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
        rules: vec![GateRule {
            id: "everyone".to_owned(),
            name: String::new(),
            conditions: Vec::new(),
            percentage,
        }],
    }
}

fn experiment(key: &str, allocation: f64) -> Experiment {
    let group = |name: &str, weight| Group {
        name: name.to_owned(),
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
    }
}

fn user(id: &str) -> User {
    User { user_id: id.to_owned(), ..User::default() }
}

fn group(snapshot: &Snapshot, user: &User) -> Option<String> {
    evaluate(snapshot, Entity::Experiment, "colour", user, NOW).group.map(|group| group.name.to_owned())
}

fn unit_type() -> impl Strategy<Value = String> {
    prop_oneof![Just("user_id".to_owned()), Just("userID".to_owned()), Just("device".to_owned()), ".{0,8}"]
}

fn condition() -> impl Strategy<Value = Condition> {
    let operators = [
        Operator::Any,
        Operator::None,
        Operator::Gt,
        Operator::Gte,
        Operator::Lt,
        Operator::Lte,
        Operator::VersionGt,
        Operator::VersionGte,
        Operator::VersionLt,
        Operator::VersionLte,
    ];
    let values = prop_oneof![".{0,8}", "-?[0-9]{1,20}", "[0-9]{1,3}(\\.[0-9]{1,25}){0,3}(-beta)?"];
    (attribute_name(), proptest::sample::select(operators.to_vec()), vec(values, 0..4))
        .prop_map(|(attribute, operator, values)| Condition { attribute, operator, values })
}

fn attribute_name() -> impl Strategy<Value = String> {
    prop_oneof![Just("user_id".to_owned()), Just("app_version".to_owned()), Just("age".to_owned()), ".{0,4}"]
}

fn any_user() -> impl Strategy<Value = User> {
    let attribute = prop_oneof![
        ".{0,8}".prop_map(Attribute::Text),
        any::<f64>().prop_map(Attribute::Number),
        any::<bool>().prop_map(Attribute::Flag)
    ];
    let custom_ids = proptest::collection::btree_map(unit_type(), ".{0,8}", 0..3);
    let custom = proptest::collection::btree_map(attribute_name(), attribute, 0..4);
    (".{0,16}", custom_ids, ".{0,3}", "[0-9.]{0,12}", custom).prop_map(
        |(user_id, custom_ids, country, app_version, custom)| User {
            user_id,
            custom_ids,
            country,
            browser: String::new(),
            app_version,
            custom,
        },
    )
}
