//! What an SDK says it served, matched to the launch that watches: SDKs evaluate by themselves, from rules that may be a
//! little old.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bucketing;
use super::evaluate::{DISABLED_RULE, Entity, Exposed, ExposedArm, MISSING_UNIT_RULE, exposed_arm};
use super::form::{Watch, WatchedArms};
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
    /// Whether the rule was passed; for experiments it says nothing.
    pub passed: bool,
    /// When.
    pub at: Timestamp,
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
/// It belongs to the newest epoch that had begun by then and in which the unit gets what it was served.
#[must_use]
pub fn observe<'s>(
    snapshot: &'s Snapshot,
    launches: &BTreeMap<LaunchId, Arc<Launch>>,
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
        WatchedArms::Group { arm, .. } => group_arm(watch, launch, arm, served.at),
        WatchedArms::Share { .. } => {
            let salt = form.salt.as_deref().unwrap_or(&form.id);
            let part = bucketing::part(&spec.form.salt, salt, unit);
            let is_over = launch.ended_at.is_some_and(|ended| served.at >= ended);
            if is_over && served.passed == bucketing::is_within(part, form.percentage) {
                exposed_arm(watch, part, served.passed)
            } else {
                share_arm(launch, part, &served)
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
fn group_arm<'s>(watch: &Watch, launch: &Launch, arm: &'s str, at: Timestamp) -> Option<ExposedArm<'s>> {
    let epoch = begun(launch, at).next()?.number;
    let stopped = launch.arms.iter().find(|other| other.name == arm).and_then(|arm| arm.stopped_at);
    let reverted = stopped.or(launch.ended_at).is_some_and(|end| at >= end);
    Some(ExposedArm { launch: watch.launch, epoch, arm, settled: true, reverted })
}

/// The arm of a unit in the newest epoch in which it gets what it was served.
fn share_arm<'s>(launch: &Launch, part: u64, served: &Served<'_>) -> Option<ExposedArm<'s>> {
    let epoch = begun(launch, served.at)
        .find(|epoch| bucketing::is_within(part, epoch.percentage) == served.passed)?;
    let settled = served.passed || !bucketing::is_within(part, epoch.ceiling);
    let arm = if served.passed { TREATMENT } else { CONTROL };
    Some(ExposedArm { launch: launch.id, epoch: epoch.number, arm, settled, reverted: false })
}

/// The epochs that had begun by a time, newest first.
fn begun(launch: &Launch, at: Timestamp) -> impl Iterator<Item = &Epoch> {
    launch.epochs.iter().rev().filter(move |epoch| epoch.started_at <= at)
}
