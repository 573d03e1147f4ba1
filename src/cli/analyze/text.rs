//! An analysis for people to read.

use std::io::{self, Write};

use super::comparison::{ArmReport, Comparison, MetricReport};
use super::look_report::LookReport;
use super::report::Report;
use super::segments::SegmentReport;
use super::table::Listed;
use crate::analysis::decision::Verdict;
use crate::analysis::effects::IntervalMethod;
use crate::cli::figures::{
    e_value, or_dash, percent, points, share, signed, signed_percent, significant, thousands,
};
use crate::cli::number::{Interval, Number};
use crate::cli::page::{line, table};
use crate::domain::metric::Direction;

/// How a number is written.
type Form = fn(f64) -> String;

const HEAD: [&str; 10] = [
    "metric",
    "arm",
    "units",
    "mean",
    "effect",
    "relative",
    "95 % interval *",
    "at every look",
    "e-value",
    "verdict",
];
const LOOKS_HEAD: [&str; 7] =
    ["look", "units", "e-value", "without one look", "left out", "decision", "verdicts"];
const SEGMENTS_HEAD: [&str; 10] = [
    "segment",
    "metric",
    "arm",
    "units",
    "effect",
    "95 % interval *",
    "shrunk",
    "differs, p *",
    "e-value",
    "harm",
];

/// Writes the whole report.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    write_counts(report, out)?;
    line(out, "")?;
    write_metrics(report, out)?;
    line(out, "")?;
    if !report.segments.is_empty() {
        write_segments(report, out)?;
        line(out, "")?;
    }
    if !report.looks.is_empty() {
        write_looks(report, out)?;
        line(out, "")?;
    }
    write_notes(report, out)?;
    line(out, "")?;
    let levels = [report.e_value, Number(Ok(report.hold_e_value)), Number(Ok(report.rollback_e_value))];
    let [found, hold, roll_back] = levels.map(e_value);
    line(out, &format!("launch-level e-value: {found} (hold from {hold}, roll back from {roll_back})"))?;
    if let Some(sample_ratio) = report.sample_ratio_e_value {
        let found = e_value(sample_ratio);
        line(out, &format!("e-value against the arms' shares: {found} (no number is trusted from 1000)"))?;
    }
    let since = report.rolled_back_at.as_ref().map_or_else(String::new, |look| format!(", at look {look}"));
    line(out, &format!("decision: {}{since}", report.decision))?;
    if !report.stopped_arms.is_empty() {
        line(out, &format!("  only these arms are stopped: {}", report.stopped_arms.join(", ")))?;
    }
    report.reasons.iter().try_for_each(|reason| line(out, &format!("  - {}", reason.message)))
}

fn write_counts(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (file, counts) = (&report.file, &report.counts);
    let (rows, units) = (thousands(counts.rows), thousands(counts.units));
    if !report.looks.is_empty() {
        return line(out, &format!("{file}: {rows} lines, {} looks, {units} units", report.looks.len()));
    }
    let (bad, crossed) = (thousands(counts.bad_rows.count), thousands(counts.units_in_two_arms.count));
    line(
        out,
        &format!("{file}: {rows} rows, {units} units counted, {bad} bad rows, {crossed} units in two arms"),
    )?;
    for row in &counts.bad_rows.listed {
        line(out, &format!("  line {}: {}", row.line, row.reason))?;
    }
    write_more(&counts.bad_rows, "bad rows", out)?;
    for unit in &counts.units_in_two_arms.listed {
        let ([arm, other_arm], [first, second], unit) = (&unit.arms, unit.lines, &unit.unit);
        let place = format!("  lines {first} and {second}: unit `{unit}`");
        line(out, &format!("{place} is in {arm} and in {other_arm}, and counts in neither"))?;
    }
    write_more(&counts.units_in_two_arms, "units in two arms", out)
}

fn write_more<T>(listed: &Listed<T>, what: &str, out: &mut dyn Write) -> io::Result<()> {
    match listed.count - listed.listed.len() as u64 {
        0 => Ok(()),
        more => line(out, &format!("  and {} more {what}", thousands(more))),
    }
}

fn write_metrics(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rows = report.metrics.iter().flat_map(rows_of_metric);
    table(out, &with_head(&HEAD, rows), &[0, 1, 9])
}

fn rows_of_metric(metric: &MetricReport) -> Vec<Vec<String>> {
    let (value, change) = forms(metric);
    let own = |arm: &ArmReport| [arm.arm.clone(), thousands(arm.n), or_dash(arm.mean, value)];
    let mut control = vec![metric.metric.clone()];
    control.extend(own(&metric.control));
    control.extend(["", "", "", "", "", "control"].map(str::to_owned));
    let treatment = |comparison: &Comparison| {
        let every_look = comparison.widest().map_or_else(String::new, |found| ends(found.every_look, change));
        let mut row = vec![String::new()];
        row.extend(own(&comparison.own));
        row.push(or_dash(comparison.effect, change));
        row.push(or_dash(comparison.relative_effect, signed_percent));
        row.push(ends(comparison.interval, change));
        row.push(every_look);
        row.push(e_value(comparison.e_value));
        row.push(comparison.verdict.to_string());
        row
    };
    std::iter::once(control).chain(metric.treatments.iter().map(treatment)).collect()
}

fn write_segments(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let row = |segment: &SegmentReport| {
        let metric = report.metrics.iter().find(|metric| metric.metric == segment.metric);
        let change = metric.map_or(signed as Form, |metric| forms(metric).1);
        vec![
            segment.segment.clone(),
            segment.metric.clone(),
            segment.arm.clone(),
            segment.n.map(thousands).join(" / "),
            or_dash(segment.effect, change),
            ends(segment.interval, change),
            or_dash(segment.shrunk, change),
            or_dash(segment.interaction_p_value, significant),
            e_value(segment.e_value),
            if segment.harm { "harm" } else { "" }.to_owned(),
        ]
    };
    table(out, &with_head(&SEGMENTS_HEAD, report.segments.iter().map(row)), &[0, 1, 2, 9])?;
    line(
        out,
        "Units are those of the control and of the arm. `shrunk` is the effect to be expected, `differs` is corrected for \
         the number of segments, and harm is told of evidence that is adjusted for everything looked at. No segment \
         decides by itself.",
    )
}

fn write_looks(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let row = |look: &LookReport| {
        vec![
            look.look.to_string(),
            thousands(look.units),
            e_value(look.e_value),
            e_value(look.e_value_without_one_look),
            look.without_look.as_ref().map_or_else(String::new, ToString::to_string),
            look.decision.to_string(),
            verdicts(look),
        ]
    };
    table(out, &with_head(&LOOKS_HEAD, report.looks.iter().map(row)), &[5, 6])
}

/// The one verdict, or how many there are of each.
fn verdicts(look: &LookReport) -> String {
    if let [only] = look.verdicts.as_slice() {
        return only.verdict.to_string();
    }
    let count = |verdict: Verdict| look.verdicts.iter().filter(|one| one.verdict == verdict).count();
    let all = [Verdict::Harm, Verdict::Blind, Verdict::Undecided, Verdict::Safe];
    let told = all.into_iter().filter(|verdict| count(*verdict) > 0);
    told.map(|verdict| format!("{} {verdict}", count(verdict))).collect::<Vec<_>>().join(", ")
}

fn write_notes(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for metric in &report.metrics {
        line(out, &question(metric))?;
    }
    line(out, &format!("* {}.", report.interval_note))?;
    for metric in &report.metrics {
        for comparison in &metric.treatments {
            if comparison.interval_method == Some(IntervalMethod::Newcombe) {
                let (metric, arm) = (&metric.metric, &comparison.own.arm);
                let why = "for all units of an arm have the same value, and Welch's is undefined";
                line(out, &format!("{metric}, {arm}: the interval is Newcombe's, {why}."))?;
            }
            for (field, word) in [
                ("interval", "the interval"),
                ("relative_effect", "the relative effect"),
                ("every_look", "the interval at every look"),
            ] {
                if let Some(why) = comparison.own.undefined.undefined.get(field) {
                    let (metric, arm) = (&metric.metric, &comparison.own.arm);
                    line(out, &format!("{metric}, {arm}: {word} is undefined: {why}."))?;
                }
            }
        }
    }
    for note in &report.notes {
        line(out, &format!("Note: {note}."))?;
    }
    line(out, &report.influence_note)
}

/// What the e-value of a metric speaks about.
fn question(metric: &MetricReport) -> String {
    let change = match metric.direction {
        Direction::HigherIsBetter => "fall",
        Direction::LowerIsBetter => "rise",
    };
    let per = metric.per.as_ref().map(|column| format!("; it is a sum divided by that of `{column}`"));
    let adjusted = metric.covariate.as_ref().map(|column| {
        let per =
            metric.covariate_per.as_ref().map_or_else(String::new, |per| format!(" divided by `{per}`"));
        format!("; the effect is adjusted by `{column}`{per}")
    });
    let capped = metric.cap.zip(metric.capped).map(|(cap, count)| {
        let (cap, count) = (significant(cap), thousands(count));
        format!("; values above {cap} count as {cap}, which {count} are")
    });
    let made_of: String = per.into_iter().chain(adjusted).chain(capped).collect();
    format!(
        "{}: harm is a {change} of more than {} of the control mean; safe is one of {} excluded; weight {}{made_of}.",
        metric.metric,
        share(metric.margin),
        share(metric.ship_margin),
        significant(metric.weight)
    )
}

/// How a metric's values and their differences are shown.
fn forms(metric: &MetricReport) -> (Form, Form) {
    if metric.proportion { (percent, points) } else { (significant, signed) }
}

fn ends(interval: Interval, form: Form) -> String {
    interval.ends().map_or_else(|_| "-".to_owned(), |(low, high)| format!("{} to {}", form(low), form(high)))
}

fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    std::iter::once(head.iter().map(|name| (*name).to_owned()).collect()).chain(rows).collect()
}
