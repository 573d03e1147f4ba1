//! Whether an effect differs between segments of the units, and whether one of them is harmed.
//!
//! Segments say where to look. They do not enter the launch-level e-value, and no segment rolls a launch back by itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::effects::LEVELS;
use super::judged::judge_table;
use super::measure::Arms;
use crate::analysis::decision::MetricVerdict;
use crate::analysis::effects::{IntervalMethod, absolute, contrasts, one_look, value};
use crate::cli::number::{Interval, Number, Reasons};
use crate::domain::launch::Launch;
use crate::stats::combination::{Weighted, ln_adjusted};
use crate::stats::effect::Effect;
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// One guardrail in one arm and segment.
#[derive(Debug, Serialize)]
pub(super) struct SegmentReport {
    pub(super) segment: String,
    pub(super) metric: String,
    pub(super) arm: String,
    /// Units of the control and of the arm.
    pub(super) n: [u64; 2],
    pub(super) effect: Number,
    /// At 95 %, for one planned look.
    pub(super) interval: Interval,
    /// How that is found; null where it is undefined.
    pub(super) interval_method: Option<IntervalMethod>,
    /// The effect drawn towards that of all segments, by as much as chance alone scatters them.
    pub(super) shrunk: Number,
    /// By how much the effect exceeds that of the other segments together.
    pub(super) interaction: Number,
    /// Whether it does, for one planned look; corrected for the number of segments.
    pub(super) interaction_p_value: Number,
    pub(super) e_value: Number,
    pub(super) ln_e: f64,
    /// ln of the e-value adjusted for all guardrails, arms and segments that were looked at.
    pub(super) ln_e_adjusted: f64,
    /// Whether that reaches the level of harm.
    pub(super) harm: bool,
    #[serde(flatten)]
    pub(super) undefined: Reasons,
}

/// Every guardrail in every arm and segment; `launch` has the scales of the whole.
pub(super) fn reports(
    launch: &Launch,
    segments: &BTreeMap<String, Arms>,
    shares: &BTreeMap<String, f64>,
) -> Vec<SegmentReport> {
    let judge = |arms: &Arms| judge_table(&mut launch.clone(), arms, shares).judgement.verdicts;
    let judged: Vec<(&String, &Arms, Vec<MetricVerdict>)> =
        segments.iter().map(|(name, arms)| (name, arms, judge(arms))).collect();
    let parts: Vec<Weighted> = judged
        .iter()
        .flat_map(|(_, _, verdicts)| verdicts)
        .map(|verdict| Weighted { weight: verdict.weight / segments.len() as f64, ln_e: verdict.ln_e })
        .collect();
    let mut ln_adjusted = ln_adjusted(&parts).into_iter();
    let mut reports = Vec::new();
    for (segment, arms, verdicts) in &judged {
        for verdict in verdicts {
            let [control, treatment] = arms_of(launch, arms, verdict);
            let ln_e_adjusted = ln_adjusted.next().unwrap_or(verdict.ln_e);
            let harm = ln_e_adjusted >= -launch.alpha.ln();
            reports.push(report(segment, verdict, [&control, &treatment], ln_e_adjusted, harm));
        }
    }
    let mut order: Vec<(&str, &str)> = Vec::new();
    for (_, _, verdicts) in judged.iter().take(1) {
        order.extend(verdicts.iter().map(|verdict| (verdict.metric.as_str(), verdict.arm.as_str())));
    }
    for (metric, arm) in &order {
        let of = |report: &SegmentReport| report.metric == *metric && report.arm == *arm;
        let effects = judged.iter().flat_map(|(_, arms, verdicts)| {
            let own = verdicts.iter().filter(|verdict| verdict.metric == *metric && verdict.arm == *arm);
            own.map(|verdict| {
                let [control, treatment] = arms_of(launch, arms, verdict);
                absolute(&control, &treatment)
            })
        });
        differ(reports.iter_mut().filter(|report| of(report)), effects.collect());
    }
    let place = |report: &SegmentReport| {
        order.iter().position(|(metric, arm)| *metric == report.metric && *arm == report.arm)
    };
    reports.sort_by_key(place);
    reports
}

/// The control and the arm of a verdict.
fn arms_of(launch: &Launch, arms: &Arms, verdict: &MetricVerdict) -> [Outcome; 2] {
    let index = launch.metrics.iter().position(|pinned| pinned.metric.key == verdict.metric);
    [launch.control(), &verdict.arm]
        .map(|name| index.and_then(|index| arms.get(name).map(|arm| arm.outcome(index))).unwrap_or_default())
}

fn report(
    segment: &str,
    verdict: &MetricVerdict,
    [control, treatment]: [&Outcome; 2],
    ln_e_adjusted: f64,
    harm: bool,
) -> SegmentReport {
    let found = absolute(control, treatment);
    let difference = || Ok(value(treatment)? - value(control)?);
    let level = LEVELS.last().copied().unwrap_or_default();
    let (interval, method) = one_look(control, treatment, found, level);
    let effect = Number::new(found.map_or_else(|_| difference(), |effect| Ok(effect.estimate)));
    let e_value = Number::e_value(verdict.ln_e);
    let none = Number::new(Err(Undefined::TooFewSegments));
    let undefined =
        Reasons::of(&[("effect", effect), ("interval", Interval::of(interval).low), ("e_value", e_value)]);
    SegmentReport {
        segment: segment.to_owned(),
        metric: verdict.metric.clone(),
        arm: verdict.arm.clone(),
        n: [control.n(), treatment.n()],
        effect,
        interval: Interval::of(interval),
        interval_method: interval.ok().map(|_| method),
        shrunk: none,
        interaction: none,
        interaction_p_value: none,
        e_value,
        ln_e: verdict.ln_e,
        ln_e_adjusted,
        harm,
        undefined,
    }
}

/// Compares the segments of one guardrail and arm; one whose effect has no error is left out of it.
fn differ<'r>(reports: impl Iterator<Item = &'r mut SegmentReport>, effects: Vec<Result<Effect, Undefined>>) {
    for (report, found) in reports.zip(contrasts(&[effects]).into_iter().flatten()) {
        report.shrunk = Number::new(found.map(|contrast| contrast.shrunk));
        report.interaction = Number::new(found.map(|contrast| contrast.interaction));
        report.interaction_p_value = Number::new(found.map(|contrast| contrast.p_value));
        report.undefined.add(&[
            ("shrunk", report.shrunk),
            ("interaction", report.interaction),
            ("interaction_p_value", report.interaction_p_value),
        ]);
    }
}
