//! What an analysis found, as one value that both output formats and the plot show.

use serde::Serialize;

use super::AnalyzeArgs;
use super::comparison::{ArmReport, Comparison, MetricReport};
use super::guardrail::Guardrail;
use super::judged::Judged;
use super::look_report::LookReport;
use super::measure::{Arm, Arms};
use super::names::Names;
use super::segments::SegmentReport;
use super::table::{BadRow, CrossedUnit, Listed};
use crate::analysis::decision::{DecisionKind, Reason};
use crate::analysis::measurement::KEPT_BUCKETS;
use crate::analysis::plan::Action;
use crate::cli::number::{Number, Reasons};
use crate::domain::launch::Launch;
use crate::stats::anytime::p_value;
use crate::stats::e_process::MIN_EPOCH_UNITS;

/// What the intervals are good for.
const ONE_LOOK: &str =
    "Welch's interval, which holds for one planned look only; the e-value holds at every look";
const NO_TIMES: &str =
    "The rule that no single time bucket may carry a rollback does not apply: a table has no times.";

/// The whole result. A number that is undefined is null, with the reason under `undefined` beside it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    /// What the guard does in the end: a launch that was rolled back stays so.
    pub(super) decision: DecisionKind,
    pub(super) action: &'static str,
    pub(super) stopped_arms: Vec<String>,
    pub(super) reasons: Vec<Reason>,
    pub(super) e_value: Number,
    #[serde(flatten)]
    pub(super) undefined: Reasons,
    pub(super) ln_e: f64,
    /// Over all looks.
    pub(super) p_value: f64,
    /// Against the arms having got the units that they were to get; null where the shares are not known.
    pub(super) sample_ratio_e_value: Option<Number>,
    pub(super) alpha: f64,
    pub(super) rollback_e_value: f64,
    pub(super) hold_e_value: f64,
    pub(super) warned: bool,
    pub(super) control: String,
    pub(super) metrics: Vec<MetricReport>,
    pub(super) interval_level: f64,
    pub(super) interval_note: &'static str,
    pub(super) influence_note: String,
    pub(super) notes: Vec<String>,
    /// By guardrail, arm and segment, where a column says which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) segments: Vec<SegmentReport>,
    /// Oldest first, where the file has looks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) looks: Vec<LookReport>,
    /// The first look at which the guard rolls back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rolled_back_at: Option<serde_json::Number>,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// What became of the file's rows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) units: u64,
    pub(super) bad_rows: Listed<BadRow>,
    pub(super) rows_in_two_arms: u64,
    pub(super) units_in_two_arms: Listed<CrossedUnit>,
}

/// What a report is made of, besides segments and looks.
pub(super) struct Findings<'a> {
    pub(super) args: &'a AnalyzeArgs,
    pub(super) names: &'a Names,
    pub(super) guardrails: &'a [Guardrail],
    /// By guardrail: whether every value is 0 or 1, and how many are above its cap.
    pub(super) values: Vec<(bool, u64)>,
    pub(super) launch: &'a Launch,
    /// All arms at the latest look.
    pub(super) arms: &'a Arms,
    /// Oldest first.
    pub(super) judged: &'a [Judged],
    /// The one that decides, which is the first that rolls back, else the latest.
    pub(super) decisive: &'a Judged,
    pub(super) latest: &'a Judged,
    pub(super) counts: Counts,
    /// What else is to be known.
    pub(super) notes: Vec<String>,
}

impl Report {
    pub(super) fn new(found: Findings<'_>, segments: Vec<SegmentReport>, looks: Vec<LookReport>) -> Self {
        let metrics = (0..found.guardrails.len()).filter_map(|index| found.metric(index)).collect();
        let Findings { args, launch, judged, decisive, latest, .. } = found;
        let judgement = &latest.judgement;
        let e_value = Number::e_value(judgement.ln_e);
        let trusted = judged.iter().filter(|look| look.judgement.is_trusted());
        let largest = trusted.map(|look| look.judgement.ln_e).fold(f64::NEG_INFINITY, f64::max);
        let (action, stopped_arms) = match &decisive.plan.action {
            Action::RollBack => ("roll_back", Vec::new()),
            Action::StopArms(arms) => ("stop_arms", arms.clone()),
            Action::None | Action::Advance | Action::Complete => ("none", Vec::new()),
        };
        let decisive_look = looks.iter().find(|look| look.decision == DecisionKind::RollBack);
        let reasons_told = decisive_look
            .or_else(|| looks.last())
            .map_or_else(|| decisive.plan.reasons.clone(), |look| look.reasons.clone());
        Self {
            file: args.file.display().to_string(),
            decision: decisive.plan.kind,
            action,
            stopped_arms,
            reasons: reasons_told,
            e_value,
            undefined: Reasons::of(&[("e_value", e_value)]),
            ln_e: judgement.ln_e,
            p_value: p_value(largest),
            sample_ratio_e_value: (!args.shares.is_empty())
                .then(|| Number::e_value(judgement.ln_e_sample_ratio)),
            alpha: launch.alpha,
            rollback_e_value: 1.0 / launch.alpha,
            hold_e_value: 1.0 / launch.alpha_hold,
            warned: judgement.warned,
            control: launch.control().to_owned(),
            metrics,
            interval_level: super::effects::LEVELS.last().copied().unwrap_or_default(),
            interval_note: ONE_LOOK,
            influence_note: influence_note(!looks.is_empty()),
            notes: found
                .notes
                .into_iter()
                .chain(small_arms(found.arms, launch))
                .chain(unchecked(args))
                .collect(),
            rolled_back_at: decisive_look.map(|look| look.look.clone()),
            segments,
            looks,
            counts: found.counts,
        }
    }
}

impl Findings<'_> {
    /// One guardrail in every arm.
    fn metric(&self, index: usize) -> Option<MetricReport> {
        let guardrail = self.guardrails.get(index)?;
        let outcome = |arm: &str| self.arms.get(arm).map(|arm| arm.outcome(index)).unwrap_or_default();
        let control = outcome(self.launch.control());
        let (proportion, capped) = self.values.get(index).copied().unwrap_or_default();
        let own = ArmReport::new(self.launch.control(), &control);
        let mut report = MetricReport::new(guardrail, self.names, proportion, capped, own);
        let verdicts = self.latest.judgement.verdicts.iter().enumerate();
        report.treatments = verdicts
            .filter(|(_, verdict)| verdict.metric == guardrail.metric.key)
            .map(|(place, verdict)| {
                let at_look = |look: &Judged| look.judgement.verdicts.get(place).map(|verdict| verdict.ln_e);
                let trusted = self.judged.iter().filter(|look| look.judgement.is_trusted());
                let largest = trusted.filter_map(at_look).fold(f64::NEG_INFINITY, f64::max);
                let treatment = outcome(&verdict.arm);
                Comparison::new(verdict, guardrail.metric.direction, &control, &treatment, largest)
            })
            .collect();
        Some(report)
    }
}

/// Whether one moment can carry a rollback.
fn influence_note(has_looks: bool) -> String {
    if !has_looks {
        return NO_TIMES.to_owned();
    }
    format!(
        "Harm is acted on where the e-value also reaches the level with any one of the last {KEPT_BUCKETS} looks left out."
    )
}

/// That nothing is known of how the arms were to be dealt.
fn unchecked(args: &AnalyzeArgs) -> Option<String> {
    let unknown = args.shares.is_empty();
    unknown.then(|| {
        "the sizes of the arms were not checked; give the shares they were to get with --shares".to_owned()
    })
}

/// An arm too small for any evidence is often a cell gone wrong, and still takes its share of the weight.
fn small_arms(arms: &Arms, launch: &Launch) -> Vec<String> {
    let small = |name: &str, arm: &Arm| {
        (arm.units < MIN_EPOCH_UNITS).then(|| {
            format!(
                "arm `{name}` has {} of the {MIN_EPOCH_UNITS} units from which evidence can be had, and takes its \
                 share of the launch's weight; name the arms to compare with --treatment to leave others out",
                arm.units
            )
        })
    };
    launch.treatments().filter_map(|arm| small(&arm.name, arms.get(&arm.name)?)).collect()
}
