//! An analysis for people to read.

use std::io::{self, Write};

use super::report::{ArmReport, Comparison, MetricReport, Number, Report};
use super::table::Listed;
use crate::domain::metric::Direction;

const HEAD: [&str; 9] =
    ["metric", "arm", "units", "mean", "effect", "relative", "95 % interval *", "e-value", "verdict"];
/// The columns that hold words stand left, those of numbers right.
const LEFT: [usize; 3] = [0, 1, 8];

/// Writes the whole report.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    line(
        out,
        &format!(
            "{}: {} rows, {} units counted, {} bad rows, {} units in two arms",
            report.file,
            thousands(report.rows),
            thousands(report.units),
            thousands(report.bad_rows.count),
            thousands(report.units_in_two_arms.count)
        ),
    )?;
    write_bad_rows(report, out)?;
    line(out, "")?;
    write_table(report, out)?;
    line(out, "")?;
    write_notes(report, out)?;
    line(out, "")?;
    let levels = [report.e_value, Number(Ok(report.hold_e_value)), Number(Ok(report.rollback_e_value))];
    let [found, hold, roll_back] = levels.map(e_value);
    line(out, &format!("launch-level e-value: {found} (hold from {hold}, roll back from {roll_back})"))?;
    line(out, &format!("decision: {}", report.decision))?;
    if !report.stopped_arms.is_empty() {
        line(out, &format!("  only these arms are stopped: {}", report.stopped_arms.join(", ")))?;
    }
    report.reasons.iter().try_for_each(|reason| line(out, &format!("  - {}", reason.message)))
}

/// Writes one line. Names from the table may hold control characters, which must not reach a terminal.
fn line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let shown: String =
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    writeln!(out, "{}", shown.trim_end())
}

fn write_bad_rows(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for row in &report.bad_rows.listed {
        line(out, &format!("  line {}: {}", row.line, row.reason))?;
    }
    write_more(&report.bad_rows, "bad rows", out)?;
    for unit in &report.units_in_two_arms.listed {
        let ([arm, other_arm], [first, second], unit) = (&unit.arms, unit.lines, &unit.unit);
        let place = format!("  lines {first} and {second}: unit `{unit}`");
        line(out, &format!("{place} is in {arm} and in {other_arm}, and counts in neither"))?;
    }
    write_more(&report.units_in_two_arms, "units in two arms", out)
}

fn write_more<T>(listed: &Listed<T>, what: &str, out: &mut dyn Write) -> io::Result<()> {
    match listed.count - listed.listed.len() as u64 {
        0 => Ok(()),
        more => line(out, &format!("  and {} more {what}", thousands(more))),
    }
}

fn write_notes(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for metric in &report.metrics {
        line(out, &question(metric))?;
    }
    line(out, &format!("* {}.", report.interval_note))?;
    for (metric, comparison) in comparisons(report) {
        for (field, word) in [("interval", "the interval"), ("relative_effect", "the relative effect")] {
            if let Some(why) = comparison.own.undefined.get(field) {
                let (metric, arm) = (&metric.metric, &comparison.own.arm);
                line(out, &format!("{metric}, {arm}: {word} is undefined: {why}."))?;
            }
        }
    }
    for note in &report.notes {
        line(out, &format!("Note: {note}."))?;
    }
    line(out, report.influence_note)
}

fn write_table(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let head = HEAD.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(report.metrics.iter().flat_map(rows_of_metric)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if LEFT.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        line(out, &cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

fn rows_of_metric(metric: &MetricReport) -> Vec<Vec<String>> {
    let (value, change) = if metric.proportion {
        (percent as fn(f64) -> String, points as fn(f64) -> String)
    } else {
        (significant as fn(f64) -> String, signed as fn(f64) -> String)
    };
    let own = |arm: &ArmReport| [arm.arm.clone(), thousands(arm.n), or_dash(arm.mean, value)];
    let mut control = vec![metric.metric.clone()];
    control.extend(own(&metric.control));
    control.extend(["", "", "", "", "control"].map(str::to_owned));
    let treatment = |comparison: &Comparison| {
        let mut row = vec![String::new()];
        row.extend(own(&comparison.own));
        row.push(or_dash(comparison.effect, change));
        row.push(or_dash(comparison.relative_effect, |share| format!("{:+.2} %", 100.0 * share)));
        row.push(match (comparison.interval.low.0, comparison.interval.high.0) {
            (Ok(low), Ok(high)) => format!("{} to {}", change(low), change(high)),
            _ => "-".to_owned(),
        });
        row.push(e_value(comparison.e_value));
        row.push(comparison.verdict.to_string());
        row
    };
    std::iter::once(control).chain(metric.treatments.iter().map(treatment)).collect()
}

fn comparisons(report: &Report) -> impl Iterator<Item = (&MetricReport, &Comparison)> {
    report.metrics.iter().flat_map(|metric| metric.treatments.iter().map(move |arm| (metric, arm)))
}

/// What the e-value of a metric speaks about.
fn question(metric: &MetricReport) -> String {
    let change = match metric.direction {
        Direction::HigherIsBetter => "fall",
        Direction::LowerIsBetter => "rise",
    };
    format!(
        "{}: harm is a {change} of more than {} of the control mean; safe is one of {} excluded; weight {}.",
        metric.metric,
        share(metric.margin),
        share(metric.ship_margin),
        significant(metric.weight)
    )
}

fn or_dash(number: Number, form: impl Fn(f64) -> String) -> String {
    number.0.map_or_else(|_| "-".to_owned(), form)
}

fn e_value(number: Number) -> String {
    number.0.map_or_else(|_| "above 1e308".to_owned(), significant)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn points(share: f64) -> String {
    format!("{:+.2} pp", 100.0 * share)
}

fn share(share: f64) -> String {
    format!("{} %", significant(100.0 * share))
}

fn signed(number: f64) -> String {
    let sign = if number < 0.0 { "" } else { "+" };
    format!("{sign}{}", significant(number))
}

/// A number to four significant digits, and whole up to a million.
fn significant(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e6).contains(&size) {
        format!("{number:.3e}")
    } else if number.fract() == 0.0 {
        format!("{number:.0}")
    } else if size >= 1_000.0 {
        format!("{number:.1}")
    } else {
        let decimals = [(100.0, 1), (10.0, 2), (1.0, 3), (0.1, 4), (0.01, 5), (0.001, 6)];
        let places = decimals.iter().find(|(least, _)| size >= *least).map_or(7, |(_, places)| *places);
        format!("{number:.places$}")
    }
}

/// A count with its thousands set apart by commas.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
