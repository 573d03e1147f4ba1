//! What the guard says and does.

mod blindness;
mod cycle;
mod evidence;
mod faults;
mod left_behind;
mod limits;
mod recovery;
mod scorecard;
mod segments;
mod situations;
mod worked_examples;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::answer::answer_raise;
use super::decision::{DecisionKind, Judgement, MetricVerdict, Reason, ReasonCode, Verdict};
use super::judge::judge;
use super::measurement::{ArmMoments, ArmUnits, Measurement};
use super::plan::{Action, Plan, plan};
use crate::domain::latch::{Latch, LatchId};
use crate::domain::launch::{
    CONTROL, Launch, LaunchId, LaunchPlan, LaunchState, Needs, PinnedMetric, Step, TREATMENT, Target,
};
use crate::domain::metric::{DEFAULT_SHIP_MARGIN, Direction, GUARDRAIL_TAG, Metric, MetricKind};
use crate::domain::policy::Cycle;
use crate::domain::time::Timestamp;
use crate::stats::moments::{Moments, RawSums};
use crate::stats::outcome::Outcome;

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);
/// An hour after the start.
pub(super) const NOW: Timestamp = Timestamp(START.0 + HOUR_MS);

pub(super) fn guardrail(key: &str) -> Metric {
    Metric { tags: vec![GUARDRAIL_TAG.to_owned()], ..Metric::of(key, MetricKind::Count, key) }
}

pub(super) fn launch(target: Target, arms: &[&str], metrics: Vec<Metric>, steps: Vec<Step>) -> Launch {
    let pin = |metric| PinnedMetric { metric, revision: 1, scale: None };
    let plan = LaunchPlan {
        id: LaunchId(Uuid::nil()),
        target,
        unit_type: "user_id".to_owned(),
        steps,
        arms: arms.iter().map(|arm| (*arm).to_owned()).collect(),
        metrics: metrics.into_iter().map(pin).collect(),
        rollback_percentage: 0.0,
        principal: "alice".to_owned(),
    };
    let mut launch = Launch::begin(plan, START);
    launch.policy.policy.cycle = Some(Cycle::NONE);
    launch
}

pub(super) fn gate(metrics: Vec<Metric>, steps: Vec<Step>) -> Launch {
    let target = Target::GateRule { gate: "checkout".to_owned(), rule: "everyone".to_owned() };
    launch(target, &[CONTROL, TREATMENT], metrics, steps)
}

/// A gate at 50 percent with one guardrail and one step after it.
pub(super) fn ramp(needs: Needs) -> Launch {
    ramp_from(50.0, needs)
}

pub(super) fn ramp_from(percentage: f64, needs: Needs) -> Launch {
    let step = Step { percentage, min_duration_ms: HOUR_MS, min_units: 500, needs };
    gate(vec![guardrail("buys")], vec![step, Step::at_once(80.0)])
}

pub(super) const ARMS: [&str; 5] = ["control", "a", "b", "c", "d"];

/// An experiment with four treatments.
pub(super) fn experiment() -> Launch {
    let target = Target::Experiment { experiment: "colour".to_owned() };
    launch(target, &ARMS, vec![guardrail("buys")], vec![Step::at_once(100.0)])
}

/// Units of which `ones` have the value 1.
pub(super) fn moments(n: u64, ones: u64) -> Moments {
    RawSums { n, sum: ones as f64, sum_squares: ones as f64, nonzero: ones }.about(0.0)
}

/// One metric's arms in the order of the launch, all in its first epoch.
pub(super) fn measured(launch: &Launch, arms: &[Moments]) -> Measurement {
    let row = |(arm, moments): (&crate::domain::launch::Arm, &Moments)| ArmMoments {
        epoch: 1,
        arm: arm.name.clone(),
        week: 0,
        moments: Outcome::Mean(*moments),
        settled: Outcome::Mean(*moments),
        past: Vec::new(),
    };
    let rows: Vec<ArmMoments> = launch.arms.iter().zip(arms).map(row).collect();
    let units = rows.iter().map(|row| ArmUnits { epoch: 1, arm: row.arm.clone(), units: row.moments.n() });
    let units = units.collect();
    let metrics = launch.metrics.iter().map(|pinned| (pinned.metric.key.clone(), rows.clone()));
    unbucketed(units, metrics.collect())
}

/// What was measured by now, without times.
pub(super) fn unbucketed(units: Vec<ArmUnits>, metrics: BTreeMap<String, Vec<ArmMoments>>) -> Measurement {
    let shares = BTreeMap::new();
    Measurement {
        as_of: NOW,
        watermark: NOW,
        units,
        shares,
        kept_from: None,
        stripped: BTreeSet::new(),
        metrics,
        ..Measurement::default()
    }
}

pub(super) fn look(launch: &Launch, arms: &[Moments]) -> Judgement {
    judge(launch, Some(&measured(launch, arms)), NOW)
}

pub(super) fn decide(launch: &Launch, arms: &[Moments]) -> Plan {
    plan(launch, &look(launch, arms), None, NOW)
}

pub(super) fn codes(reasons: &[Reason]) -> Vec<ReasonCode> {
    reasons.iter().map(|reason| reason.code).collect()
}

pub(super) fn only(judgement: &Judgement) -> &MetricVerdict {
    assert_eq!(judgement.verdicts.len(), 1);
    &judgement.verdicts[0]
}

/// Nothing new under test: no harm, and not enough to show safety.
pub(super) fn same() -> [Moments; 2] {
    [moments(2_000, 200), moments(2_000, 200)]
}

/// A fall by a half.
pub(super) fn harm() -> [Moments; 2] {
    [moments(5_000, 500), moments(5_000, 250)]
}
