//! A table brought in as history gives the launch the same numbers as the table judged as it is.

use std::fmt::Write as _;
use std::time::Duration;

use portcullis::transport::grpc::wire::exposure::Served;
use portcullis::transport::grpc::wire::get_scorecard_request::Subject;
use portcullis::transport::grpc::wire::metric_service_client::MetricServiceClient;
use portcullis::transport::grpc::wire::{
    Event, EventOutcome, Experiment, ExperimentGroup, Exposure, GetScorecardRequest, LogExposuresRequest,
    Metric, MetricKind, Range, Score, ServedExperiment,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

use crate::commands::{run, written};
use crate::documents::guardrail;
use crate::home::variable;
use crate::server::{Server, TestClock, experiment_target};
use crate::visitors::{log, user};

/// Another table of the same columns to do this with, `userid,version,sum_gamerounds,retention_1,retention_7`, as CSV.
const TABLE: &str = "PORTCULLIS_TEST_TABLE";
/// Units of the table that is made up.
const UNITS: u64 = 1_000;
/// Levels of the intervals.
const LEVELS: [f64; 3] = [0.80, 0.90, 0.95];
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

fn level() -> Experiment {
    let group =
        |name: &str| ExperimentGroup { name: name.to_owned(), weight: 50.0, ..ExperimentGroup::default() };
    let groups = vec![group("gate_30"), group("gate_40")];
    Experiment { key: "gate_level".to_owned(), groups, ..Experiment::default() }
}

/// A running experiment that nothing has been reported of, and the clock, which stands still.
async fn running() -> (Server, TestClock) {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    // Of a conversion that few units have the guard weighs the marks beside the mixture, and a table has no order for them.
    // So coming back is counted, and everything else is the same.
    for (key, kind) in [
        ("sum_gamerounds", MetricKind::Sum),
        ("retention_1", MetricKind::Count),
        ("retention_7", MetricKind::Count),
    ] {
        server.create_metric(Metric { kind: kind.into(), ..guardrail(key, key) }).await;
    }
    server.run_experiment(level()).await;
    (server, clock)
}

/// What `analyze` says of the table, and what the service says of the launch once everybody is counted, agree.
async fn compare(server: &Server, rows: &[String]) {
    let folder = TempDir::new().unwrap();
    let whole = written(&folder, "whole.csv", &format!("{COLUMNS}\n{}\n", rows.join("\n")));
    let analyze =
        ["analyze", &whole, "--unit", "userid", "--arm", "version", "--control", "gate_30", "--json"];
    let guardrails =
        ["--guardrail", "sum_gamerounds", "--guardrail", "retention_1", "--guardrail", "retention_7"];
    let told = run(None, &[&analyze[..], &guardrails[..]].concat()).await;
    let expected: Value = serde_json::from_str(&told.out).unwrap();

    let (target, units) = (experiment_target("gate_level"), i64::try_from(rows.len()).unwrap());
    let judged = server
        .check_until(&target, "everybody is counted", |answer| {
            let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == "retention_7");
            let epoch = verdict.and_then(|verdict| verdict.epochs.first());
            let arms = epoch.and_then(|epoch| Some(epoch.control?.n + epoch.treatment?.n));
            arms == Some(units)
                && verdict.is_some_and(|verdict| verdict.scale.is_some_and(|scale| scale > 0.0))
        })
        .await;
    let mut close = Close { furthest: 0.0 };
    for metric in expected["metrics"].as_array().unwrap() {
        let verdict = judged.verdicts.iter().find(|verdict| verdict.metric == metric["metric"]).unwrap();
        close.number(Some(verdict.e_value), &metric["treatments"][0]["e_value"], "e-value of the verdict");
    }
    for (index, level) in LEVELS.into_iter().enumerate() {
        let request =
            GetScorecardRequest { subject: Some(Subject::Target(target.clone())), level: Some(level) };
        let mut client = MetricServiceClient::new(server.channel());
        let scorecard = client.get_scorecard(request).await.unwrap().into_inner();
        let metrics = expected["metrics"].as_array().unwrap();
        for metric in metrics {
            let found = scorecard.metrics.iter().find(|found| found.metric == metric["metric"]).unwrap();
            let [group] = &found.groups[..] else { panic!("one group: {found:#?}") };
            close.score(group.score.as_ref().unwrap(), metric, index);
        }
    }
    assert!(close.furthest <= 1e-9, "{units} units; the largest relative difference is {:e}", close.furthest);
}

/// Compares numbers, and keeps how far the furthest are apart.
struct Close {
    furthest: f64,
}

impl Close {
    fn number(&mut self, found: Option<f64>, expected: &Value, what: &str) {
        let Some(expected) = expected.as_f64() else {
            assert_eq!(found, None, "{what} is undefined");
            return;
        };
        let found = found.unwrap_or_else(|| panic!("{what}: expected {expected}"));
        let distance = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
        assert!(distance <= 1e-9, "{what}: found {found}, expected {expected}");
        self.furthest = self.furthest.max(distance);
    }

    fn range(&mut self, found: Option<&Range>, expected: &Value, what: &str) {
        self.number(found.map(|range| range.low), &expected["low"], what);
        self.number(found.map(|range| range.high), &expected["high"], what);
    }

    /// A score against a metric of `analyze`, at the level of this index.
    fn score(&mut self, found: &Score, metric: &Value, level: usize) {
        let (key, group) = (metric["metric"].as_str().unwrap(), &metric["treatments"][0]);
        let what = |name: &str| format!("{key}, {name}");
        assert_eq!(Some(found.control_units), metric["control"]["n"].as_i64());
        assert_eq!(Some(found.units), group["n"].as_i64());
        self.number(found.control_mean, &metric["control"]["mean"], &what("control"));
        self.number(found.mean, &group["mean"], &what("mean"));
        self.number(found.effect, &group["effect"], &what("effect"));
        self.number(found.relative_effect, &group["relative_effect"], &what("relative effect"));
        self.number(Some(found.e_value), &group["e_value"], &what("e-value"));
        self.number(Some(found.p_value_at_every_look), &group["p_value"], &what("p-value"));
        let intervals = &group["intervals"][level];
        assert_eq!(intervals["level"].as_f64(), LEVELS.get(level).copied());
        let ranges = [
            ("one_look", &found.one_look),
            ("one_look_relative", &found.one_look_relative),
            ("every_look", &found.every_look),
            ("every_look_relative", &found.every_look_relative),
        ];
        for (name, range) in ranges {
            self.range(range.as_ref(), &intervals[name], &what(name));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_told_one_unit_at_a_time_is_scored_as_analyze_scores_it() {
    let (server, clock) = running().await;
    let rows = table();
    for row in &rows {
        let cells: Vec<&str> = row.split(',').collect();
        let [id, group, rounds, day, week] = cells[..] else { panic!("{row}") };
        let served = ServedExperiment { key: "gate_level".to_owned(), group: group.to_owned() };
        let exposure =
            Exposure { user: Some(user(id)), served: Some(Served::Experiment(served)), time: None };
        let request = LogExposuresRequest { exposures: vec![exposure] };
        let [result] = &server.events().log_exposures(request).await.unwrap().into_inner().results[..] else {
            panic!("one result");
        };
        assert_eq!(result.outcome(), EventOutcome::Stored, "{}", result.message);
        let event = |name: &str, value: Option<f64>| Event {
            id: format!("{name}-{id}"),
            name: name.to_owned(),
            user: Some(user(id)),
            value,
            ..Event::default()
        };
        let mut events = vec![event("sum_gamerounds", Some(rounds.parse().unwrap()))];
        let came_back = [("retention_1", day), ("retention_7", week)];
        events
            .extend(came_back.iter().filter(|(_, came)| *came == "TRUE").map(|(name, _)| event(name, None)));
        log(&server, events).await;
    }
    clock.advance(Duration::from_secs(1));
    compare(&server, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_brought_in_from_a_file_is_scored_as_analyze_scores_it() {
    let ((server, clock), folder) = (running().await, TempDir::new().unwrap());
    // The clock stands still, and all of it is of this moment: the guard looks once all is there.
    let (rows, at) = (table(), clock.now_ms());
    let mut text = format!("{COLUMNS},at\n");
    for row in &rows {
        writeln!(text, "{row},{at}").unwrap();
    }
    let file = written(&folder, "table.csv", &text);
    let all = ["--map", "user_id=userid", "--map", "time=at", "--time-unit", "ms"];
    let imports: [&[&str]; 4] = [
        &["exposures", "--set", "experiment=gate_level", "--map", "group=version"],
        &["events", "--set", "name=sum_gamerounds", "--map", "value=sum_gamerounds"],
        &["events", "--set", "name=retention_1", "--only", "retention_1=TRUE"],
        &["events", "--set", "name=retention_7", "--only", "retention_7=TRUE"],
    ];
    let bring = async |import: &[&str]| {
        let told = run(Some(&server), &[&["import"], import, &all[..], &[file.as_str()]].concat()).await;
        assert_eq!(told.code, 0, "{told:?}");
        told.out
    };
    for import in imports {
        bring(import).await;
    }
    let again = format!("{file}: 0 accepted, {} duplicate, 0 refused\n", rows.len());
    assert_eq!(bring(imports[0]).await, again);
    clock.advance(Duration::from_secs(1));
    compare(&server, &rows).await;
}
