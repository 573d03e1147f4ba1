//! `portcullis analyze`: the guard's judgement of a table with one row a unit.

mod guardrail;
mod lines;
mod report;
mod table;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use super::Format;
use crate::analysis::judge::judge;
use crate::analysis::measurement::{ArmMoments, ArmUnits, Measurement};
use crate::analysis::plan::plan;
use crate::domain::launch::{ALPHA, Launch, LaunchId, LaunchPlan, Needs, PinnedMetric, Step, Target};
use crate::domain::time::Timestamp;
use crate::domain::violation::{Checks, Invalid};
use crate::stats::outcome::Outcome;
use report::Report;
use table::{Columns, Table};

/// A table has no times; everything in it is of one moment, and nothing is stale.
const NOW: Timestamp = Timestamp(0);
/// The one stretch of allocation that a table is taken for.
const EPOCH: u32 = 1;

/// Judges a finished or running experiment from a table with one row a unit, as the guard would.
#[derive(Clone, Debug, Args)]
pub(super) struct AnalyzeArgs {
    /// A CSV file with a header line; it may be compressed with gzip.
    pub file: PathBuf,
    /// The column of the unit's id; a unit has one row.
    #[arg(long, value_name = "COLUMN")]
    pub unit: String,
    /// The column of the unit's arm.
    #[arg(long, value_name = "COLUMN")]
    pub arm: String,
    /// The arm that the others are compared with.
    #[arg(long, value_name = "ARM")]
    pub control: String,
    /// An arm to compare; give it again for more. Without it every other value of the arm's column is one.
    #[arg(long, value_name = "ARM")]
    pub treatment: Vec<String>,
    /// A column that must not get worse; its cells are true, false or finite numbers. Give it again for more.
    #[arg(
        long,
        required = true,
        value_name = "METRIC[:lower_is_better][:margin=0.01][:ship_margin=0.02][:weight=2]"
    )]
    pub guardrail: Vec<String>,
    /// The accepted chance of a false rollback.
    #[arg(long, default_value_t = ALPHA)]
    pub alpha: f64,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Why no analysis was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnalyzeError {
    /// A flag or a column is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The table cannot be read to its end.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The table.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

/// Reads the table, judges it and writes the result to `out`.
///
/// It succeeds whenever the analysis was made, whatever the decision is: the answer is in the output. The exit codes
/// of a gatekeeper belong to the check of a live launch.
pub(super) fn run(args: &AnalyzeArgs, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let unreadable = |source| AnalyzeError::Read { file: args.file.clone(), source };
    check(args)?;
    let mut reader = table::open(&args.file).map_err(unreadable)?;
    let header = table::header(&mut reader, &args.file.display().to_string()).map_err(unreadable)??;
    let (metrics, positions) = guardrail::all(&args.guardrail, &header)?;
    let columns = Columns {
        unit: header.position("--unit", &args.unit)?,
        arm: header.position("--arm", &args.arm)?,
        values: positions,
        known_arms: known_arms(args),
    };
    distinct(args, &header, &columns)?;
    let table = Table::read(&mut reader, &header, columns).map_err(unreadable)??;
    let treatments = treatments(args, &table)?;
    let launch = launch(args, &treatments, metrics);
    let judgement = judge(&launch, Some(&measurement(&launch, &table)), NOW);
    let plan = plan(&launch, &judgement, None, NOW);
    match write(args.format, &Report::new(args, &table, &launch, &judgement, plan), out) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn write(format: Format, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)?;
        }
    }
    out.flush()
}

/// What can be said of the flags before the table is opened.
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

/// The arms that were named; none where the table is to say which there are.
fn known_arms(args: &AnalyzeArgs) -> Option<Vec<String>> {
    let named = || args.treatment.iter().chain([&args.control]).cloned().collect();
    (!args.treatment.is_empty()).then(named)
}

/// One column cannot be two things.
fn distinct(args: &AnalyzeArgs, header: &table::Header, columns: &Columns) -> Result<(), Invalid> {
    let mut checks = Checks::default();
    let differs = columns.unit != columns.arm;
    checks.require(differs, format!("--arm {}", args.arm), "must be another column than that of --unit");
    for position in &columns.values {
        let name = header.name(*position);
        let free = *position != columns.unit && *position != columns.arm;
        let field = format!("--guardrail {name}");
        checks.require(free, field, "must be another column than those of --unit and --arm");
    }
    checks.finish()
}

/// Names of the treatment arms, in the order of the flags, else of the alphabet.
fn treatments(args: &AnalyzeArgs, table: &Table) -> Result<Vec<String>, Invalid> {
    let there = || table.arms.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if table.units == 0 {
        let first = table.bad_rows.listed.first();
        let example = first.map(|row| format!(", the first on line {}: {}", row.line, row.reason));
        let message = format!(
            "has no usable row: {} rows, {} bad{}, {} of units in two arms",
            table.rows,
            table.bad_rows.count,
            example.unwrap_or_default(),
            table.rows_in_two_arms
        );
        return Err(Invalid::field(args.file.display().to_string(), message));
    }
    let units = |name: &str| table.arms.get(name).map_or(0, |arm| arm.units);
    let column = &args.arm;
    if units(&args.control) == 0 {
        let message =
            format!("must be an arm with usable rows; the values of column `{column}` are {}", there());
        return Err(Invalid::field(format!("--control {}", args.control), message));
    }
    if let Some(name) = args.treatment.iter().find(|name| units(name) == 0) {
        let message =
            format!("must be an arm with usable rows; the values of column `{column}` are {}", there());
        return Err(Invalid::field(format!("--treatment {name}"), message));
    }
    let others: Vec<String> = table.arms.keys().filter(|name| **name != args.control).cloned().collect();
    if others.is_empty() {
        let message = format!("must have an arm besides the control; its only value is `{}`", args.control);
        return Err(Invalid::field(format!("--arm {column}"), message));
    }
    Ok(if args.treatment.is_empty() { others } else { args.treatment.clone() })
}

/// The launch that a table is the record of: one step, one epoch, and evidence needed to go on.
fn launch(args: &AnalyzeArgs, treatments: &[String], metrics: Vec<PinnedMetric>) -> Launch {
    let plan = LaunchPlan {
        id: LaunchId(Uuid::nil()),
        target: Target::Experiment { experiment: args.file.display().to_string() },
        unit_type: args.unit.clone(),
        steps: vec![Step { needs: Needs::Evidence, ..Step::at_once(100.0) }],
        arms: [&args.control].into_iter().chain(treatments).cloned().collect(),
        metrics,
        rollback_percentage: 0.0,
        principal: String::new(),
    };
    Launch { alpha: args.alpha, ..Launch::begin(plan, NOW) }
}

fn measurement(launch: &Launch, table: &Table) -> Measurement {
    let arms = || {
        let names = launch.arms.iter().map(|arm| arm.name.as_str());
        names.filter_map(|name| Some((name, table.arms.get(name)?)))
    };
    let units = arms().map(|(name, arm)| ArmUnits { epoch: EPOCH, arm: name.to_owned(), units: arm.units });
    let of_metric = |index: usize| {
        let row = |(name, arm): (&str, &table::Arm)| {
            let moments = arm.moments.get(index).copied().unwrap_or_default();
            let moments = Outcome::Mean(moments);
            ArmMoments {
                epoch: EPOCH,
                week: 0,
                arm: name.to_owned(),
                moments,
                settled: moments,
                past: Vec::new(),
            }
        };
        arms().map(row).collect()
    };
    let metrics: BTreeMap<_, _> = launch
        .metrics
        .iter()
        .enumerate()
        .map(|(index, pinned)| (pinned.metric.key.clone(), of_metric(index)))
        .collect();
    let (units, shares) = (units.collect(), BTreeMap::new());
    Measurement { as_of: NOW, watermark: NOW, units, shares, kept_from: None, metrics }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::Value;

    use super::*;

    /// A change of the flags.
    type Change = fn(&mut AnalyzeArgs);

    /// Runs the command on a table.
    fn analyze(table: &[u8], change: impl FnOnce(&mut AnalyzeArgs)) -> Result<String, AnalyzeError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("table.csv");
        std::fs::write(&file, table).unwrap();
        let mut args = AnalyzeArgs {
            file,
            unit: "id".to_owned(),
            arm: "arm".to_owned(),
            control: "old".to_owned(),
            treatment: Vec::new(),
            guardrail: vec!["value".to_owned()],
            alpha: ALPHA,
            format: Format::Json,
        };
        change(&mut args);
        let mut out = Vec::new();
        run(&args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn json(table: &[u8], change: impl FnOnce(&mut AnalyzeArgs)) -> Value {
        serde_json::from_str(&analyze(table, change).unwrap()).unwrap()
    }

    fn error(table: &str, change: impl FnOnce(&mut AnalyzeArgs)) -> String {
        analyze(table.as_bytes(), change).unwrap_err().to_string()
    }

    /// `units` units of an arm, of which the first `ones` have the value 1.
    fn arm(name: &str, units: usize, ones: usize) -> String {
        let mut rows = String::new();
        for unit in 0..units {
            writeln!(rows, "{name}-{unit},{name},{}", u8::from(unit < ones)).unwrap();
        }
        rows
    }

    fn table(rows: &[String]) -> Vec<u8> {
        format!("id,arm,value\n{}", rows.concat()).into_bytes()
    }

    const SMALL: &str = "id,arm,value\n1,old,1\n2,old,0\n3,new,1\n4,new,0\n";

    /// The totals that were published of a game's A/B test, in which a gate moved from level 30 to level 40.
    fn moved_gate() -> Vec<u8> {
        let mut rows = "userid,version,retention_1,retention_7\n".to_owned();
        let arms = [("gate_30", 44_700, 20_034, 8_502), ("gate_40", 45_489, 20_119, 8_279)];
        for (arm, players, after_a_day, after_a_week) in arms {
            for player in 0..players {
                let (day, week) = (player < after_a_day, player < after_a_week);
                writeln!(rows, "{arm}-{player},{arm},{day},{week}").unwrap();
            }
        }
        rows.into_bytes()
    }

    fn of_moved_gate(args: &mut AnalyzeArgs, guardrails: &[&str]) {
        args.unit = "userid".to_owned();
        args.arm = "version".to_owned();
        args.control = "gate_30".to_owned();
        args.guardrail = guardrails.iter().map(|name| (*name).to_owned()).collect();
    }

    fn assert_near(found: &Value, expected: f64) {
        let found = found.as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 0.01, "{found} is not near {expected}");
    }

    #[test]
    fn the_moved_gate_is_rolled_back_for_retention_after_a_week() {
        let found = json(&moved_gate(), |args| of_moved_gate(args, &["retention_7"]));
        assert_eq!(found["decision"], "roll_back");
        assert_near(&found["e_value"], 24.5);
        let metric = &found["metrics"][0];
        let gate_40 = &metric["treatments"][0];
        assert_eq!((&metric["control"]["n"], &gate_40["n"]), (&44_700.into(), &45_489.into()));
        assert_near(&metric["control"]["mean"], 0.1902);
        assert_near(&gate_40["mean"], 0.1820);
        assert_near(&gate_40["e_value"], 24.5);
        assert_eq!(gate_40["verdict"], "harm");
        let text = analyze(&moved_gate(), |args| {
            of_moved_gate(args, &["retention_7"]);
            args.format = Format::Text;
        });
        let text = text.unwrap();
        for part in ["44,700", "45,489", "19.02 %", "18.20 %", "24.5", "decision: roll_back", "no times"] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }

    #[test]
    fn the_moved_gate_is_held_when_retention_after_a_day_weighs_the_same() {
        let found = json(&moved_gate(), |args| of_moved_gate(args, &["retention_1", "retention_7"]));
        assert_eq!(found["decision"], "hold");
        assert_near(&found["e_value"], 12.97);
    }

    #[test]
    fn the_moved_gate_shows_no_harm_after_a_day() {
        let found = json(&moved_gate(), |args| of_moved_gate(args, &["retention_1"]));
        assert_eq!(found["decision"], "hold");
        assert_near(&found["e_value"], 1.41);
        let message = found["reasons"][0]["message"].as_str().unwrap();
        assert!(message.contains("no harm shown"), "{message}");
    }

    #[test]
    fn weights_are_those_of_the_flags() {
        let guardrails = ["retention_1", "retention_7:weight=3"];
        let found = json(&moved_gate(), |args| of_moved_gate(args, &guardrails));
        assert_near(&found["e_value"], (1.4147 + 3.0 * 24.5293) / 4.0);
    }

    #[test]
    fn a_rise_is_harm_where_lower_is_better() {
        let table = table(&[arm("old", 2_000, 200), arm("new", 2_000, 400)]);
        let decision = |guardrail: &str| {
            json(&table, |args| args.guardrail = vec![guardrail.to_owned()])["decision"].clone()
        };
        assert_eq!(decision("value:lower_is_better"), "roll_back");
        assert_eq!(decision("value"), "allow");
    }

    #[test]
    fn harm_within_the_margin_is_no_harm() {
        let table = table(&[arm("old", 20_000, 2_000), arm("new", 20_000, 1_800)]);
        let found = |guardrail: &str| json(&table, |args| args.guardrail = vec![guardrail.to_owned()]);
        assert_near(&found("value")["e_value"], 43.7);
        assert_near(&found("value:margin=0.02")["e_value"], 8.84);
        assert_eq!(found("value:margin=0.02")["decision"], "hold");
        assert_eq!(found("value:margin=0.3")["decision"], "allow");
    }

    #[test]
    fn one_harmed_arm_is_stopped_alone() {
        let table = table(&[arm("old", 5_000, 500), arm("fine", 5_000, 500), arm("worse", 5_000, 300)]);
        let found = json(&table, |_| {});
        assert_eq!(found["decision"], "roll_back");
        assert_eq!((&found["action"], &found["stopped_arms"]), (&"stop_arms".into(), &vec!["worse"].into()));
    }

    #[test]
    fn an_arm_that_was_not_named_is_a_bad_row() {
        let table = table(&[arm("old", 50, 5), arm("new", 50, 5), arm("???", 1, 1)]);
        let found = json(&table, |args| args.treatment = vec!["new".to_owned()]);
        assert_eq!(found["bad_rows"]["count"], 1);
        let reason = found["bad_rows"]["listed"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("`???`, an arm that was not named"), "{reason}");
        let found = json(&table, |_| {});
        assert_eq!(found["metrics"][0]["treatments"][0]["arm"], "???");
        assert!(found["notes"][0].as_str().unwrap().contains("--treatment"));
    }

    #[test]
    fn every_bad_row_is_named_by_its_line() {
        let table: &[u8] = b"\xef\xbb\xbfid,arm,value\r\n1,old,1\r\n\r\n2,new,yes\r\n3,new\r\n,new,1\r\n4,,1\r\n\
            \"5\r\n5\",new,1\r\n6,new,nan\r\n7,new,1e999\r\n8,new,\r\n1,old,0\r\n9,\xff,1\r\n10,new, TRUE \r\n\
            11,new,1,1\r\n12,old,false";
        let found = json(table, |_| {});
        let bad = &found["bad_rows"];
        let listed: Vec<(u64, &str)> = bad["listed"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap()))
            .collect();
        let unread =
            |text: &str| format!("column `value` is neither true, false nor a finite number: `{text}`");
        let expected = [
            (4, unread("yes")),
            (5, "has 2 fields, the header has 3".to_owned()),
            (6, "column `id`, the unit, is empty".to_owned()),
            (7, "column `arm`, the arm, is empty".to_owned()),
            (10, unread("nan")),
            (11, unread("1e999")),
            (12, unread("")),
            (13, "unit `1` has a row on line 2 already".to_owned()),
            (14, "column `arm` is not UTF-8".to_owned()),
            (16, "has 4 fields, the header has 3".to_owned()),
        ];
        let expected: Vec<(u64, &str)> =
            expected.iter().map(|(line, reason)| (*line, reason.as_str())).collect();
        assert_eq!(listed, expected);
        assert_eq!((&bad["count"], &found["rows"], &found["units"]), (&10.into(), &14.into(), &4.into()));
    }

    #[test]
    fn only_the_first_bad_rows_are_listed_and_all_are_counted() {
        let rows: Vec<String> = (0..50).map(|unit| format!("bad-{unit},new,?\n")).collect();
        let table = format!("{SMALL}{}", rows.concat());
        let found = json(table.as_bytes(), |_| {});
        assert_eq!(found["bad_rows"]["count"], 50);
        assert_eq!(found["bad_rows"]["listed"].as_array().unwrap().len(), 20);
        let text = analyze(table.as_bytes(), |args| args.format = Format::Text).unwrap();
        assert!(text.contains("and 30 more bad rows"), "{text}");
    }

    #[test]
    fn a_unit_in_two_arms_counts_in_neither() {
        let table = format!("{SMALL}1,new,1\n1,old,1\n5,old,?\n5,new,1\n");
        let found = json(table.as_bytes(), |_| {});
        let crossed = &found["units_in_two_arms"];
        assert_eq!(crossed["count"], 2);
        assert_eq!(crossed["listed"][0]["lines"], serde_json::json!([2, 6]));
        assert_eq!(crossed["listed"][0]["unit"], "1");
        assert_eq!((&found["units"], &found["rows_in_two_arms"]), (&3.into(), &4.into()));
        assert_eq!(found["bad_rows"]["count"], 1);
        assert_eq!(found["metrics"][0]["control"]["n"], 1);
    }

    #[test]
    fn a_bad_row_does_not_take_the_place_of_a_good_one() {
        let table = format!("{SMALL}5,new,?\n5,new,1\n");
        let found = json(table.as_bytes(), |_| {});
        assert_eq!((&found["units"], &found["bad_rows"]["count"]), (&5.into(), &1.into()));
        assert_near(&found["metrics"][0]["treatments"][0]["mean"], 2.0 / 3.0);
    }

    #[test]
    fn a_compressed_table_is_read_whatever_its_name() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(SMALL.as_bytes()).unwrap();
        let whole = encoder.finish().unwrap();
        assert_eq!(json(&whole, |_| {})["units"], 4);
        let half = analyze(&whole[..whole.len() / 2], |_| {}).unwrap_err().to_string();
        assert!(half.contains("cannot read"), "{half}");
    }

    #[test]
    fn undefined_numbers_are_null_with_a_reason() {
        let table = table(&[arm("old", 200, 0), arm("new", 200, 100)]);
        let found = json(&table, |_| {});
        let new = &found["metrics"][0]["treatments"][0];
        assert_eq!(new["relative_effect"], Value::Null);
        assert_eq!(new["undefined"]["relative_effect"], "the control mean is 0");
        assert_eq!(new["interval"]["low"], Value::Null);
        assert_eq!(new["undefined"]["interval"], "all units of an arm have the same value");
        assert_eq!(new["effect"], 0.5);
    }

    #[test]
    fn no_number_is_too_large() {
        let mut rows = "id,arm,value\n".to_owned();
        for unit in 0..400 {
            let (arm, value) = if unit % 2 == 0 { ("old", "1e300") } else { ("new", "-1.5e308") };
            writeln!(rows, "{unit},{arm},{value}").unwrap();
        }
        let found = json(rows.as_bytes(), |_| {});
        let new = &found["metrics"][0]["treatments"][0];
        assert_eq!((&new["mean"], &found["decision"]), (&Value::Null, &"hold".into()));
        assert_eq!(new["undefined"]["mean"], "too large for a number of 64 bits");
        let table = table(&[arm("old", 20_000, 19_000), arm("new", 20_000, 0)]);
        let found = json(&table, |_| {});
        assert_eq!((&found["e_value"], &found["decision"]), (&Value::Null, &"roll_back".into()));
        assert!(found["ln_e"].as_f64().unwrap() > 709.0);
    }

    #[test]
    fn a_wrong_flag_is_named_with_what_would_be_right() {
        let cases: [(&str, Change); 16] = [
            ("--alpha: must be above 0 and below 1, is 1", |args| args.alpha = 1.0),
            ("--alpha: must be above 0 and below 1, is NaN", |args| args.alpha = f64::NAN),
            ("--unit user: must be a column of the table; its columns are `id`, `arm`, `value`", |args| {
                args.unit = "user".to_owned();
            }),
            ("--arm id: must be another column than that of --unit", |args| args.arm = "id".to_owned()),
            (
                "--control olf: must be an arm with usable rows; the values of column `arm` are `new`, `old`",
                |args| args.control = "olf".to_owned(),
            ),
            (
                "--treatment no: must be an arm with usable rows; the values of column `arm` are `new`, `old`",
                |args| args.treatment = vec!["new".to_owned(), "no".to_owned()],
            ),
            ("--guardrail: must be given at least once", |args| args.guardrail.clear()),
            ("--guardrail x: must be a column of the table; its columns are `id`, `arm`, `value`", |args| {
                args.guardrail = vec!["x:weight=2".to_owned()];
            }),
            ("--guardrail value:weight=2: must name a metric only once", |args| {
                args.guardrail.push("value:weight=2".to_owned());
            }),
            ("--guardrail arm: must be another column than those of --unit and --arm", |args| {
                args.guardrail = vec!["arm".to_owned()];
            }),
            ("--guardrail value:margin=1, margin: must be at least 0 and below 1, is 1", |args| {
                args.guardrail = vec!["value:margin=1".to_owned()];
            }),
            ("--guardrail value:margin=-0.1, margin: must be at least 0 and below 1, is -0.1", |args| {
                args.guardrail = vec!["value:margin=-0.1".to_owned()];
            }),
            ("--guardrail value:margin=much, margin: must be a number, is `much`", |args| {
                args.guardrail = vec!["value:margin=much".to_owned()];
            }),
            ("--guardrail value:weight=0, weight: must be above 0 and at most 1,000, is 0", |args| {
                args.guardrail = vec!["value:weight=0".to_owned()];
            }),
            ("--guardrail value:weight=1001, weight: must be above 0 and at most 1,000, is 1001", |args| {
                args.guardrail = vec!["value:weight=1001".to_owned()];
            }),
            (
                "--guardrail value:lower: `lower` must be one of lower_is_better, higher_is_better, margin=, \
                 ship_margin=, weight=",
                |args| args.guardrail = vec!["value:lower".to_owned()],
            ),
        ];
        for (expected, change) in cases {
            assert_eq!(error(SMALL, change), expected);
        }
    }

    #[test]
    fn a_table_that_cannot_be_judged_says_why() {
        let cases = [
            ("", "must have a header line, is empty"),
            ("id,arm,value\n", "has no usable row: 0 rows, 0 bad, 0 of units in two arms"),
            ("id,arm,value\n1,old,?\n", "the first on line 2: column `value` is neither true"),
            ("id,arm,value\n1,old,1\n", "--arm arm: must have an arm besides the control"),
            ("id,arm,value,value\n1,old,1,1\n", "--guardrail value: must name one column"),
        ];
        for (table, expected) in cases {
            let found = error(table, |_| {});
            assert!(found.contains(expected), "{found}");
        }
        let rows: Vec<String> = (0..200).map(|unit| format!("{unit},arm-{unit},1\n")).collect();
        let found = error(&format!("id,arm,value\n{}", rows.concat()), |_| {});
        assert!(found.contains("must have at most 100 different values"), "{found}");
    }

    #[test]
    fn a_column_may_have_colons_and_spaces_in_its_name() {
        let found = json(b"id,arm,a: b\n1,old,1\n2,new,1\n", |args| {
            args.guardrail = vec!["a: b:lower_is_better".to_owned()];
        });
        assert_eq!(found["metrics"][0]["metric"], "a: b");
        assert_eq!(found["metrics"][0]["direction"], "lower_is_better");
    }
}
