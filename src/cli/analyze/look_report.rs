//! What the guard says at each look.

use serde::Serialize;

use super::judged::Judged;
use super::looks::Look;
use crate::analysis::decision::{Bucket, DecisionKind, Reason, ReasonCode, Verdict};
use crate::cli::figures;
use crate::cli::number::{Number, Reasons};
use crate::domain::launch::Launch;

/// What the guard says at one look, which it takes as if it had not acted on an earlier one.
#[derive(Debug, Serialize)]
pub(super) struct LookReport {
    pub(super) look: serde_json::Number,
    /// Units of all arms so far.
    pub(super) units: u64,
    pub(super) decision: DecisionKind,
    pub(super) reasons: Vec<Reason>,
    pub(super) e_value: Number,
    pub(super) ln_e: f64,
    /// The smallest e-value with one of the kept looks left out.
    pub(super) e_value_without_one_look: Number,
    pub(super) ln_e_without_one_look: f64,
    /// The look that is left out there.
    pub(super) without_look: Option<serde_json::Number>,
    pub(super) verdicts: Vec<LookVerdict>,
    #[serde(flatten)]
    pub(super) undefined: Reasons,
}

/// What is said of one guardrail in one arm.
#[derive(Debug, Serialize)]
pub(super) struct LookVerdict {
    pub(super) metric: String,
    pub(super) arm: String,
    pub(super) e_value: Number,
    pub(super) ln_e: f64,
    /// The smallest with one of the kept looks left out, whichever that is.
    pub(super) e_value_without_one_look: Number,
    pub(super) ln_e_without_one_look: f64,
    pub(super) verdict: Verdict,
    pub(super) verdict_reason: Option<ReasonCode>,
}

/// Every look, oldest first.
pub(super) fn reports(launch: &Launch, looks: &[Look], judged: &[Judged]) -> Vec<LookReport> {
    looks.iter().zip(judged).map(|(look, judged)| report(launch, looks, look, judged)).collect()
}

fn report(launch: &Launch, looks: &[Look], look: &Look, judged: &Judged) -> LookReport {
    let judgement = &judged.judgement;
    let left = judged.left.as_ref();
    let without = left.map_or(0.0, |left| left.launch.ln_e);
    let without_look = left.and_then(|left| left.launch.bucket).and_then(|bucket| number(looks, bucket));
    let (e_value, least) = (Number::e_value(judgement.ln_e), Number::e_value(without));
    let verdicts = judgement.verdicts.iter().enumerate().map(|(place, verdict)| {
        let without = left.and_then(|left| left.own.get(place)).copied().unwrap_or_default();
        LookVerdict {
            metric: verdict.metric.clone(),
            arm: verdict.arm.clone(),
            e_value: Number::e_value(verdict.ln_e),
            ln_e: verdict.ln_e,
            e_value_without_one_look: Number::e_value(without),
            ln_e_without_one_look: without,
            verdict: verdict.verdict,
            verdict_reason: verdict.reason,
        }
    });
    let carried = judgement.least.filter(|least| least.ln_e < -launch.alpha.ln());
    let reasons_told = judged.plan.reasons.iter().map(|reason| match (reason.code, carried) {
        // The guard knows looks by their time only.
        (ReasonCode::Warning, Some(carried)) if reason.metric.is_none() => {
            let look = carried.bucket.and_then(|bucket| number(looks, bucket));
            let message = format!(
                "the e-value {} for harm is carried by look {}: without it, it is {}",
                figures::e_value(e_value),
                look.map_or_else(String::new, |look| look.to_string()),
                figures::e_value(Number::e_value(carried.ln_e))
            );
            Reason { message, ..reason.clone() }
        }
        _ => reason.clone(),
    });
    LookReport {
        look: look.number.clone(),
        units: look.arms.values().map(|arm| arm.units).sum(),
        decision: judged.plan.kind,
        reasons: reasons_told.collect(),
        e_value,
        ln_e: judgement.ln_e,
        e_value_without_one_look: least,
        ln_e_without_one_look: without,
        without_look,
        verdicts: verdicts.collect(),
        undefined: Reasons::of(&[("e_value", e_value), ("e_value_without_one_look", least)]),
    }
}

/// The look that ends a bucket.
fn number(looks: &[Look], bucket: Bucket) -> Option<serde_json::Number> {
    let place = usize::try_from(bucket.to.0).ok()?.checked_sub(1)?;
    looks.get(place).map(|look| look.number.clone())
}
