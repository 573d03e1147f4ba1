//! What the command says, input by input.

mod flags;
mod looks;
mod measures;
mod plot;
mod rows;
mod verdicts;

use std::fmt::Write as _;

use serde_json::Value;

use super::*;
use crate::cli::output::Format;

/// A change of the flags.
type Change = fn(&mut AnalyzeArgs);

/// Runs the command on a table.
fn analyze(table: &[u8], change: impl FnOnce(&mut AnalyzeArgs)) -> Result<String, AnalyzeError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.csv");
    std::fs::write(&file, table).unwrap();
    let mut args = AnalyzeArgs {
        file,
        unit: Some("id".to_owned()),
        arm: Some("arm".to_owned()),
        control: "old".to_owned(),
        treatment: Vec::new(),
        guardrail: vec!["value".to_owned()],
        segment: None,
        shares: Vec::new(),
        alpha: ALPHA,
        plot: None,
        output: Output { format: Format::Json, json: false },
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
    args.unit = Some("userid".to_owned());
    args.arm = Some("version".to_owned());
    args.control = "gate_30".to_owned();
    args.guardrail = guardrails.iter().map(|name| (*name).to_owned()).collect();
}

fn assert_near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found / expected - 1.0).abs() < 0.01, "{found} is not near {expected}");
}
