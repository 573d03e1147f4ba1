//! What an analysis found, as one value that both output formats show.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::AnalyzeArgs;
use super::table::{Arm, BadRow, CrossedUnit, Listed, Table};
use crate::analysis::decision::{DecisionKind, Judgement, MetricVerdict, Reason, ReasonCode, Verdict};
use crate::analysis::plan::{Action, Plan};
use crate::domain::launch::{Launch, PinnedMetric};
use crate::domain::metric::Direction;
use crate::stats::e_process::MIN_EPOCH_UNITS;
use crate::stats::effect::{Alternative, Effect};
use crate::stats::estimate::Estimate;
use crate::stats::moments::Moments;

/// Level of the intervals.
pub(super) const LEVEL: f64 = 0.95;
/// What the intervals are good for.
const ONE_LOOK: &str =
    "Welch's interval, which holds for one planned look only; the e-value holds at every look";
const TOO_LARGE: &str = "too large for a number of 64 bits";
const NO_TIMES: &str =
    "The rule that no single time bucket may carry a rollback does not apply: a table has no times.";

/// Why numbers are null, by the name of their field.
type Undefined = BTreeMap<&'static str, &'static str>;

/// The whole result. A number that is undefined is null, with the reason under `undefined` beside it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) decision: DecisionKind,
    pub(super) action: &'static str,
    pub(super) stopped_arms: Vec<String>,
    pub(super) reasons: Vec<Reason>,
    pub(super) e_value: Number,
    pub(super) undefined: Undefined,
    pub(super) ln_e: f64,
    pub(super) alpha: f64,
    pub(super) rollback_e_value: f64,
    pub(super) hold_e_value: f64,
    pub(super) warned: bool,
    pub(super) control: String,
    pub(super) metrics: Vec<MetricReport>,
    pub(super) interval_level: f64,
    pub(super) interval_note: &'static str,
    pub(super) influence_note: &'static str,
    pub(super) notes: Vec<String>,
    pub(super) rows: u64,
    pub(super) units: u64,
    pub(super) bad_rows: Listed<BadRow>,
    pub(super) rows_in_two_arms: u64,
    pub(super) units_in_two_arms: Listed<CrossedUnit>,
}

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
    pub(super) control: ArmReport,
    pub(super) treatments: Vec<Comparison>,
}

/// One arm by itself.
#[derive(Debug, Serialize)]
pub(super) struct ArmReport {
    pub(super) arm: String,
    pub(super) n: u64,
    pub(super) mean: Number,
    pub(super) undefined: Undefined,
}

/// One arm against the control.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    #[serde(flatten)]
    pub(super) own: ArmReport,
    pub(super) effect: Number,
    pub(super) relative_effect: Number,
    pub(super) interval: Interval,
    pub(super) e_value: Number,
    pub(super) ln_e: f64,
    pub(super) ln_e_adjusted: f64,
    pub(super) e_value_safe: Number,
    pub(super) ln_e_safe: f64,
    pub(super) verdict: Verdict,
    pub(super) verdict_reason: Option<ReasonCode>,
}

/// A number, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) Result<f64, &'static str>);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.ok().serialize(serializer)
    }
}

/// Both ends of an interval, or why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Interval {
    pub(super) low: Number,
    pub(super) high: Number,
}

impl Number {
    fn new(value: Option<f64>, otherwise: &'static str) -> Self {
        let number = value.ok_or(otherwise);
        Self(number.and_then(|number| if number.is_finite() { Ok(number) } else { Err(TOO_LARGE) }))
    }

    fn e_value(ln_e: f64) -> Self {
        Self::new(Some(ln_e.exp()), TOO_LARGE)
    }
}

fn undefined(numbers: &[(&'static str, Number)]) -> Undefined {
    numbers.iter().filter_map(|(name, number)| Some((*name, number.0.err()?))).collect()
}

impl Report {
    pub(super) fn new(
        args: &AnalyzeArgs,
        table: &Table,
        launch: &Launch,
        judgement: &Judgement,
        plan: Plan,
    ) -> Self {
        let metrics = launch.metrics.iter().enumerate();
        let e_value = Number::e_value(judgement.ln_e);
        let (action, stopped_arms) = match plan.action {
            Action::RollBack => ("roll_back", Vec::new()),
            Action::StopArms(arms) => ("stop_arms", arms),
            Action::None | Action::Advance | Action::Complete => ("none", Vec::new()),
        };
        Self {
            file: args.file.display().to_string(),
            decision: plan.kind,
            action,
            stopped_arms,
            reasons: plan.reasons,
            e_value,
            undefined: undefined(&[("e_value", e_value)]),
            ln_e: judgement.ln_e,
            alpha: launch.alpha,
            rollback_e_value: 1.0 / launch.alpha,
            hold_e_value: 1.0 / launch.alpha_hold,
            warned: judgement.warned,
            control: launch.control().to_owned(),
            metrics: metrics.map(|(index, pinned)| metric(index, pinned, table, launch, judgement)).collect(),
            interval_level: LEVEL,
            interval_note: ONE_LOOK,
            influence_note: NO_TIMES,
            notes: small_arms(table, launch),
            rows: table.rows,
            units: table.units,
            bad_rows: table.bad_rows.clone(),
            rows_in_two_arms: table.rows_in_two_arms,
            units_in_two_arms: table.units_in_two_arms.clone(),
        }
    }
}

fn metric(
    index: usize,
    pinned: &PinnedMetric,
    table: &Table,
    launch: &Launch,
    judgement: &Judgement,
) -> MetricReport {
    let metric = &pinned.metric;
    let moments =
        |arm: &str| table.arms.get(arm).and_then(|arm| arm.moments.get(index)).copied().unwrap_or_default();
    let control = moments(launch.control());
    let verdicts = judgement.verdicts.iter().filter(|verdict| verdict.metric == metric.key);
    MetricReport {
        metric: metric.key.clone(),
        direction: metric.direction,
        margin: metric.margin,
        ship_margin: metric.ship_margin,
        weight: metric.weight,
        proportion: table.proportions.get(index).copied().unwrap_or_default(),
        control: arm(launch.control(), &control),
        treatments: verdicts.map(|verdict| comparison(verdict, &control, &moments(&verdict.arm))).collect(),
    }
}

fn arm(name: &str, moments: &Moments) -> ArmReport {
    let mean = Number::new(moments.mean(), "the arm has no units");
    ArmReport { arm: name.to_owned(), n: moments.n, mean, undefined: undefined(&[("mean", mean)]) }
}

fn comparison(verdict: &MetricVerdict, control: &Moments, treatment: &Moments) -> Comparison {
    let base = control.mean();
    let effect = treatment.mean().zip(base).map(|(treatment, control)| treatment - control);
    let relative = effect.zip(base.filter(|mean| *mean != 0.0)).map(|(effect, mean)| effect / mean.abs());
    let no_relative = if base == Some(0.0) { "the control mean is 0" } else { "an arm has no units" };
    let effect = Number::new(effect, "an arm has no units");
    let relative_effect = Number::new(relative, no_relative);
    let interval = interval(control, treatment);
    let (e_value, e_value_safe) = (Number::e_value(verdict.ln_e), Number::e_value(verdict.ln_e_safe));
    let mut own = arm(&verdict.arm, treatment);
    own.undefined.extend(undefined(&[
        ("effect", effect),
        ("relative_effect", relative_effect),
        ("interval", interval.low),
        ("e_value", e_value),
        ("e_value_safe", e_value_safe),
    ]));
    Comparison {
        own,
        effect,
        relative_effect,
        interval,
        e_value,
        ln_e: verdict.ln_e,
        ln_e_adjusted: verdict.ln_e_adjusted,
        e_value_safe,
        ln_e_safe: verdict.ln_e_safe,
        verdict: verdict.verdict,
        verdict_reason: verdict.reason,
    }
}

fn interval(control: &Moments, treatment: &Moments) -> Interval {
    let effect = Estimate::of_mean(control)
        .and_then(|control| Effect::absolute(&control, &Estimate::of_mean(treatment)?))
        .map(|effect| effect.interval(Alternative::TwoSided, LEVEL));
    let (low, high) = match effect {
        Ok(found) if found.low.is_finite() && found.high.is_finite() => (Ok(found.low), Ok(found.high)),
        Ok(_) => (Err(TOO_LARGE), Err(TOO_LARGE)),
        Err(why) => (Err(why.reason()), Err(why.reason())),
    };
    Interval { low: Number(low), high: Number(high) }
}

/// An arm too small for any evidence is often a cell gone wrong, and still takes its share of the weight.
fn small_arms(table: &Table, launch: &Launch) -> Vec<String> {
    let small = |name: &str, arm: &Arm| {
        (arm.units < MIN_EPOCH_UNITS).then(|| {
            format!(
                "arm `{name}` has {} of the {MIN_EPOCH_UNITS} units from which evidence can be had, and takes its \
                 share of the launch's weight; name the arms to compare with --treatment to leave others out",
                arm.units
            )
        })
    };
    launch.treatments().filter_map(|arm| small(&arm.name, table.arms.get(&arm.name)?)).collect()
}
