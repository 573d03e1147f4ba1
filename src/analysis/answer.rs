//! The answer to every wish for more exposure, in one place: the evidence, shadow, overrides, and what people have to do first.

use super::cycle::unseen_by_ship;
use super::decision::{DecisionKind, Judgement, MetricVerdict, Reason, ReasonCode, Verdict};
use super::plan::by_evidence;
use crate::domain::latch::Latch;
use crate::domain::launch::{Launch, LaunchState, Needs, Target};
use crate::domain::metric::{Action, Metric};
use crate::domain::time::Timestamp;

/// Whether a launch may go on to more exposure now, and why: what the guard says, and what people have said of it.
#[must_use]
pub fn answer(
    launch: &Launch,
    judgement: Option<&Judgement>,
    latch: Option<&Latch>,
    now: Timestamp,
) -> (DecisionKind, Vec<Reason>) {
    let (kind, reasons) = match launch.target {
        // What an experiment comes to is that a group of it is shipped.
        Target::Experiment { .. } => answer_ship(launch, judgement, latch, now),
        _ => answer_raise(launch, judgement, latch, launch.needs(), now),
    };
    let mut waits = waits(launch);
    match kind {
        DecisionKind::Allow if waits.is_empty() => (kind, reasons),
        DecisionKind::Allow => {
            waits.extend(reasons.into_iter().filter(is_loud));
            (DecisionKind::Hold, waits)
        }
        _ => {
            waits.splice(0..0, reasons);
            (kind, waits)
        }
    }
}

/// Whether a group of an experiment may be shipped now, and why: by evidence, once that covers what the policy wants it to.
#[must_use]
pub fn answer_ship(
    launch: &Launch,
    judgement: Option<&Judgement>,
    latch: Option<&Latch>,
    now: Timestamp,
) -> (DecisionKind, Vec<Reason>) {
    let (kind, mut reasons) = answer_raise(launch, judgement, latch, Needs::Evidence, now);
    let Some(unseen) = judgement.and_then(|judgement| unseen_by_ship(launch, judgement)) else {
        return (kind, reasons);
    };
    let passes = launch.policy.policy.shadow || launch.override_at(now).is_some();
    match kind {
        DecisionKind::Allow if !passes => {
            reasons.insert(0, unseen);
            (DecisionKind::Hold, reasons)
        }
        DecisionKind::Allow | DecisionKind::Hold => {
            reasons.push(unseen);
            (kind, reasons)
        }
        DecisionKind::Block | DecisionKind::RollBack => (kind, reasons),
    }
}

/// Whether more units may get the treatment now, and why.
#[must_use]
pub fn answer_raise(
    launch: &Launch,
    judgement: Option<&Judgement>,
    latch: Option<&Latch>,
    needs: Needs,
    now: Timestamp,
) -> (DecisionKind, Vec<Reason>) {
    let (kind, reasons) = by_evidence(launch, judgement, latch, needs);
    let mut said = overridden(launch, now);
    let passes = match kind {
        DecisionKind::Allow => true,
        // A latch was closed by another launch than one in shadow, and bears on this one as on all others.
        DecisionKind::Block => !said.is_empty(),
        DecisionKind::Hold => !said.is_empty() || launch.policy.policy.shadow,
        DecisionKind::RollBack => launch.policy.policy.shadow,
    };
    if passes && kind != DecisionKind::Allow && said.is_empty() {
        let message = format!("in shadow: the guard would say {kind}, and does nothing");
        said.push(Reason::of_launch(ReasonCode::Shadow, message));
    }
    said.extend(reasons);
    said.extend(judgement.into_iter().flat_map(|judgement| for_show(launch, judgement)));
    (if passes { DecisionKind::Allow } else { kind }, said)
}

/// The override in force, to be said in every answer.
pub(super) fn overridden(launch: &Launch, now: Timestamp) -> Vec<Reason> {
    let said = launch.override_at(now).map(|word| {
        let left = word.expires_at.ms_since(now);
        let message = format!("overridden by {} for another {left} ms: {}", word.principal, word.reason);
        Reason::of_launch(ReasonCode::Overridden, message)
    });
    said.into_iter().collect()
}

/// What people have to do before the launch goes on.
fn waits(launch: &Launch) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if launch.state == LaunchState::Paused {
        reasons
            .push(Reason::of_launch(ReasonCode::Paused, "the launch is paused; a person has to resume it"));
    }
    if launch.awaits_approval() {
        let message = format!("step {} waits for a person's approval", launch.current_step);
        reasons.push(Reason::of_launch(ReasonCode::AwaitingApproval, message));
    }
    reasons
}

/// What guardrails would do that are for show.
fn for_show(launch: &Launch, judgement: &Judgement) -> Vec<Reason> {
    let shown = launch.metrics.iter().filter(|pinned| launch.is_for_show(&pinned.metric));
    let shown: Vec<&Metric> = shown.map(|pinned| &pinned.metric).collect();
    let of_verdict = |verdict: &MetricVerdict| {
        let metric = shown.iter().find(|metric| metric.key == verdict.metric)?;
        let would = match verdict.verdict {
            _ if metric.action == Action::Report => return None,
            Verdict::Harm if metric.rolls_back() => "roll back",
            Verdict::Harm | Verdict::Blind => "hold",
            Verdict::Safe | Verdict::Undecided => return None,
        };
        Some(Reason {
            code: ReasonCode::Shadow,
            message: format!("in shadow: {} is {} and would {would}", verdict.metric, verdict.verdict),
            metric: Some(verdict.metric.clone()),
            arm: Some(verdict.arm.clone()),
            segment: None,
        })
    };
    judgement.verdicts.iter().filter_map(of_verdict).collect()
}

fn is_loud(reason: &Reason) -> bool {
    matches!(reason.code, ReasonCode::Overridden | ReasonCode::Shadow)
}
