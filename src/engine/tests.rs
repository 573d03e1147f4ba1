//! Decisions over small rulesets: how entities ask each other, and what is recorded of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::bucketing;
use super::compile::compile;
use super::evaluate::{Decision, Entity, evaluate};
use super::explain::explain;
use super::form::{Rule, Ruleset, Spec, SpecKind, Watch, WatchedArms};
use super::reason::Reason;
use super::snapshot::Snapshot;
use crate::domain::condition::{Condition, Operator};
use crate::domain::launch::LaunchId;
use crate::domain::parameters::Parameters;
use crate::domain::time::Timestamp;
use crate::domain::user::User;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn spec(kind: SpecKind, rules: Vec<Rule>) -> Arc<Spec> {
    Arc::new(Spec {
        kind,
        unit_type: "user_id".to_owned(),
        salt: "salt".to_owned(),
        enabled: true,
        requires_unit: true,
        default_value: Parameters::new(),
        rules,
        fallback: Reason::NoRule,
        version: 1,
        target_apps: Vec::new(),
        experiment: None,
    })
}

/// A rule for those who pass all of these gates.
fn asks(gates: &[&str]) -> Rule {
    Rule::new("asks", "user_id", gates.iter().map(|key| Condition::gate(key, Operator::Passes)).collect())
}

fn everyone(unit_type: &str, percentage: f64) -> Rule {
    Rule { percentage, ..Rule::new("everyone", unit_type, Vec::new()) }
}

fn snapshot(gates: &[(&str, Vec<Rule>)]) -> Snapshot {
    let gates = gates.iter().map(|(key, rules)| ((*key).to_owned(), spec(SpecKind::Gate, rules.clone())));
    compile(&Ruleset { gates: gates.collect(), ..Ruleset::default() })
}

fn ann() -> User {
    User { user_id: "ann".to_owned(), ..User::default() }
}

fn gate<'s>(snapshot: &'s Snapshot, key: &str, user: &User) -> Decision<'s> {
    evaluate(snapshot, Entity::Gate, key, user, NOW)
}

#[test]
fn each_gate_is_decided_once_however_many_ways_lead_to_it() {
    // Each of 32 gates asks the next one ten times, twice in each of five rules. One by one, that were 10 to the 32nd.
    let names: Vec<String> = (0..=32).map(|depth| format!("gate{depth:02}")).collect();
    let mut gates: Vec<(&str, Vec<Rule>)> = Vec::new();
    for pair in names.windows(2) {
        let next = pair[1].as_str();
        gates.push((&pair[0], vec![asks(&[next, next]); 5]));
    }
    gates.push((&names[32], Vec::new()));
    let snapshot = snapshot(&gates);
    assert_eq!(snapshot.faulty().count(), 0);
    let decision = gate(&snapshot, "gate00", &ann());
    let asked: Vec<&str> = decision.nested.iter().map(|nested| nested.gate).collect();
    let innermost_first: Vec<&str> = names.iter().skip(1).rev().map(String::as_str).collect();
    assert_eq!((asked, decision.own_nested), (innermost_first, 32));
    let explained = explain(&snapshot, Entity::Gate, "gate00", &ann(), NOW).unwrap();
    assert_eq!((explained.decision, explained.rules.len()), (decision, 5));
}

#[test]
fn who_has_no_id_of_a_rules_unit_type_gets_the_default() {
    let snapshot = snapshot(&[("gate", vec![everyone("device", 100.0)]), ("outer", vec![asks(&["gate"])])]);
    let decision = gate(&snapshot, "gate", &ann());
    assert_eq!(
        (decision.passed, decision.reason, decision.rule_id),
        (false, Reason::MissingUnit, "missing_unit")
    );
    assert_eq!(decision.exposure, None);
    let explained = explain(&snapshot, Entity::Gate, "gate", &ann(), NOW).unwrap();
    assert!(explained.rules[0].matches && !explained.rules[0].decides);
    let decision = gate(&snapshot, "outer", &ann());
    assert_eq!((decision.passed, decision.reason, decision.nested.len()), (false, Reason::NoRule, 1));

    let with_device = User { custom_ids: [("device".to_owned(), "d".to_owned())].into(), ..ann() };
    let decision = gate(&snapshot, "gate", &with_device);
    assert_eq!((decision.passed, decision.exposure.unwrap().unit_type), (true, "device"));
    // Without an id of the gate's own unit type none of its rules is tried.
    let without_user = User { user_id: String::new(), ..with_device };
    assert_eq!(gate(&snapshot, "gate", &without_user).reason, Reason::MissingUnit);
}

#[test]
fn a_watched_share_tells_arms_apart_whatever_is_served_now() {
    let part = bucketing::part("salt", "everyone", "ann");
    let (below, above) = (part as f64 / 100.0 - 0.001, part as f64 / 100.0 + 0.009);
    // Share served now, that of the launch, its ceiling; then passed, arm, settled, reverted.
    for (percentage, launched, ceiling, expected) in [
        (above, above, 100.0, (true, "treatment", true, false)),
        (below, below, above, (false, "control", false, false)),
        (below, below, below, (false, "control", true, false)),
        (0.0, above, above, (false, "treatment", true, true)),
        (0.0, below, above, (false, "control", false, false)),
        (0.0, 0.0, 0.0, (false, "control", true, false)),
        (100.0, 100.0, 100.0, (true, "treatment", true, false)),
    ] {
        let arms = WatchedArms::Share { percentage: launched, ceiling };
        let watch = Some(Watch { launch: LaunchId(Uuid::nil()), epoch: 3, arms, segments: Vec::new() });
        let inner = vec![Rule { watch, ..everyone("user_id", percentage) }];
        let snapshot = snapshot(&[("inner", inner), ("outer", vec![asks(&["inner"]), asks(&["inner"])])]);
        let decision = gate(&snapshot, "inner", &ann());
        let arm = decision.exposure.as_ref().and_then(|exposed| exposed.arm.as_ref()).unwrap();
        assert_eq!(
            (decision.passed, arm.arm, arm.settled, arm.reverted),
            expected,
            "{percentage} {launched} {ceiling}"
        );
        assert_eq!(arm.epoch, 3);
        // Asked by another gate it is recorded as well, and once.
        let outer = gate(&snapshot, "outer", &ann());
        let arms: Vec<_> = outer.exposures().filter_map(|exposed| exposed.arm.as_ref()).collect();
        assert_eq!(arms, [arm]);
        // Nobody is in an arm without an id.
        let nobody = gate(&snapshot, "inner", &User::default());
        assert!(nobody.exposures().next().is_none());
    }
}

#[test]
fn an_experiment_decides_for_its_layer_with_its_own_exposure() {
    let yes = asks(&["shared"]);
    let experiment = spec(SpecKind::Experiment, vec![asks(&["shared", "own"]), everyone("user_id", 100.0)]);
    let delegate = Rule { delegate: Some("exp".to_owned()), id: "assignment".to_owned(), ..yes };
    let gates =
        ["shared", "own"].map(|key| (key.to_owned(), spec(SpecKind::Gate, vec![everyone("user_id", 100.0)])));
    let snapshot = compile(&Ruleset {
        gates: BTreeMap::from(gates),
        configs: BTreeMap::from([("exp".to_owned(), experiment)]),
        layers: BTreeMap::from([("layer".to_owned(), spec(SpecKind::Layer, vec![delegate]))]),
        ..Ruleset::default()
    });
    let decision = evaluate(&snapshot, Entity::Layer, "layer", &ann(), NOW);
    assert_eq!((decision.experiment, decision.rule_id, decision.own_nested), (Some("exp"), "asks", 1));
    let asked: Vec<&str> = decision.nested.iter().map(|nested| nested.gate).collect();
    assert_eq!(asked, ["shared", "own"]);
    let explained = explain(&snapshot, Entity::Layer, "layer", &ann(), NOW).unwrap();
    assert!(explained.rules[0].decides);
}

#[test]
fn a_long_cycle_is_named_in_part() {
    let names: Vec<String> = (0..2_000).map(|number| format!("gate{number}")).collect();
    let next = |index: usize| names[(index + 1) % names.len()].as_str();
    let gates: Vec<(&str, Vec<Rule>)> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), vec![asks(&[next(index)])])).collect();
    let snapshot = snapshot(&gates);
    assert_eq!(snapshot.faulty().count(), 2_000);
    assert!(snapshot.faulty().all(|(_, _, cause)| cause.len() < 600 && cause.ends_with("> ...")));
}

#[test]
fn an_exposure_carries_the_attributes_that_its_launch_names_and_no_others() {
    let arms = WatchedArms::Share { percentage: 50.0, ceiling: 50.0 };
    let segments = ["country", "plan", "browser_name", "email", "tier", "absent"].map(str::to_owned).to_vec();
    let watch = Some(Watch { launch: LaunchId(Uuid::nil()), epoch: 1, arms, segments });
    let launched = vec![Rule { watch, ..everyone("user_id", 50.0) }];
    let snapshot = snapshot(&[("launched", launched), ("calm", vec![everyone("user_id", 50.0)])]);
    let user_agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/114.0.5735.90 Safari/537.36";
    let user = User {
        country: "DE".to_owned(),
        email: "ann@example.com".to_owned(),
        user_agent: user_agent.to_owned(),
        custom: [("plan".to_owned(), "pro".into()), ("level".to_owned(), 7.into())].into(),
        private: [("tier".to_owned(), "gold".into())].into(),
        ..ann()
    };
    let kept = |key: &str, user: &User| {
        gate(&snapshot, key, user).exposure.unwrap().record(user).unwrap().attributes
    };
    let expected = [("browser_name", "Chrome"), ("country", "DE"), ("plan", "pro")];
    assert_eq!(
        kept("launched", &user),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    );
    assert!(kept("calm", &user).is_empty());
    // Where no country is given, it follows from the address.
    let elsewhere = User { country: String::new(), ip: "1.1.1.1".to_owned(), ..user };
    assert_eq!(kept("launched", &elsewhere)["country"], "US");
}
