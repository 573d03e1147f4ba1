//! Whether a guardrail that was harmed is back at the control's level since the treatment was turned off.
//!
//! After a rollback whoever would have the treatment is recorded as reverted, and whoever would not as control. Both get
//! the same by then, so that a difference between them is harm that lasts. It is judged by the guard's own arithmetic, on
//! the units as they came since: score and information by the launch's scale, and an interval that holds at every look.

use super::comparison::{View, total};
use super::decision::{Compared, Judgement, MetricVerdict, Verdict};
use super::measurement::Measurement;
use crate::domain::launch::{Arm, Epoch, Launch, LaunchState};
use crate::domain::metric::{Direction, Metric};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::stats::anytime;
use crate::stats::e_process::{MIN_EXPECTED_NONZERO, Test, burn_in_done, epoch_evidence};
use crate::stats::effect::Interval;
use crate::stats::outcome::{Outcome, estimates};

/// How long after the treatment was turned off it is told, in milliseconds.
pub const TOLD_FOR_MS: i64 = 7 * DAY_MS;
/// Level of the interval.
const LEVEL: f64 = 0.95;
/// Recovered is what has lost more than this share of the harm for certain.
const LOST: f64 = 0.5;

/// What is known of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// No harm is shown any more, and half of the harm that there was is excluded.
    Yes,
    /// The reverted units are still shown worse than the control.
    NotYet,
    /// Too few units came since to tell.
    TooLittle,
}

/// A harmed guardrail since the treatment was turned off.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// Key of the metric.
    pub metric: String,
    /// Name of the arm that was harmed.
    pub arm: String,
    /// Whether it has recovered.
    pub recovered: Recovered,
    /// How much worse the arm was when it was turned off, as a share of the metric's scale.
    pub harm_before: f64,
    /// How much worse the reverted units are since: both ends hold at every look with 95 %. None while too few came, or did
    /// anything.
    pub harm_since: Option<Interval>,
    /// Units of the control since then, and what they did.
    pub control: Outcome,
    /// Reverted units, and what they did.
    pub reverted: Outcome,
    /// Event time up to which everything is counted.
    pub as_of: Timestamp,
}

/// The time since treatment was turned off.
#[derive(Clone, Debug, PartialEq)]
pub struct Since {
    /// The arm that was stopped while the others go on; none after a rollback of the whole.
    pub arm: Option<String>,
    /// That time as a launch of its own.
    pub launch: Launch,
}

/// The times since treatment was turned off, of the whole launch or of single arms; none where nothing was, or too long ago.
#[must_use]
pub fn since_turned_off(launch: &Launch, now: Timestamp) -> Vec<Since> {
    let stopped = launch.arms.iter().filter_map(|arm| since_stop(launch, arm, now));
    since_rollback(launch, now).into_iter().chain(stopped).collect()
}

/// One epoch, whose units are those that come after the launch.
fn since_rollback(launch: &Launch, now: Timestamp) -> Option<Since> {
    let (last, ended_at) = (launch.epoch()?, launch.ended_at?);
    if launch.state != LaunchState::RolledBack || now.ms_since(ended_at) > TOLD_FOR_MS {
        return None;
    }
    // The number under which exposures are recorded from then on.
    let number = last.number.saturating_add(1);
    let epoch = Epoch { number, started_at: ended_at, ended_at: None, regrouped: false, ..last.clone() };
    Some(Since { arm: None, launch: from(launch, ended_at, vec![epoch]) })
}

/// What is left of the launch's epochs, which go on.
fn since_stop(launch: &Launch, arm: &Arm, now: Timestamp) -> Option<Since> {
    let stopped_at = arm.stopped_at?;
    if !launch.is_live() || now.ms_since(stopped_at) > TOLD_FOR_MS {
        return None;
    }
    let later = launch.epochs.iter().filter(|epoch| epoch.ended_at.is_none_or(|end| end > stopped_at));
    let later = later.map(|epoch| Epoch { started_at: epoch.started_at.max(stopped_at), ..epoch.clone() });
    Some(Since { arm: Some(arm.name.clone()), launch: from(launch, stopped_at, later.collect()) })
}

fn from(launch: &Launch, at: Timestamp, epochs: Vec<Epoch>) -> Launch {
    let metrics = launch.guardrails().cloned().collect();
    Launch { epochs, metrics, started_at: at, ended_at: None, ..launch.clone() }
}

/// What is known of each harmed guardrail, from the judgement that turned the treatment off, of all arms or of one, and from
/// what was measured since. Where only all guardrails together showed harm, each that is worse counts as harmed.
#[must_use]
pub fn recoveries(
    launch: &Launch,
    arm: Option<&str>,
    judgement: &Judgement,
    since: &Measurement,
) -> Vec<Recovery> {
    let guardrails = || {
        let of_arm = |verdict: &&MetricVerdict| arm.is_none_or(|arm| arm == verdict.arm);
        judgement.verdicts.iter().filter(|verdict| verdict.guardrail).filter(of_arm)
    };
    let shown = guardrails().any(|verdict| verdict.verdict == Verdict::Harm);
    let harmed = guardrails().filter(|verdict| !shown || verdict.verdict == Verdict::Harm);
    harmed.filter_map(|verdict| recovery(launch, verdict, since)).collect()
}

fn recovery(launch: &Launch, verdict: &MetricVerdict, since: &Measurement) -> Option<Recovery> {
    let pinned = launch.metrics.iter().find(|pinned| pinned.metric.key == verdict.metric)?;
    let scale = pinned.scale.or(verdict.scale)?;
    let Compared { control, treatment } = total(verdict.epochs.iter(), View::Within);
    let then = treatment.counts();
    let [control, treatment, _] = estimates(&control, &treatment).ok()?;
    let metric = &pinned.metric;
    let worse = match metric.direction {
        Direction::HigherIsBetter => -1.0,
        Direction::LowerIsBetter => 1.0,
    };
    let harm_before = worse * treatment.above(&control) / scale;
    if harm_before <= 0.0 {
        return None;
    }
    let of_arm = |arm: &str| {
        let rows = since.metrics.get(&verdict.metric).into_iter().flatten().filter(|row| row.arm == arm);
        rows.fold(Outcome::default(), |sum, row| sum.merged(row.moments))
    };
    let (control, reverted) = (of_arm(launch.control()), of_arm(&verdict.arm));
    let harm_since = harm(metric, scale, &control, &reverted);
    // What only the treatment did, and nobody does any more: as many as came would have shown it.
    let gone = || {
        let now = reverted.counts();
        let expected = now.units as f64 * then.nonzero as f64 / then.units.max(1) as f64;
        now.nonzero == 0 && control.counts().nonzero == 0 && expected >= MIN_EXPECTED_NONZERO
    };
    let recovered = match harm_since {
        Some(Interval { low, .. }) if low > 0.0 => Recovered::NotYet,
        Some(Interval { high, .. }) if high < LOST * harm_before => Recovered::Yes,
        None if metric.direction == Direction::LowerIsBetter && gone() => Recovered::Yes,
        _ => Recovered::TooLittle,
    };
    let (key, arm, as_of) = (verdict.metric.clone(), verdict.arm.clone(), since.as_of);
    Some(Recovery { metric: key, arm, recovered, harm_before, harm_since, control, reverted, as_of })
}

/// How much worse the reverted units are than the control, in shares of the scale.
fn harm(metric: &Metric, scale: f64, control: &Outcome, reverted: &Outcome) -> Option<Interval> {
    if !burn_in_done(control.counts(), reverted.counts(), metric.min_units) {
        return None;
    }
    let evidence = epoch_evidence(control, reverted, metric.direction, Test::Harm(0.0), scale).ok()?;
    anytime::interval(evidence, LEVEL)
}
