//! `portcullis analyze`: the guard's judgement of a table with one row a unit, or of moments look by look.

mod comparison;
mod effects;
mod guardrail;
mod judged;
mod lines;
mod look_report;
mod looks;
mod measure;
mod moments_line;
mod names;
mod plot;
mod reading;
mod report;
mod segments;
mod shares;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use crate::analysis::decision::DecisionKind;
use crate::domain::launch::ALPHA;
use crate::domain::violation::{Checks, Invalid};
use judged::{judge_looks, judge_table, launch};
use measure::Arms;
use names::Names;
use report::{Counts, Findings, Report};
use source::Source;
use table::{Columns, Table};

/// Judges a finished or running experiment as the guard would.
///
/// The file is a CSV table with one row a unit, or lines of JSON with the moments of each metric in each arm at each look:
/// {"look": 1, "arm": "new", "metric": "signup", "n": 1000, "mean": 0.1, "variance": 0.09}. Moments are of all units up to
/// their look; "nonzero" may say how many units have a value other than zero. Each look is one look of the guard, and what
/// it added is one bucket. Either file may be compressed with gzip.
#[derive(Clone, Debug, Args)]
pub(super) struct AnalyzeArgs {
    /// A CSV table with a header line and one row a unit, or lines of JSON with moments by look.
    pub file: PathBuf,
    /// The column of the unit's id; a unit has one row. Only for a table.
    #[arg(long, value_name = "COLUMN")]
    pub unit: Option<String>,
    /// The column of the unit's arm. Only for a table.
    #[arg(long, value_name = "COLUMN")]
    pub arm: Option<String>,
    /// The arm that the others are compared with.
    #[arg(long, value_name = "ARM")]
    pub control: String,
    /// An arm to compare; give it again for more. Without it every other arm of the file is one.
    #[arg(long, value_name = "ARM")]
    pub treatment: Vec<String>,
    /// A metric that must not get worse: a column whose cells are true, false or finite numbers, or a metric of the lines.
    /// Give it again for more.
    ///
    /// `per` makes it a ratio of sums; `covariate` adjusts it by a column from before the exposure, in which an empty cell
    /// counts as 0, and beside `per` that may be a ratio with `covariate_per`; `cap` counts larger values as the cap, which
    /// should be a quantile of earlier data. These take a table.
    #[arg(
        long,
        required = true,
        value_name = "METRIC[:lower_is_better][:margin=0.01][:ship_margin=0.02][:weight=2][:cap=100][:per=COLUMN][:covariate=COLUMN][:covariate_per=COLUMN]"
    )]
    pub guardrail: Vec<String>,
    /// A column of at most ten values, by which effects are shown apart. Only for a table.
    #[arg(long, value_name = "COLUMN")]
    pub segment: Option<String>,
    /// The shares that all arms were to get, in any unit, for example control=99,new=1. With them the arms' sizes are checked,
    /// and of events that few units have it is counted which arm each unit belongs to.
    #[arg(long, value_name = "ARM=SHARE,...", value_delimiter = ',')]
    pub shares: Vec<String>,
    /// The accepted chance of a false rollback.
    #[arg(long, default_value_t = ALPHA)]
    pub alpha: f64,
    /// Draws effects with their intervals, and the e-value over looks, to this file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// Why no analysis was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnalyzeError {
    /// A flag, a column or a line is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The file cannot be read to its end.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The plot cannot be drawn or written.
    #[error("cannot write the plot to {}: {source}", file.display())]
    Plot {
        /// The plot.
        file: PathBuf,
        /// What was said.
        source: Box<dyn std::error::Error>,
    },
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

/// Reads the file, judges it and writes the result to `out`.
///
/// It succeeds whenever the analysis was made, whatever the decision is: the answer is in the output. The exit codes
/// of a gatekeeper belong to the check of a live launch.
pub(super) fn run(args: &AnalyzeArgs, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    check(args)?;
    let opened = source::open(&args.file).map_err(|source| unreadable(args, source))?;
    let report = match opened {
        Source::Table(rows) => of_table(args, rows)?,
        Source::Looks(lines) => of_looks(args, lines)?,
    };
    if let Some(file) = &args.plot {
        let written = plot::svg(&report).and_then(|picture| Ok(std::fs::write(file, picture)?));
        written.map_err(|source| AnalyzeError::Plot { file: file.clone(), source })?;
    }
    Ok(args.output.write(&report, text::write, out)?)
}

fn of_table(args: &AnalyzeArgs, rows: Box<dyn Read>) -> Result<Report, AnalyzeError> {
    let mut reader = table::reader(rows);
    let names = table::columns(&mut reader, &args.file.display().to_string())
        .map_err(|source| unreadable(args, source))??;
    let column = |flag: &str, name: Option<&String>| {
        let missing = || Invalid::field(flag, "must be given for a table with one row a unit");
        names.position(flag, name.ok_or_else(missing)?)
    };
    let columns = Columns {
        unit: column("--unit", args.unit.as_ref())?,
        arm: column("--arm", args.arm.as_ref())?,
        segment: args.segment.as_ref().map(|name| names.position("--segment", name)).transpose()?,
        known_arms: known_arms(args),
    };
    let mut guardrails = guardrail::all(&args.guardrail, &names)?;
    distinct(&names, &columns, &guardrails)?;
    let table = Table::read(&mut reader, &names, &columns, &guardrails)
        .map_err(|source| unreadable(args, source))??;
    if table.units == 0 {
        return Err(no_usable_row(args, &table).into());
    }
    let treatments = treatments(args, &table.arms)?;
    let shares = shares_of(args, &treatments)?;
    if !shares.is_empty() {
        let of_guardrail = guardrails.iter_mut().zip(&table.proportions);
        of_guardrail.for_each(|(guardrail, is_proportion)| guardrail.note_proportion(*is_proportion));
    }
    let mut launch = launch(args, &treatments, &guardrails);
    let judged = judge_table(&mut launch, &table.arms, &shares);
    let segments = segments::reports(&launch, &table.segments, &shares);
    let findings = Findings {
        args,
        names: &names,
        guardrails: &guardrails,
        values: table.proportions.iter().copied().zip(table.capped.iter().copied()).collect(),
        launch: &launch,
        arms: &table.arms,
        judged: std::slice::from_ref(&judged),
        decisive: &judged,
        latest: &judged,
        counts: Counts {
            rows: table.rows,
            units: table.units,
            bad_rows: table.bad_rows.clone(),
            rows_in_two_arms: table.rows_in_two_arms,
            units_in_two_arms: table.units_in_two_arms.clone(),
        },
        notes: Vec::new(),
    };
    Ok(Report::new(findings, segments, Vec::new()))
}

fn of_looks(args: &AnalyzeArgs, lines: Box<dyn BufRead>) -> Result<Report, AnalyzeError> {
    let mut checks = Checks::default();
    let flags = [("--unit", &args.unit), ("--arm", &args.arm), ("--segment", &args.segment)];
    for (flag, given) in flags {
        let message = "must be left out: the file has moments by look, and no units";
        checks.require(given.is_none(), flag, message);
    }
    checks.finish()?;
    let file = args.file.display().to_string();
    let lines = looks::Lines::read(lines, &file).map_err(|source| unreadable(args, source))??;
    let names = lines.metrics();
    let guardrails = guardrail::all(&args.guardrail, &names)?;
    let looks = lines.looks(&guardrails, &names, known_arms(args).as_deref())?;
    let empty = Arms::new();
    let arms = looks.last().map_or(&empty, |look| &look.arms);
    let treatments = treatments(args, arms)?;
    let mut launch = launch(args, &treatments, &guardrails);
    let shares = shares_of(args, &treatments)?;
    let judged = judge_looks(&mut launch, looks.iter().map(|look| &look.arms), &shares);
    let rolled_back = judged.iter().find(|look| look.plan.kind == DecisionKind::RollBack);
    let Some(latest) = judged.last() else {
        return Err(Invalid::field(file, "must have a look at the guardrails").into());
    };
    let findings = Findings {
        args,
        names: &names,
        guardrails: &guardrails,
        values: guardrails.iter().map(|one| (lines.is_proportion(&one.metric.key), 0)).collect(),
        launch: &launch,
        arms,
        judged: &judged,
        decisive: rolled_back.unwrap_or(latest),
        latest,
        counts: Counts {
            rows: lines.count(),
            units: arms.values().map(|arm| arm.units).sum(),
            ..Counts::default()
        },
        notes: looks::missing_lines(&looks),
    };
    Ok(Report::new(findings, Vec::new(), look_report::reports(&launch, &looks, &judged)))
}

fn unreadable(args: &AnalyzeArgs, source: io::Error) -> AnalyzeError {
    AnalyzeError::Read { file: args.file.clone(), source }
}

/// What can be said of the flags before the file is opened.
fn check(args: &AnalyzeArgs) -> Result<(), Invalid> {
    let mut checks = Checks::default();
    let alpha = args.alpha > 0.0 && args.alpha < 1.0;
    checks.require(alpha, "--alpha", format!("must be above 0 and below 1, is {}", args.alpha));
    checks.require(!args.guardrail.is_empty(), "--guardrail", "must be given at least once");
    for (index, name) in args.treatment.iter().enumerate() {
        let field = format!("--treatment {name}");
        let earlier = args.treatment.get(..index).unwrap_or_default();
        checks.require(*name != args.control, &field, "must not be the control");
        checks.require(!earlier.contains(name), field, "must be given once");
    }
    checks.finish()
}

/// The arms that were named; none where the file is to say which there are.
fn known_arms(args: &AnalyzeArgs) -> Option<Vec<String>> {
    let named = || args.treatment.iter().chain([&args.control]).cloned().collect();
    (!args.treatment.is_empty()).then(named)
}

/// One column cannot be two things.
fn distinct(names: &Names, columns: &Columns, guardrails: &[guardrail::Guardrail]) -> Result<(), Invalid> {
    let mut checks = Checks::default();
    let field = format!("--arm {}", names.at(columns.arm));
    checks.require(columns.unit != columns.arm, field, "must be another column than that of --unit");
    let taken = guardrails.iter().flat_map(|guardrail| guardrail.measure.columns());
    let taken = taken.map(|position| ("--guardrail", position));
    for (flag, position) in taken.chain(columns.segment.map(|position| ("--segment", position))) {
        let free = position != columns.unit && position != columns.arm;
        let field = format!("{flag} {}", names.at(position));
        checks.require(free, field, "must be another column than those of --unit and --arm");
    }
    checks.finish()
}

fn no_usable_row(args: &AnalyzeArgs, table: &Table) -> Invalid {
    let first = table.bad_rows.listed.first();
    let example = first.map(|row| format!(", the first on line {}: {}", row.line, row.reason));
    let message = format!(
        "has no usable row: {} rows, {} bad{}, {} of units in two arms",
        table.rows,
        table.bad_rows.count,
        example.unwrap_or_default(),
        table.rows_in_two_arms
    );
    Invalid::field(args.file.display().to_string(), message)
}

/// The shares of the arms that are compared; empty where they were not given.
fn shares_of(args: &AnalyzeArgs, treatments: &[String]) -> Result<BTreeMap<String, f64>, Invalid> {
    let arms: Vec<&str> = std::iter::once(&args.control).chain(treatments).map(String::as_str).collect();
    shares::read(&args.shares, &arms)
}

/// Names of the treatment arms, in the order of the flags, else of the alphabet.
fn treatments(args: &AnalyzeArgs, arms: &Arms) -> Result<Vec<String>, Invalid> {
    let there = arms.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = match &args.arm {
        Some(column) => {
            format!("must be an arm with usable rows; the values of column `{column}` are {there}")
        }
        None => format!("must be an arm with lines of the guardrails; the arms are {there}"),
    };
    let units = |name: &str| arms.get(name).map_or(0, |arm| arm.units);
    if units(&args.control) == 0 {
        return Err(Invalid::field(format!("--control {}", args.control), message));
    }
    if let Some(name) = args.treatment.iter().find(|name| units(name) == 0) {
        return Err(Invalid::field(format!("--treatment {name}"), message));
    }
    let others: Vec<String> = arms.keys().filter(|name| **name != args.control).cloned().collect();
    if others.is_empty() {
        let field = match &args.arm {
            Some(column) => format!("--arm {column}"),
            None => args.file.display().to_string(),
        };
        let message = format!("must have an arm besides the control; its only value is `{}`", args.control);
        return Err(Invalid::field(field, message));
    }
    Ok(if args.treatment.is_empty() { others } else { args.treatment.clone() })
}
