//! Launches, verdicts, decisions and latches as they are sent.

use super::convert::{count, wire_step, wire_target, wire_time};
use super::documents::policy;
use super::verdicts::{arms, limits, segments, verdicts};
use super::wire;
use crate::admin::{Answer, Recorded, ReplayedDecision, ReplayedLaunch};
use crate::analysis::decision::{DecisionAction, DecisionKind, Reason, ReasonCode};
use crate::analysis::recovery::{Recovered, Recovery};
use crate::domain::latch::Latch;
use crate::domain::launch::{Approval, Arm, Epoch, Launch, LaunchState, Override, PinnedMetric};
use crate::domain::time::Timestamp;
use crate::stats::moments::Moments;

/// A launch.
pub(super) fn launch(launch: &Launch) -> wire::Launch {
    let state = match launch.state {
        LaunchState::Ramping => wire::LaunchState::Ramping,
        LaunchState::Paused => wire::LaunchState::Paused,
        LaunchState::Steady => wire::LaunchState::Steady,
        LaunchState::Completed => wire::LaunchState::Completed,
        LaunchState::RolledBack => wire::LaunchState::RolledBack,
        LaunchState::Cancelled => wire::LaunchState::Cancelled,
    };
    let epoch = |epoch: &Epoch| wire::Epoch {
        number: number(epoch.number),
        percentage: epoch.percentage,
        start_time: Some(wire_time(epoch.started_at)),
        end_time: epoch.ended_at.map(wire_time),
    };
    let arm = |arm: &Arm| wire::Arm { name: arm.name.clone(), stop_time: arm.stopped_at.map(wire_time) };
    wire::Launch {
        id: launch.id.to_string(),
        target: Some(wire_target(&launch.target)),
        state: state.into(),
        steps: launch.steps.iter().map(wire_step).collect(),
        current_step: i32::try_from(launch.current_step).unwrap_or(i32::MAX),
        epochs: launch.epochs.iter().map(epoch).collect(),
        arms: launch.arms.iter().map(arm).collect(),
        metrics: metrics(launch),
        alpha: launch.alpha,
        alpha_hold: launch.alpha_hold,
        rollback_percentage: launch.rollback_percentage,
        principal: launch.principal.clone(),
        start_time: Some(wire_time(launch.started_at)),
        end_time: launch.ended_at.map(wire_time),
        unit_type: launch.unit_type.clone(),
        approvals: launch.approvals.iter().map(approval).collect(),
        r#override: launch.overridden.as_ref().map(overridden),
        policy: Some(policy::sent(&launch.policy.policy, launch.policy.revision)),
    }
}

fn overridden(word: &Override) -> wire::LaunchOverride {
    wire::LaunchOverride {
        principal: word.principal.clone(),
        reason: word.reason.clone(),
        time: Some(wire_time(word.at)),
        expire_time: Some(wire_time(word.expires_at)),
    }
}

fn approval(approval: &Approval) -> wire::StepApproval {
    wire::StepApproval {
        step: i32::try_from(approval.step).unwrap_or(i32::MAX),
        principal: approval.principal.clone(),
        reason: approval.reason.clone(),
        time: Some(wire_time(approval.at)),
    }
}

/// The metrics of a launch, as it uses them.
fn metrics(launch: &Launch) -> Vec<wire::LaunchMetric> {
    let metric = |pinned: &PinnedMetric| wire::LaunchMetric {
        key: pinned.metric.key.clone(),
        revision: pinned.revision,
        guardrail: launch.is_guardrail(&pinned.metric),
    };
    launch.metrics.iter().map(metric).collect()
}

/// What the guard says now.
pub(super) fn answer(answer: &Answer) -> wire::CheckLaunchResponse {
    let judgement = answer.judgement.as_ref();
    let judged = answer.launch.as_ref().zip(judgement);
    wire::CheckLaunchResponse {
        decision: kind(answer.kind).into(),
        reasons: answer.reasons.iter().map(reason).collect(),
        e_value: judgement.map_or(1.0, |judgement| e_value(judgement.ln_e)),
        verdicts: judged.map(|(launch, found)| verdicts(launch, found)).unwrap_or_default(),
        p_value: judged.map(|(launch, found)| found.p_value(launch)),
        as_of: judgement.and_then(|judgement| judgement.as_of).map(wire_time),
        judge_time: judgement.map(|judgement| wire_time(judgement.at)),
        launch: answer.launch.as_ref().map(launch),
        latches: answer.latches.iter().map(|closed| latch(closed, answer.now)).collect(),
        limits: judgement.map(limits).unwrap_or_default(),
        segments: judgement.map(segments).unwrap_or_default(),
        recoveries: answer.recoveries.iter().map(recovery).collect(),
    }
}

fn recovery(recovery: &Recovery) -> wire::Recovery {
    wire::Recovery {
        metric: recovery.metric.clone(),
        arm: recovery.arm.clone(),
        state: match recovery.recovered {
            Recovered::Yes => wire::RecoveryState::Recovered,
            Recovered::NotYet => wire::RecoveryState::NotYet,
            Recovered::TooLittle => wire::RecoveryState::TooLittleData,
        }
        .into(),
        harm_before: recovery.harm_before,
        harm_since_low: recovery.harm_since.map(|since| since.low),
        harm_since_high: recovery.harm_since.map(|since| since.high),
        control: Some(moments(recovery.control.counted())),
        reverted: Some(moments(recovery.reverted.counted())),
        as_of: Some(wire_time(recovery.as_of)),
    }
}

/// A decision with its place in the stream.
pub(super) fn decision(recorded: &Recorded) -> wire::Decision {
    let decision = &recorded.decision;
    let judgement = decision.judgement.as_ref();
    wire::Decision {
        id: decision.id.0.to_string(),
        cursor: recorded.cursor,
        launch_id: decision.launch.id.to_string(),
        target: Some(wire_target(&decision.launch.target)),
        arm: decision.arm.clone().unwrap_or_default(),
        kind: kind(decision.kind).into(),
        action: action(decision.action).into(),
        reasons: decision.reasons.iter().map(reason).collect(),
        e_value: judgement.map_or(1.0, |judgement| e_value(judgement.ln_e)),
        alpha: decision.launch.alpha,
        verdicts: judgement.map(|found| verdicts(&decision.launch, found)).unwrap_or_default(),
        p_value: judgement.map(|found| found.p_value(&decision.launch)),
        as_of: judgement.and_then(|judgement| judgement.as_of).map(wire_time),
        actor: decision.actor.clone(),
        time: Some(wire_time(decision.at)),
        config_revision: decision.config_revision,
        percentage: decision.percentage,
        guard_age_ms: decision.guard_age_ms,
        watermark: judgement.and_then(|judgement| judgement.watermark).map(wire_time),
        metrics: metrics(&decision.launch),
        target_revision: decision.target_revision,
        arms: judgement.map(arms).unwrap_or_default(),
        sample_ratio_e_value: judgement.map_or(1.0, |judgement| e_value(judgement.ln_e_sample_ratio)),
        judge_time: judgement.map(|judgement| wire_time(judgement.at)),
        policy: Some(policy::sent(&decision.launch.policy.policy, decision.launch.policy.revision)),
        limits: judgement.map(limits).unwrap_or_default(),
        segments: judgement.map(segments).unwrap_or_default(),
    }
}

/// What a policy would have done with a launch.
pub(super) fn replayed(replayed: &ReplayedLaunch) -> wire::ReplayedLaunch {
    let decision = |found: &ReplayedDecision| wire::ReplayedDecision {
        time: Some(wire_time(found.at)),
        was: kind(found.was).into(),
        would: kind(found.would).into(),
        reasons: found.reasons.iter().map(reason).collect(),
    };
    wire::ReplayedLaunch {
        launch_id: replayed.launch.id.to_string(),
        target: Some(wire_target(&replayed.launch.target)),
        decision_count: count(replayed.decisions as u64),
        refusal: replayed.refusal.clone().unwrap_or_default(),
        stricter: replayed.stricter.as_ref().map(decision),
        looser: replayed.looser.as_ref().map(decision),
    }
}

/// A latch as it stands at `now`.
pub(super) fn latch(latch: &Latch, now: Timestamp) -> wire::Latch {
    let resolution = latch.resolution.as_ref();
    wire::Latch {
        id: latch.id.0.to_string(),
        target: Some(wire_target(&latch.target)),
        arm: latch.arm.clone().unwrap_or_default(),
        launch_id: latch.launch.to_string(),
        cause: latch.cause.clone(),
        close_time: Some(wire_time(latch.closed_at)),
        closed: latch.is_closed(now),
        resolved_by: resolution.map(|resolution| resolution.principal.clone()).unwrap_or_default(),
        resolve_reason: resolution.map(|resolution| resolution.reason.clone()).unwrap_or_default(),
        resolve_time: resolution.map(|resolution| wire_time(resolution.at)),
        expire_time: resolution.map(|resolution| wire_time(resolution.expires_at)),
    }
}

/// Sums over units.
pub(super) fn moments(moments: &Moments) -> wire::Moments {
    wire::Moments {
        n: count(moments.n),
        sum: moments.sum(),
        sum_squares: moments.sum_squares(),
        nonzero: count(moments.nonzero),
    }
}

/// The e-value of its logarithm, held at the largest number there is.
pub(super) fn e_value(ln_e: f64) -> f64 {
    ln_e.exp().min(f64::MAX)
}

pub(super) fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What is said of a launch.
pub(super) fn kind(kind: DecisionKind) -> wire::DecisionKind {
    match kind {
        DecisionKind::Allow => wire::DecisionKind::Allow,
        DecisionKind::Hold => wire::DecisionKind::Hold,
        DecisionKind::Block => wire::DecisionKind::Block,
        DecisionKind::RollBack => wire::DecisionKind::RollBack,
    }
}

fn action(action: DecisionAction) -> wire::DecisionAction {
    match action {
        DecisionAction::None => wire::DecisionAction::None,
        DecisionAction::Start => wire::DecisionAction::Start,
        DecisionAction::Advance => wire::DecisionAction::Advance,
        DecisionAction::Edit => wire::DecisionAction::Edit,
        DecisionAction::RollBack => wire::DecisionAction::RollBack,
        DecisionAction::StopArm => wire::DecisionAction::StopArm,
        DecisionAction::Complete => wire::DecisionAction::Complete,
        DecisionAction::Cancel => wire::DecisionAction::Cancel,
        DecisionAction::ResolveLatch => wire::DecisionAction::ResolveLatch,
        DecisionAction::Pause => wire::DecisionAction::Pause,
        DecisionAction::Resume => wire::DecisionAction::Resume,
        DecisionAction::Approve => wire::DecisionAction::Approve,
        DecisionAction::Override => wire::DecisionAction::Override,
    }
}

fn reason(reason: &Reason) -> wire::Reason {
    wire::Reason {
        code: code(reason.code).into(),
        message: reason.message.clone(),
        metric: reason.metric.clone().unwrap_or_default(),
        arm: reason.arm.clone().unwrap_or_default(),
        segment: reason.segment.clone().unwrap_or_default(),
    }
}

pub(super) fn code(code: ReasonCode) -> wire::ReasonCode {
    match code {
        ReasonCode::Harm => wire::ReasonCode::Harm,
        ReasonCode::LatchClosed => wire::ReasonCode::LatchClosed,
        ReasonCode::Warning => wire::ReasonCode::Warning,
        ReasonCode::Stale => wire::ReasonCode::Stale,
        ReasonCode::NoData => wire::ReasonCode::NoData,
        ReasonCode::BurnIn => wire::ReasonCode::BurnIn,
        ReasonCode::NotJudged => wire::ReasonCode::NotJudged,
        ReasonCode::Undecided => wire::ReasonCode::Undecided,
        ReasonCode::StepNotDone => wire::ReasonCode::StepNotDone,
        ReasonCode::NoHarmShown => wire::ReasonCode::NoHarmShown,
        ReasonCode::Safe => wire::ReasonCode::Safe,
        ReasonCode::Ended => wire::ReasonCode::Ended,
        ReasonCode::Operator => wire::ReasonCode::Operator,
        ReasonCode::NoLaunch => wire::ReasonCode::NoLaunch,
        ReasonCode::NoVariance => wire::ReasonCode::NoVariance,
        ReasonCode::SampleRatio => wire::ReasonCode::SampleRatio,
        ReasonCode::Undefined => wire::ReasonCode::Undefined,
        ReasonCode::AuditFailed => wire::ReasonCode::AuditFailed,
        ReasonCode::NoBaseline => wire::ReasonCode::NoBaseline,
        ReasonCode::Paused => wire::ReasonCode::Paused,
        ReasonCode::AwaitingApproval => wire::ReasonCode::AwaitingApproval,
        ReasonCode::Overridden => wire::ReasonCode::Overridden,
        ReasonCode::Shadow => wire::ReasonCode::Shadow,
        ReasonCode::Policy => wire::ReasonCode::Policy,
        ReasonCode::Limit => wire::ReasonCode::Limit,
        ReasonCode::HarmInSegment => wire::ReasonCode::HarmInSegment,
    }
}
