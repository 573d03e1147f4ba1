//! One guardrail in every arm, as a report shows it.

use serde::Serialize;

use super::effects::{Effects, Intervals};
use super::guardrail::Guardrail;
use super::names::Names;
use crate::analysis::decision::{MetricVerdict, ReasonCode, Verdict};
use crate::analysis::effects::{IntervalMethod, value};
use crate::cli::number::{Interval, Number, Reasons};
use crate::domain::metric::Direction;
use crate::stats::anytime::p_value;
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// One guardrail in every arm.
#[derive(Debug, Serialize)]
pub(super) struct MetricReport {
    pub(super) metric: String,
    pub(super) direction: Direction,
    pub(super) margin: f64,
    pub(super) ship_margin: f64,
    pub(super) weight: f64,
    /// Whether every value is true, false, 0 or 1.
    pub(super) proportion: bool,
    /// What the value is divided by, where the metric is a ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) per: Option<String>,
    /// What the effect is adjusted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) covariate: Option<String>,
    /// What the covariate is divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) covariate_per: Option<String>,
    /// Values above it count as it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cap: Option<f64>,
    /// How many values that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capped: Option<u64>,
    pub(super) control: ArmReport,
    pub(super) treatments: Vec<Comparison>,
}

/// One arm by itself.
#[derive(Debug, Serialize)]
pub(super) struct ArmReport {
    pub(super) arm: String,
    pub(super) n: u64,
    /// The mean, or the ratio.
    pub(super) mean: Number,
    #[serde(flatten)]
    pub(super) undefined: Reasons,
}

/// One arm against the control.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    #[serde(flatten)]
    pub(super) own: ArmReport,
    pub(super) effect: Number,
    pub(super) relative_effect: Number,
    /// At 95 %, for one planned look.
    pub(super) interval: Interval,
    /// How that is found; null where it is undefined.
    pub(super) interval_method: Option<IntervalMethod>,
    pub(super) intervals: Vec<Intervals>,
    pub(super) e_value: Number,
    pub(super) ln_e: f64,
    pub(super) ln_e_adjusted: f64,
    /// Over all looks.
    pub(super) p_value: f64,
    pub(super) e_value_safe: Number,
    pub(super) ln_e_safe: f64,
    pub(super) verdict: Verdict,
    pub(super) verdict_reason: Option<ReasonCode>,
}

impl MetricReport {
    /// A guardrail with its arms, which are to be added.
    pub(super) fn new(
        guardrail: &Guardrail,
        names: &Names,
        proportion: bool,
        capped: u64,
        control: ArmReport,
    ) -> Self {
        let (metric, measure) = (&guardrail.metric, guardrail.measure);
        let name = |column: usize| names.at(column).to_owned();
        Self {
            metric: metric.key.clone(),
            direction: metric.direction,
            margin: metric.margin,
            ship_margin: metric.ship_margin,
            weight: metric.weight,
            proportion,
            per: measure.per.map(name),
            covariate: measure.covariate.map(name),
            covariate_per: measure.covariate_per.map(name),
            cap: measure.cap,
            capped: measure.cap.map(|_| capped),
            control,
            treatments: Vec::new(),
        }
    }
}

impl ArmReport {
    pub(super) fn new(name: &str, outcome: &Outcome) -> Self {
        let mean = Number::new(value(outcome));
        Self { arm: name.to_owned(), n: outcome.n(), mean, undefined: Reasons::of(&[("mean", mean)]) }
    }
}

impl Comparison {
    /// An arm against the control; `largest_ln_e` is the largest of the looks so far.
    pub(super) fn new(
        verdict: &MetricVerdict,
        direction: Direction,
        control: &Outcome,
        treatment: &Outcome,
        largest_ln_e: f64,
    ) -> Self {
        let scale = verdict.scale.ok_or(verdict.undefined.unwrap_or(Undefined::BurnIn));
        let effects = Effects::new(control, treatment, direction, scale);
        let [.., widest] = effects.intervals;
        let (interval, relative) = (widest.one_look, widest.one_look_relative);
        let (e_value, e_value_safe) = (Number::e_value(verdict.ln_e), Number::e_value(verdict.ln_e_safe));
        let mut own = ArmReport::new(&verdict.arm, treatment);
        own.undefined.add(&[
            ("effect", effects.effect),
            ("relative_effect", effects.relative),
            ("interval", interval.low),
            ("one_look", interval.low),
            ("one_look_relative", relative.low),
            ("every_look", widest.every_look.low),
            ("e_value", e_value),
            ("e_value_safe", e_value_safe),
        ]);
        Self {
            own,
            effect: effects.effect,
            relative_effect: effects.relative,
            interval,
            interval_method: effects.method,
            intervals: effects.intervals.to_vec(),
            e_value,
            ln_e: verdict.ln_e,
            ln_e_adjusted: verdict.ln_e_adjusted,
            p_value: p_value(largest_ln_e),
            e_value_safe,
            ln_e_safe: verdict.ln_e_safe,
            verdict: verdict.verdict,
            verdict_reason: verdict.reason,
        }
    }

    /// The widest of its intervals, where there is any.
    pub(super) fn widest(&self) -> Option<&Intervals> {
        self.intervals.last()
    }
}
