//! A table brought in as history gives the launch the same numbers as the table judged as it is.

use std::fmt::Write as _;
use std::time::Duration;

use portcullis::stats::effect::{Alternative, Effect};
use portcullis::stats::estimate::Estimate;
use portcullis::transport::grpc::wire::{Experiment, ExperimentGroup, Metric, MetricKind, Moments};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

use crate::commands::{run, written};
use crate::documents::guardrail;
use crate::home::variable;
use crate::server::{Server, TestClock, experiment_target};

/// Another table of the same columns to do this with, `userid,version,sum_gamerounds,retention_1,retention_7`, as CSV.
const TABLE: &str = "PORTCULLIS_TEST_TABLE";
/// Units of the table that is made up.
const UNITS: u64 = 2_000;
/// Files that the table is brought in as.
const PARTS: usize = 4;
const COLUMNS: &str = "userid,version,sum_gamerounds,retention_1,retention_7";

/// Players, the rounds that they played, and whether they came back, one a line in the order of their ids.
fn table() -> Vec<String> {
    if let Some(path) = variable(TABLE) {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines().map(|line| line.trim_end().to_owned());
        assert_eq!(lines.next().as_deref(), Some(COLUMNS));
        let id = |line: &String| line.split(',').next().unwrap().parse::<u64>().unwrap();
        let mut rows: Vec<String> = lines.collect();
        rows.sort_by_key(id);
        return rows;
    }
    let mut random = StdRng::seed_from_u64(7);
    let player = |number: u64| {
        let treated = random.random_bool(0.5);
        let rounds = random.random_range(0.0_f64..8.0).exp().round();
        let mut back = |share: f64| if random.random_bool(share) { "TRUE" } else { "FALSE" };
        let (day, week) = (back(0.44), back(if treated { 0.15 } else { 0.2 }));
        format!("{},{},{rounds},{day},{week}", number * 37, if treated { "gate_40" } else { "gate_30" })
    };
    (1..=UNITS).map(player).collect()
}

fn price() -> Experiment {
    let group =
        |name: &str| ExperimentGroup { name: name.to_owned(), weight: 50.0, ..ExperimentGroup::default() };
    let groups = vec![group("gate_30"), group("gate_40")];
    Experiment { key: "gate_level".to_owned(), groups, ..Experiment::default() }
}

fn close(found: f64, expected: f64, what: &str) -> f64 {
    let distance = (found - expected).abs() / expected.abs();
    assert!(distance <= 1e-9, "{what}: found {found}, expected {expected}");
    distance
}

fn estimate(moments: &Moments) -> Estimate {
    let n = moments.n as f64;
    let mean = moments.sum / n;
    let variance = (moments.sum_squares - moments.sum * mean) / (n - 1.0);
    Estimate::new(u64::try_from(moments.n).unwrap(), mean, variance).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_brought_in_unit_by_unit_is_scored_as_analyze_scores_it() {
    let clock = TestClock::new();
    let (server, folder) = (Server::start_with(&clock).await, TempDir::new().unwrap());
    let rounds = guardrail("sum_gamerounds", "sum_gamerounds");
    server.create_metric(Metric { kind: MetricKind::Sum.into(), ..rounds }).await;
    for key in ["retention_1", "retention_7"] {
        server.create_metric(guardrail(key, key)).await;
    }
    server.run_experiment(price()).await;

    // The clock stands still, and all of it is of this moment: the guard looks once all is there.
    let rows = table();
    let at = clock.now_ms();
    for (part, some) in rows.chunks(rows.len().div_ceil(PARTS)).enumerate() {
        let mut text = format!("{COLUMNS},at\n");
        for row in some {
            writeln!(text, "{row},{at}").unwrap();
        }
        let file = written(&folder, &format!("part-{part}.csv"), &text);
        let all = ["--map", "user_id=userid", "--map", "time=at", "--time-unit", "ms"];
        let imports: [&[&str]; 4] = [
            &["exposures", "--set", "experiment=gate_level", "--map", "group=version"],
            &["events", "--set", "name=sum_gamerounds", "--map", "value=sum_gamerounds"],
            &["events", "--set", "name=retention_1", "--only", "retention_1=TRUE"],
            &["events", "--set", "name=retention_7", "--only", "retention_7=TRUE"],
        ];
        for import in imports {
            let told = run(Some(&server), &[&["import"], import, &all[..], &[file.as_str()]].concat()).await;
            assert_eq!(told.code, 0, "{told:?}");
        }
    }
    clock.advance(Duration::from_secs(1));

    let whole = written(&folder, "whole.csv", &format!("{COLUMNS}\n{}\n", rows.join("\n")));
    let analyze =
        ["analyze", &whole, "--unit", "userid", "--arm", "version", "--control", "gate_30", "--json"];
    let guardrails =
        ["--guardrail", "sum_gamerounds", "--guardrail", "retention_1", "--guardrail", "retention_7"];
    let told = run(None, &[&analyze[..], &guardrails[..]].concat()).await;
    let expected: Value = serde_json::from_str(&told.out).unwrap();

    let units = i64::try_from(rows.len()).unwrap();
    let found = server
        .check_until(&experiment_target("gate_level"), "everybody is counted", |answer| {
            let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == "retention_7");
            let epoch = verdict.and_then(|verdict| verdict.epochs.first());
            let arms = epoch.and_then(|epoch| Some(epoch.control?.n + epoch.treatment?.n));
            arms == Some(units)
                && verdict.is_some_and(|verdict| verdict.scale.is_some_and(|scale| scale > 0.0))
        })
        .await;
    let mut furthest = 0.0_f64;
    for metric in expected["metrics"].as_array().unwrap() {
        let (key, treatment) = (metric["metric"].as_str().unwrap(), &metric["treatments"][0]);
        let verdict = found.verdicts.iter().find(|verdict| verdict.metric == key).unwrap();
        let [epoch] = &verdict.epochs[..] else { panic!("{key}: one stretch") };
        let (control, treated) = (estimate(&epoch.control.unwrap()), estimate(&epoch.treatment.unwrap()));
        let effect = Effect::absolute(&control, &treated).unwrap();
        let interval = effect.interval(Alternative::TwoSided, 0.95);
        let pairs = [
            ("control", control.value(), &metric["control"]["mean"]),
            ("treatment", treated.value(), &treatment["mean"]),
            ("effect", effect.estimate, &treatment["effect"]),
            ("low", interval.low, &treatment["interval"]["low"]),
            ("high", interval.high, &treatment["interval"]["high"]),
        ];
        for (what, found, expected) in pairs {
            furthest = furthest.max(close(found, expected.as_f64().unwrap(), &format!("{key}, {what}")));
        }
        // Of a conversion that few units have, the guard weighs the marks beside the mixture; a table has no order for them.
        if key != "retention_7" {
            furthest = furthest.max(close(verdict.e_value, treatment["e_value"].as_f64().unwrap(), key));
        }
    }
    assert!(furthest <= 1e-9, "{units} units; the largest relative difference is {furthest:e}");
}
