//! From a judgement to what is said and done: protect, then hold for data, then progress.

use super::answer::{answer, overridden};
use super::blindness::{blind_since, with_since};
use super::comparison::{View, total};
use super::cycle::unseen_by_step;
use super::decision::{
    Compared, DecisionKind, EpochMoments, Judgement, Least, MetricVerdict, Reason, ReasonCode,
    SegmentVerdict, Verdict,
};
use super::limits::{self, LimitVerdict, longest_window_ms};
use super::measurement::segment_name;
use super::outlook::outlook;
use super::sample_ratio;
use crate::domain::latch::Latch;
use crate::domain::launch::{Launch, Needs};
use crate::domain::time::Timestamp;
use crate::stats::e_process::MIN_EPOCH_UNITS;
use crate::stats::marks::MIN_TREATED;
use crate::stats::outcome::estimates;
use crate::stats::undefined::Undefined;

/// What is said of a launch, and what is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whether exposure may be raised.
    pub kind: DecisionKind,
    /// Why, the weightiest first.
    pub reasons: Vec<Reason>,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Turn the whole treatment off.
    RollBack,
    /// Stop these arms; the others go on.
    StopArms(Vec<String>),
    /// Take the next step.
    Advance,
    /// End the launch as planned.
    Complete,
}

/// What a live launch needs now.
#[must_use]
pub fn plan(launch: &Launch, judgement: &Judgement, latch: Option<&Latch>, now: Timestamp) -> Plan {
    if let Some(action) = protection(launch, judgement).filter(|_| !launch.policy.policy.shadow) {
        let mut reasons = overridden(launch, now);
        reasons.extend(harm_reasons(launch, judgement));
        return Plan { kind: DecisionKind::RollBack, reasons, action };
    }
    if has_no_control(launch) {
        let message = "everyone got it at once: there is no control, and the guard cannot judge this launch";
        let reasons = vec![Reason::of_launch(ReasonCode::NoData, message)];
        return Plan { kind: DecisionKind::Hold, reasons, action: Action::Complete };
    }
    let (kind, mut reasons) = answer(launch, Some(judgement), latch, now);
    let unfinished = unfinished_step(launch, judgement, now);
    let action = match (kind, &unfinished) {
        (DecisionKind::Allow, None) if launch.next_step().is_some() => Action::Advance,
        (DecisionKind::Allow, None) if is_whole(launch) => Action::Complete,
        _ => Action::None,
    };
    reasons.extend(unfinished);
    Plan { kind, reasons, action }
}

/// Whether more units may get the treatment by the evidence alone, and why.
pub(super) fn by_evidence(
    launch: &Launch,
    judgement: Option<&Judgement>,
    latch: Option<&Latch>,
    needs: Needs,
) -> (DecisionKind, Vec<Reason>) {
    if let Some(latch) = latch {
        return (DecisionKind::Block, vec![latch_reason(latch)]);
    }
    if launch.guardrails().next().is_none() {
        let reason = Reason::of_launch(ReasonCode::NoHarmShown, "no guardrail is attached to this launch");
        return (DecisionKind::Allow, vec![reason]);
    }
    let Some(judgement) = judgement else {
        let reason =
            Reason::of_launch(ReasonCode::NotJudged, "the guard has not looked at this launch lately");
        return (DecisionKind::Hold, vec![reason]);
    };
    if protection(launch, judgement).is_some() {
        return (DecisionKind::RollBack, harm_reasons(launch, judgement));
    }
    if limits::is_watched(launch) {
        return by_limits(launch, judgement);
    }
    let harmed = judgement.segments.iter().filter(|segment| segment.harm);
    let mut reasons: Vec<Reason> = harmed.map(|segment| harm_in_segment(segment, judgement)).collect();
    if judgement.warned {
        reasons.push(Reason::of_launch(ReasonCode::Warning, warning_message(launch, judgement)));
    }
    if !sample_ratio::is_trusted(judgement.ln_e_sample_ratio) {
        reasons.push(Reason::of_launch(ReasonCode::SampleRatio, sample_ratio_message(judgement)));
    }
    let guardrails = || judgement.verdicts.iter().filter(|verdict| verdict.guardrail);
    // What would roll back is past the launch's own level by now; these are guardrails that only hold.
    let harmful = guardrails().filter(|verdict| verdict.verdict == Verdict::Harm);
    reasons.extend(harmful.map(|verdict| {
        let message = format!("{}: e-value {}", verdict_message(verdict), e_value(verdict.ln_e));
        of_metric(ReasonCode::Harm, verdict, message)
    }));
    let blind = guardrails().filter(|verdict| verdict.verdict == Verdict::Blind);
    reasons.extend(blind.filter(|verdict| verdict.reason != Some(ReasonCode::SampleRatio)).map(|verdict| {
        let code = verdict.reason.unwrap_or(ReasonCode::NoData);
        let since = blind_since(launch, judgement, &verdict.metric, code);
        of_metric(code, verdict, with_since(blind_message(launch, verdict, judgement, code), since))
    }));
    let undecided = guardrails().filter(|verdict| verdict.verdict == Verdict::Undecided);
    let undecided = undecided.map(|verdict| {
        // Harm of a guardrail that only holds does so while it is not confirmed as well.
        let is_warning = verdict.weight <= 0.0 && verdict.reason == Some(ReasonCode::Warning);
        let code = verdict.reason.unwrap_or(ReasonCode::Undecided);
        let reason = of_metric(code, verdict, undecided_message(launch, judgement, verdict));
        (is_warning || launch.needs_safety(needs), reason)
    });
    let (holding, told): (Vec<_>, Vec<_>) = undecided.partition(|(holds, _)| *holds);
    reasons.extend(holding.into_iter().map(|(_, reason)| reason));
    if !reasons.is_empty() {
        return (DecisionKind::Hold, reasons);
    }
    let reason = if guardrails().all(|verdict| verdict.verdict == Verdict::Safe) {
        Reason::of_launch(ReasonCode::Safe, "every guardrail is shown safe")
    } else {
        let message = format!("no harm shown: e-value {}", e_value(judgement.ln_e));
        Reason::of_launch(ReasonCode::NoHarmShown, message)
    };
    // What is not known goes on, and is said.
    let mut reasons: Vec<Reason> =
        std::iter::once(reason).chain(told.into_iter().map(|(_, reason)| reason)).collect();
    if sample_ratio::is_suspicious(judgement.ln_e_sample_ratio) {
        reasons.push(Reason::of_launch(ReasonCode::SampleRatio, sample_ratio_message(judgement)));
    }
    (DecisionKind::Allow, reasons)
}

/// Where everyone has the treatment, limits alone can say something.
fn by_limits(launch: &Launch, judgement: &Judgement) -> (DecisionKind, Vec<Reason>) {
    // Past the launch's level of harm there are only those by now that hold and do not roll back.
    let of_kind = |limit: &&LimitVerdict| {
        matches!(limit.verdict, Verdict::Blind | Verdict::Harm) || limit.reason == Some(ReasonCode::Warning)
    };
    let reason = |limit: &LimitVerdict| match (limit.verdict, limit.reason) {
        (Verdict::Blind, Some(code)) => blind_limit(launch, judgement, limit, code),
        _ => limit_reason(limit),
    };
    let held: Vec<Reason> = judgement.limits.iter().filter(of_kind).map(reason).collect();
    if held.is_empty() {
        (DecisionKind::Allow, judgement.limits.iter().map(limit_reason).collect())
    } else {
        (DecisionKind::Hold, held)
    }
}

/// Why a closed latch refuses.
#[must_use]
pub fn latch_reason(latch: &Latch) -> Reason {
    Reason {
        code: ReasonCode::LatchClosed,
        message: format!("the latch on {} is closed: {}", latch.target, latch.cause),
        metric: None,
        arm: latch.arm.clone(),
        segment: None,
    }
}

/// The protective action that a judgement calls for. It looks at nothing but the evidence, and whether that can be trusted:
/// harm must be shown by the whole, and without any one bucket of event time as well.
fn protection(launch: &Launch, judgement: &Judgement) -> Option<Action> {
    if judgement.limits.iter().any(|limit| limit.verdict == Verdict::Harm && limit.weight > 0.0) {
        return Some(Action::RollBack);
    }
    let confirmed = judgement.least.is_some_and(|least| least.ln_e >= -launch.alpha.ln());
    if !confirmed || !sample_ratio::is_trusted(judgement.ln_e_sample_ratio) {
        return None;
    }
    let (stop, keep): (Vec<_>, Vec<_>) = judgement.arms.iter().partition(|arm| arm.harmed);
    let whole = launch.target.splits_by_share() || stop.is_empty() || keep.is_empty();
    Some(if whole {
        Action::RollBack
    } else {
        Action::StopArms(stop.into_iter().map(|arm| arm.arm.clone()).collect())
    })
}

fn harm_reasons(launch: &Launch, judgement: &Judgement) -> Vec<Reason> {
    let total = format!(
        "launch-level e-value {} reaches {} over {} guardrail(s)",
        e_value(judgement.ln_e),
        1.0 / launch.alpha,
        launch.guardrails().count()
    );
    // What only holds is not why the treatment goes off.
    let guardrails = judgement.verdicts.iter().filter(|verdict| verdict.weight > 0.0);
    let culprits = guardrails.filter(|verdict| verdict.verdict == Verdict::Harm);
    let mut reasons: Vec<Reason> = culprits
        .map(|verdict| {
            let message = format!("{}: e-value {}", verdict_message(verdict), e_value(verdict.ln_e));
            of_metric(ReasonCode::Harm, verdict, message)
        })
        .collect();
    let harmed = judgement.segments.iter().filter(|segment| segment.harm && segment.weight > 0.0);
    reasons.extend(harmed.map(|segment| harm_in_segment(segment, judgement)));
    let crossed =
        judgement.limits.iter().filter(|limit| limit.verdict == Verdict::Harm && limit.weight > 0.0);
    reasons.extend(crossed.map(limit_reason));
    if judgement.ln_e >= -launch.alpha.ln() {
        reasons.push(Reason::of_launch(ReasonCode::Harm, total));
    }
    reasons
}

/// What is known of a guardrail that is harmed in one segment.
fn harm_in_segment(segment: &SegmentVerdict, judgement: &Judgement) -> Reason {
    let SegmentVerdict { metric, arm, column, value, epochs, .. } = segment;
    let message = format!(
        "where {column} is {value}, {}: e-value {}, adjusted for all segments {}; launch-level e-value {}",
        change_message(metric, arm, epochs),
        e_value(segment.ln_e),
        e_value(segment.ln_e_adjusted),
        e_value(judgement.ln_e)
    );
    Reason {
        code: ReasonCode::HarmInSegment,
        message,
        metric: Some(metric.clone()),
        arm: Some(arm.clone()),
        segment: Some(segment_name(column, value)),
    }
}

/// Why nothing can be said of a limit.
fn blind_limit(launch: &Launch, judgement: &Judgement, limit: &LimitVerdict, code: ReasonCode) -> Reason {
    let pinned = launch.metrics.iter().find(|pinned| pinned.metric.key == limit.metric);
    let least = pinned.and_then(|pinned| pinned.metric.limit).map_or(0, |limit| limit.min_units);
    let age_ms = judgement.watermark.map_or(0, |watermark| judgement.at.ms_since(watermark));
    let why = match judgement.blind.get(&limit.metric) {
        Some(blind) => blind.message.clone(),
        None if code == ReasonCode::Stale => format!("it is {age_ms} ms old"),
        None => format!("it has {} of the {least} units from which it counts", limit.units),
    };
    let message = format!("{} cannot be watched against its limit of {}: {why}", limit.metric, limit.level);
    let message = with_since(message, blind_since(launch, judgement, &limit.metric, code));
    let (metric, arm) = (Some(limit.metric.clone()), Some(limit.arm.clone()));
    Reason { code, message, metric, arm, segment: None }
}

/// What is known of an absolute limit.
fn limit_reason(limit: &LimitVerdict) -> Reason {
    let value = limit.value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.5}"));
    let crossed =
        if limit.verdict == Verdict::Harm { "has crossed its limit" } else { "is watched against its limit" };
    let message = format!(
        "{} {crossed} of {} by itself, without a comparison: it is {value} on {} units, e-value {}",
        limit.metric,
        limit.level,
        limit.units,
        e_value(limit.ln_e)
    );
    let (metric, arm) = (Some(limit.metric.clone()), Some(limit.arm.clone()));
    Reason { code: ReasonCode::Limit, message, metric, arm, segment: None }
}

/// Why the step in force is not done; none when it is.
///
/// A step's time is event time that the numbers cover, so that no step is taken on numbers from before it.
fn unfinished_step(launch: &Launch, judgement: &Judgement, now: Timestamp) -> Option<Reason> {
    let (step, epoch) = (launch.step()?, launch.epoch()?);
    if launch.next_step().is_none() && !is_whole(launch) {
        return None;
    }
    let covered =
        if launch.guardrails().next().is_some() { judgement.as_of.unwrap_or(epoch.started_at) } else { now };
    let elapsed = covered.ms_since(epoch.started_at);
    if let Some(window) = longest_window_ms(launch).filter(|window| is_whole(launch) && elapsed < *window) {
        let message = format!("limits have been watched for {elapsed} ms of their {window} ms");
        return Some(Reason::of_launch(ReasonCode::StepNotDone, message));
    }
    if elapsed < step.min_duration_ms {
        let message = format!("the step has seen {elapsed} ms of its {} ms", step.min_duration_ms);
        return Some(Reason::of_launch(ReasonCode::StepNotDone, message));
    }
    if let Some(unseen) = unseen_by_step(launch, covered) {
        return Some(unseen);
    }
    let units = |arm: &str| {
        let row = judgement.units.iter().find(|row| row.epoch == epoch.number && row.arm == arm);
        row.map_or(0, |row| row.units)
    };
    // At 0 and at 100 percent one arm gets no units by design, so the other one counts.
    let fewest =
        launch
            .arms
            .iter()
            .filter(|arm| arm.stopped_at.is_none())
            .filter(|arm| {
                if arm.name == launch.control() { epoch.percentage < 100.0 } else { epoch.percentage > 0.0 }
            })
            .map(|arm| units(&arm.name))
            .min()
            .unwrap_or(0);
    (fewest < step.min_units).then(|| {
        let message = format!("the step has {fewest} of its {} units in the smaller arm", step.min_units);
        Reason::of_launch(ReasonCode::StepNotDone, message)
    })
}

/// Whether everyone gets the treatment, so that nothing is left to compare it with.
fn is_whole(launch: &Launch) -> bool {
    launch.target.splits_by_share() && launch.percentage() >= 100.0
}

/// Whether everyone got the treatment from the first moment on.
fn has_no_control(launch: &Launch) -> bool {
    is_whole(launch)
        && !limits::is_watched(launch)
        && launch.epochs.iter().all(|epoch| epoch.percentage >= 100.0)
}

fn of_metric(code: ReasonCode, verdict: &MetricVerdict, message: String) -> Reason {
    let (metric, arm) = (Some(verdict.metric.clone()), Some(verdict.arm.clone()));
    Reason { code, message, metric, arm, segment: None }
}

fn blind_message(
    launch: &Launch,
    verdict: &MetricVerdict,
    judgement: &Judgement,
    code: ReasonCode,
) -> String {
    let Compared { control, treatment } = total(verdict.epochs.iter(), View::Within);
    let (control, treatment) = (control.n(), treatment.n());
    let pinned = launch.metrics.iter().find(|pinned| pinned.metric.key == verdict.metric);
    if let Some(blind) = judgement.blind.get(&verdict.metric).filter(|_| code != ReasonCode::NoData) {
        return format!("{}: {}", verdict.metric, blind.message);
    }
    match (code, pinned, judgement.watermark) {
        (ReasonCode::Stale, Some(pinned), Some(watermark)) => format!(
            "{} is {} ms old, and stale after {} ms",
            verdict.metric,
            judgement.at.ms_since(watermark),
            pinned.metric.freshness_ms
        ),
        (ReasonCode::BurnIn, ..) if verdict.scale.is_some() => format!(
            "{} has fewer than {MIN_EPOCH_UNITS} units an arm that were watched since the share was changed",
            verdict.metric
        ),
        (ReasonCode::BurnIn, Some(pinned), _) => format!(
            "{} has {control} units in control and {treatment} in {}; evidence counts from {} units and 10 expected \
             events in the smaller arm, in epochs of {MIN_EPOCH_UNITS} units or more",
            verdict.metric, verdict.arm, pinned.metric.min_units
        ),
        (ReasonCode::NoVariance | ReasonCode::Undefined, ..) => {
            let why = verdict.undefined.map_or_else(String::new, |why| why.reason().to_owned());
            format!("{why}: {}", verdict_message(verdict))
        }
        _ => format!(
            "{} has no data: {control} units in control, {treatment} in {}",
            verdict.metric, verdict.arm
        ),
    }
}

fn undecided_message(launch: &Launch, judgement: &Judgement, verdict: &MetricVerdict) -> String {
    let harm =
        if verdict.ln_e >= -launch.alpha_hold.ln() { "some evidence of harm" } else { "no harm shown" };
    let outlook = outlook(launch, judgement, verdict);
    let excluded = outlook.excluded.map_or_else(
        |_| Undefined::NothingExcluded.reason().to_owned(),
        |harm| format!("harm of {:.2} % or more is excluded so far", 100.0 * harm),
    );
    let missing = outlook.missing_units.map_or_else(
        |_| String::new(),
        |units| {
            let days = outlook
                .missing_days
                .map_or_else(|_| String::new(), |days| format!(", {days:.1} days at this pace"));
            format!("; about {units} more units of {} until it is known{days}", verdict.arm)
        },
    );
    format!(
        "{harm}, and not shown safe: {}, e-value {} for harm and {} for safety; {excluded}{missing}",
        verdict_message(verdict),
        e_value(verdict.ln_e),
        e_value(verdict.ln_e_safe)
    )
}

/// Why the evidence holds the launch and is not acted on.
fn warning_message(launch: &Launch, judgement: &Judgement) -> String {
    let found = e_value(judgement.ln_e);
    // Where it is left whatever is taken away, something else keeps it from being acted on, and is said besides.
    let carried = judgement.least.filter(|least| least.ln_e < -launch.alpha.ln());
    match (carried, judgement.as_of) {
        (Some(Least { bucket: None, .. }), _) if !judgement.stripped.is_empty() => format!(
            "the e-value {found} for harm is not confirmed: these numbers came without their buckets of event time, by which \
             the server that acts for the guard tells whether one alone carries it"
        ),
        (Some(least), Some(as_of)) => {
            let left = e_value(least.ln_e);
            let alone = least.bucket.map_or_else(
                || format!("by fewer than {MIN_TREATED} treated units, without which it is {left}"),
                |bucket| {
                    let ago = as_of.ms_since(bucket.to);
                    format!("by one bucket, which ended {ago} ms before the latest numbers: without it, it is {left}")
                },
            );
            format!("the e-value {found} for harm is carried {alone}")
        }
        _ => format!(
            "evidence of harm is past the hold level: e-value {found}, hold level {}, released below half of it",
            1.0 / launch.alpha_hold
        ),
    }
}

/// The arms' units, which are not what was dealt.
fn sample_ratio_message(judgement: &Judgement) -> String {
    let first = judgement.verdicts.first().map(|verdict| verdict.metric.as_str());
    let of_metric = judgement.verdicts.iter().filter(|verdict| Some(verdict.metric.as_str()) == first);
    let mut counts = Vec::new();
    for verdict in of_metric {
        let Compared { control, treatment } = total(verdict.epochs.iter(), View::Within);
        if counts.is_empty() {
            counts.push(format!("{} in control", control.n()));
        }
        counts.push(format!("{} in {}", treatment.n(), verdict.arm));
    }
    let trust = if sample_ratio::is_trusted(judgement.ln_e_sample_ratio) {
        "with more evidence no number of this launch will be trusted"
    } else {
        "no number of this launch can be trusted"
    };
    format!(
        "the arms did not get the units that their shares promise, with e-value {}: {}; {trust}",
        e_value(judgement.ln_e_sample_ratio),
        counts.join(", ")
    )
}

fn verdict_message(verdict: &MetricVerdict) -> String {
    change_message(&verdict.metric, &verdict.arm, &verdict.epochs)
}

/// The estimates in words, over all epochs, of both views where they differ.
fn change_message(metric: &str, arm: &str, epochs: &[EpochMoments]) -> String {
    let of_view = |view| total(epochs.iter(), view);
    let (within, settled) = (of_view(View::Within), of_view(View::Settled));
    let values = |Compared { control, treatment }: Compared| {
        let value =
            |value: Option<f64>| value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.5}"));
        let estimates = estimates(&control, &treatment).ok();
        let [of_control, of_treatment] = match estimates {
            Some([control, treatment, _]) => [Some(control.value()), Some(treatment.value())],
            None => [control.counted().mean(), treatment.counted().mean()],
        };
        format!(
            "{} on {} units of {arm} against {} on {} of control",
            value(of_treatment),
            treatment.n(),
            value(of_control),
            control.n()
        )
    };
    let message = format!("{metric} is {}", values(within));
    if within == settled { message } else { format!("{message}, and of settled units {}", values(settled)) }
}

/// An e-value in words; beyond the range of numbers only that it is.
fn e_value(ln_e: f64) -> String {
    let e_value = ln_e.exp();
    if e_value.is_finite() { format!("{e_value:.4}") } else { "above 1e308".to_owned() }
}
