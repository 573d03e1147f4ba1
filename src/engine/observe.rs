//! What an SDK says it served, matched to the launch that watches: SDKs evaluate by themselves, from rules that may be a
//! little old.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bucketing;
use super::evaluate::{DISABLED_RULE, Entity, Exposed, ExposedArm, MISSING_UNIT_RULE, exposed_arm};
use super::form::WatchedArms;
use super::snapshot::Snapshot;
use crate::domain::launch::{CONTROL, Epoch, Launch, LaunchId, TREATMENT};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// What an SDK served to one user.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// What was asked.
    pub entity: Entity,
    /// Its key.
    pub key: &'a str,
    /// The rule that decided, as the SDK names it.
    pub rule_id: &'a str,
    /// Whether the rule was passed; none where the SDK does not say. For experiments it says nothing.
    pub passed: Option<bool>,
    /// When.
    pub at: Timestamp,
    /// When the configuration was changed that the SDK had its rules from; the time of the exposure, where it does not say.
    pub rules_at: Timestamp,
}

/// What is known of an exposure that an SDK reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Observed<'s> {
    /// What to record.
    Exposed(Exposed<'s>),
    /// The unit was seen by a rule that a launch watches, and what it was served fits none of the launch's epochs. It is in
    /// no arm.
    Stale(Exposed<'s>),
    /// Nothing was decided for a unit, or nothing is known of what decided.
    Nothing,
}

/// Matches what an SDK served to the launch of the rule that decided. No attributes are needed: the unit's part follows
/// from its id.
///
/// It belongs to the newest epoch that the SDK could know of and in which the unit gets what it was served. Going by the
/// rules keeps the arms in proportion: by what was served alone, units that are served alike before and after a raise would
/// count at once, and the others only after the SDK has the new rules.
#[must_use]
pub fn observe<'s>(
    snapshot: &'s Snapshot,
    launches: &'s BTreeMap<LaunchId, Arc<Launch>>,
    served: Served<'_>,
    user: &User,
) -> Observed<'s> {
    let decided = ![DISABLED_RULE, MISSING_UNIT_RULE, ""].contains(&served.rule_id);
    let Some(spec) = snapshot.find(served.entity, served.key).filter(|_| decided) else {
        return Observed::Nothing;
    };
    let mut rules = spec.rules.iter().zip(&spec.form.rules);
    let Some((rule, form)) = rules.find(|(_, form)| form.id == served.rule_id) else {
        // No rule matched, or the rule is gone by now: the unit was seen all the same.
        return Observed::Exposed(Exposed { unit_type: &spec.form.unit_type, at: served.at, arm: None });
    };
    let exposed = |arm| Exposed { unit_type: &form.unit_type, at: served.at, arm };
    let Some(unit) = rule.unit.of(user) else {
        return Observed::Nothing;
    };
    let watched = form.watch.as_ref().and_then(|watch| Some((watch, launches.get(&watch.launch)?)));
    let Some((watch, launch)) = watched else {
        return Observed::Exposed(exposed(None));
    };
    let arm = match &watch.arms {
        WatchedArms::Group { arm, .. } => group_arm(launch, arm, served.rules_at),
        WatchedArms::Share { .. } => {
            let part = rule.prefix.part(unit);
            let is_over = launch.ended_at.is_some_and(|ended| served.rules_at >= ended);
            let now_passes = bucketing::is_within(part, form.percentage);
            if is_over && served.passed.is_none_or(|passed| passed == now_passes) {
                exposed_arm(watch, part, now_passes)
            } else {
                share_arm(launch, part, served.passed, served.rules_at)
            }
        }
        WatchedArms::Released { .. } => {
            let part = rule.prefix.part(unit);
            let is_held = bucketing::is_within(part, form.percentage);
            match exposed_arm(watch, part, is_held) {
                // Others are not compared, whatever they were served.
                None => return Observed::Exposed(exposed(None)),
                // Rules from before the release, or from before it was taken back.
                Some(_) if served.passed != Some(is_held) => None,
                arm => arm,
            }
        }
    };
    match arm {
        Some(arm) => Observed::Exposed(exposed(Some(arm))),
        None => Observed::Stale(exposed(None)),
    }
}

/// The arm of a unit of an experiment. Arms never swap units, so that the newest epoch is right for every rule that an SDK
/// may have had.
pub(super) fn group_arm<'s>(launch: &'s Launch, arm: &'s str, rules_at: Timestamp) -> Option<ExposedArm<'s>> {
    let epoch = begun(launch, rules_at).next()?.number;
    let stopped = launch.arms.iter().find(|other| other.name == arm).and_then(|arm| arm.stopped_at);
    let reverted = stopped.or(launch.ended_at).is_some_and(|end| rules_at >= end);
    let segments = &launch.policy.policy.segments;
    Some(ExposedArm { launch: launch.id, epoch, arm, settled: true, reverted, segments })
}

/// The arm of a unit in the newest epoch in which it gets what it was served.
pub(super) fn share_arm(
    launch: &Launch,
    part: u64,
    passed: Option<bool>,
    rules_at: Timestamp,
) -> Option<ExposedArm<'_>> {
    let fits =
        |epoch: &&Epoch| passed.is_none_or(|passed| bucketing::is_within(part, epoch.percentage) == passed);
    let epoch = begun(launch, rules_at).find(fits)?;
    let passed = bucketing::is_within(part, epoch.percentage);
    let settled = passed || !bucketing::is_within(part, epoch.ceiling);
    let arm = if passed { TREATMENT } else { CONTROL };
    let segments = &launch.policy.policy.segments;
    Some(ExposedArm { launch: launch.id, epoch: epoch.number, arm, settled, reverted: false, segments })
}

/// The epochs that had begun by a time, newest first.
fn begun(launch: &Launch, at: Timestamp) -> impl Iterator<Item = &Epoch> {
    launch.epochs.iter().rev().filter(move |epoch| epoch.started_at <= at)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::launch::{LaunchPlan, LaunchState, Step, Target};
    use crate::engine::compile::compile;
    use crate::engine::form::{Rule, Ruleset, Spec, SpecKind, Watch};
    use crate::engine::reason::Reason;

    /// A gate's launch at 20 %, at 60 % from time 100 on, and rolled back at time 200.
    fn rolled_back() -> Launch {
        let plan = LaunchPlan {
            id: LaunchId(Uuid::from_u128(1)),
            target: Target::GateRule { gate: "gate".to_owned(), rule: "rule".to_owned() },
            unit_type: "user_id".to_owned(),
            steps: vec![Step::at_once(20.0), Step::at_once(60.0)],
            arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
            metrics: Vec::new(),
            rollback_percentage: 0.0,
            principal: String::new(),
        };
        let mut launch = Launch::begin(plan, Timestamp(0));
        launch.advance(Timestamp(100));
        launch.end(LaunchState::RolledBack, Timestamp(200));
        launch
    }

    /// The gate as it is lowered after the rollback.
    fn snapshot(launch: &Launch) -> Snapshot {
        let arms = WatchedArms::Share { percentage: 60.0, ceiling: 60.0 };
        let rule = Rule {
            percentage: 0.0,
            watch: Some(Watch { launch: launch.id, epoch: 3, arms, segments: Vec::new() }),
            ..Rule::new("rule", "user_id", Vec::new())
        };
        let spec = Spec {
            kind: SpecKind::Gate,
            unit_type: "user_id".to_owned(),
            salt: "gate".to_owned(),
            enabled: true,
            requires_unit: true,
            default_value: BTreeMap::new(),
            rules: vec![rule],
            fallback: Reason::NoRule,
            version: 1,
            target_apps: Vec::new(),
            experiment: None,
        };
        let gates = BTreeMap::from([("gate".to_owned(), Arc::new(spec))]);
        compile(&Ruleset { gates, ..Ruleset::default() })
    }

    /// A user whose part of the rule is from `from` percent to below `to` percent.
    fn user_within(from: f64, to: f64) -> User {
        let user = |number: u32| User { user_id: format!("user-{number}"), ..User::default() };
        let fits = |user: &User| {
            let part = bucketing::part("gate", "rule", &user.user_id);
            bucketing::is_within(part, to) && !bucketing::is_within(part, from)
        };
        (0..10_000).map(user).find(fits).unwrap()
    }

    #[test]
    fn what_was_served_belongs_to_the_newest_epoch_that_it_fits() {
        let launch = rolled_back();
        let snapshot = snapshot(&launch);
        let launches = BTreeMap::from([(launch.id, Arc::new(launch))]);
        let (low, middle, high) = (user_within(0.0, 20.0), user_within(20.0, 60.0), user_within(60.0, 100.0));
        // User, what was served and from which rules; then epoch, arm, settled and reverted, or none where it fits no epoch.
        let cases = [
            (&low, true, 50, Some((1, TREATMENT, true, false))),
            (&low, false, 50, None),
            (&middle, false, 50, Some((1, CONTROL, false, false))),
            (&middle, true, 50, None),
            (&high, false, 50, Some((1, CONTROL, true, false))),
            (&low, true, 150, Some((2, TREATMENT, true, false))),
            (&middle, true, 150, Some((2, TREATMENT, true, false))),
            (&middle, false, 150, Some((1, CONTROL, false, false))),
            (&high, false, 150, Some((2, CONTROL, true, false))),
            (&high, true, 150, None),
            (&low, false, 250, Some((3, TREATMENT, true, true))),
            (&middle, false, 250, Some((3, TREATMENT, true, true))),
            (&high, false, 250, Some((3, CONTROL, true, false))),
            (&middle, true, 250, Some((2, TREATMENT, true, false))),
            (&low, true, -1, None),
        ];
        for (user, passed, at, expected) in cases {
            let served = Served {
                entity: Entity::Gate,
                key: "gate",
                rule_id: "rule",
                passed: Some(passed),
                at: Timestamp(999),
                rules_at: Timestamp(at),
            };
            let found = match observe(&snapshot, &launches, served, user) {
                Observed::Exposed(Exposed { arm: Some(arm), .. }) => {
                    Some((arm.epoch, arm.arm, arm.settled, arm.reverted))
                }
                Observed::Stale(_) => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{} {passed} at {at}", user.user_id);
        }
    }

    #[test]
    fn what_says_nothing_about_a_unit_is_nothing() {
        let launch = rolled_back();
        let snapshot = snapshot(&launch);
        let launches = BTreeMap::from([(launch.id, Arc::new(launch))]);
        let user = user_within(0.0, 20.0);
        let served = |key: &'static str, rule_id: &'static str| Served {
            entity: Entity::Gate,
            key,
            rule_id,
            passed: Some(true),
            at: Timestamp(50),
            rules_at: Timestamp(50),
        };
        for (key, rule_id) in
            [("other", "rule"), ("gate", ""), ("gate", "disabled"), ("gate", "missing_unit")]
        {
            let observed = observe(&snapshot, &launches, served(key, rule_id), &user);
            assert_eq!(observed, Observed::Nothing, "{key} {rule_id}");
        }
        assert_eq!(
            observe(&snapshot, &launches, served("gate", "rule"), &User::default()),
            Observed::Nothing
        );
        // A rule that is gone says no more than that the unit was seen.
        let seen = Exposed { unit_type: "user_id", at: Timestamp(50), arm: None };
        let observed = observe(&snapshot, &launches, served("gate", "default"), &user);
        assert_eq!(observed, Observed::Exposed(seen));
    }
}
