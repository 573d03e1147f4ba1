//! What the guard says of metrics, arms, limits and segments, as it is sent.

use super::convert::{count, wire_time};
use super::records::{code, e_value, moments, number};
use super::undefined::{Reasons, reason};
use super::wire;
use crate::analysis::blindness::blind_since;
use crate::analysis::decision::{
    ArmEvidence, EpochMoments, Judgement, MetricVerdict, SegmentVerdict, Verdict,
};
use crate::analysis::limits::LimitVerdict;
use crate::analysis::outlook::outlook;
use crate::domain::launch::Launch;

/// Of every metric in every arm; `launch` as it was judged.
pub(super) fn verdicts(launch: &Launch, judgement: &Judgement) -> Vec<wire::MetricVerdict> {
    judgement.verdicts.iter().map(|verdict| metric_verdict(launch, judgement, verdict)).collect()
}

/// Of every arm.
pub(super) fn arms(judgement: &Judgement) -> Vec<wire::ArmEvidence> {
    let arm = |arm: &ArmEvidence| wire::ArmEvidence {
        arm: arm.arm.clone(),
        e_value: arm.ln_e.map(e_value),
        harmed: arm.harmed,
        units: count(judgement.units.iter().filter(|row| row.arm == arm.arm).map(|row| row.units).sum()),
    };
    judgement.arms.iter().map(arm).collect()
}

/// Of absolute limits.
pub(super) fn limits(judgement: &Judgement) -> Vec<wire::LimitVerdict> {
    let limit = |limit: &LimitVerdict| wire::LimitVerdict {
        metric: limit.metric.clone(),
        arm: limit.arm.clone(),
        level: limit.level,
        value: limit.value,
        units: count(limit.units),
        e_value: e_value(limit.ln_e),
        verdict: verdict(limit.verdict).into(),
        reason: limit.reason.map_or(wire::ReasonCode::Unspecified, code).into(),
        weight: limit.weight,
    };
    judgement.limits.iter().map(limit).collect()
}

/// Of segments.
pub(super) fn segments(judgement: &Judgement) -> Vec<wire::SegmentVerdict> {
    let units = |segment: &SegmentVerdict, side: fn(&EpochMoments) -> u64| {
        count(segment.epochs.iter().map(side).sum())
    };
    let segment = |segment: &SegmentVerdict| wire::SegmentVerdict {
        metric: segment.metric.clone(),
        arm: segment.arm.clone(),
        column: segment.column.clone(),
        value: segment.value.clone(),
        harm: segment.harm,
        e_value: e_value(segment.ln_e),
        e_value_adjusted: e_value(segment.ln_e_adjusted),
        weight: segment.weight,
        control_units: units(segment, |epoch| epoch.within.control.n()),
        units: units(segment, |epoch| epoch.within.treatment.n()),
    };
    judgement.segments.iter().map(segment).collect()
}

fn verdict(verdict: Verdict) -> wire::Verdict {
    match verdict {
        Verdict::Safe => wire::Verdict::Safe,
        Verdict::Harm => wire::Verdict::Harm,
        Verdict::Undecided => wire::Verdict::Undecided,
        Verdict::Blind => wire::Verdict::Blind,
    }
}

fn metric_verdict(launch: &Launch, judgement: &Judgement, found: &MetricVerdict) -> wire::MetricVerdict {
    let outlook = (found.verdict == Verdict::Undecided).then(|| outlook(launch, judgement, found));
    let mut reasons = Reasons::default();
    let blind = found.reason.filter(|_| found.verdict == Verdict::Blind);
    let blind_since = blind.and_then(|reason| blind_since(launch, judgement, &found.metric, reason));
    let epoch = |epoch: &EpochMoments| wire::EpochMoments {
        epoch: number(epoch.epoch),
        control: Some(moments(epoch.within.control.counted())),
        treatment: Some(moments(epoch.within.treatment.counted())),
        control_settled: Some(moments(epoch.settled.control.counted())),
        treatment_settled: Some(moments(epoch.settled.treatment.counted())),
    };
    wire::MetricVerdict {
        metric: found.metric.clone(),
        arm: found.arm.clone(),
        verdict: verdict(found.verdict).into(),
        reason: found.reason.map_or(wire::ReasonCode::Unspecified, code).into(),
        guardrail: found.guardrail,
        e_value: e_value(found.ln_e),
        e_value_safe: e_value(found.ln_e_safe),
        weight: found.weight,
        epochs: found.by_epoch().iter().map(epoch).collect(),
        scale: found.scale,
        undefined: found.undefined.map_or(wire::UndefinedReason::Unspecified, reason).into(),
        p_value: judgement.p_value_of_verdict(launch, found),
        excluded_harm: outlook.and_then(|outlook| reasons.known("excluded_harm", outlook.excluded)),
        missing_units: outlook
            .and_then(|outlook| reasons.known("missing_units", outlook.missing_units))
            .map(count),
        missing_days: outlook.and_then(|outlook| reasons.known("missing_days", outlook.missing_days)),
        undefined_reasons: reasons.codes(),
        alpha_spent: found.weight * launch.alpha,
        blind_since_time: blind_since.map(wire_time),
    }
}
