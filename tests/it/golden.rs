//! Databases of versions before: each is brought up to date and served, and each newest schema has one.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use portcullis::app::DATABASE_FILE;
use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::{DecisionKind, EventOutcome};
use sqlx::Row;

use crate::commands::{path_text, run};
use crate::documents::{gate, guardrail, percentage, ramp, step};
use crate::guard::harm;
use crate::home::Home;
use crate::overriding::override_launch;
use crate::ramps::{approval, pause};
use crate::server::{Server, gate_target, settings};
use crate::visitors::{Crowd, event, log, log_batch};
use crate::webhooks::webhook;

/// All golden databases, by the engine and the newest migration of the version that left them.
const GOLDEN: [&str; 4] = ["sqlite-0001", "sqlite-0007", "postgres-0007", "postgres-0008"];
/// What all of them have: a gate that was rolled back, and an event.
const ROLLED_BACK: &str = "show_new_signup_form";
const KNOWN: (&str, &str, &str) = ("page_view-50", "visitor-50", "page_view");

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The name of a golden database of today's schema.
fn newest(engine: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let names =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let newest = names.filter_map(|name| Some(name.strip_suffix(".sql")?.to_owned())).max().unwrap();
    format!("{engine}-{}", newest.split('_').next().unwrap())
}

#[test]
fn the_newest_schema_of_each_engine_has_a_golden_database() {
    for engine in ["sqlite", "postgres"] {
        let newest = newest(engine);
        assert!(
            GOLDEN.contains(&newest.as_str()),
            "tests/golden has no {newest}: tests/golden/README.md says how it is made"
        );
    }
    let files =
        std::fs::read_dir(golden("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: Vec<String> =
        files.filter_map(|name| Some(name.strip_suffix(".sql.gz")?.to_owned())).collect();
    assert_eq!(files.len(), GOLDEN.len(), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_of_versions_before_are_brought_up_to_date_and_served() {
    for name in GOLDEN.iter().filter(|name| name.starts_with("sqlite")) {
        let home = Home::with_sqlite();
        std::fs::File::create(home.path().join(DATABASE_FILE)).unwrap();
        assert_served(name, home).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_databases_of_versions_before_are_brought_up_to_date_and_served() {
    for name in GOLDEN.iter().filter(|name| name.starts_with("postgres")) {
        assert_served(name, Home::with_postgres().await).await;
    }
}

async fn assert_served(name: &str, home: Arc<Home>) {
    let (packed, mut dump) = (std::fs::read(golden(&format!("{name}.sql.gz"))).unwrap(), String::new());
    GzDecoder::new(&packed[..]).read_to_string(&mut dump).unwrap();
    home.execute(&dump).await;
    let before = bodies(&home).await;
    assert!(before.len() > 10, "{name}: {}", before.len());

    // However long ago it was.
    let retention = Duration::from_hours(24 * 365 * 100);
    let settings = ServeSettings { retention, ..settings(&home) };
    let server = Server::start_as(home, settings, Clock::system()).await;
    let exported = path_text(&golden(&format!("{name}.yaml")));
    let told = run(Some(&server), &["apply", &exported, "--check", "--prune"]).await;
    assert_eq!(told.code, 0, "{name}: {told:?}");

    // The guard may have added to them meanwhile.
    let decisions = server.decisions("").await;
    assert!(decisions.len() >= before.len(), "{name}: {}", decisions.len());
    assert!(
        (1..).zip(&decisions[..before.len()]).all(|(cursor, decision)| decision.cursor == cursor),
        "{name}"
    );
    let judged = format!("select cursor from decision where judged = 1 and cursor <= {}", before.len());
    let judged = server.home().rows(&judged).await.len();
    let rested = before.iter().filter(|body| !body["judgement"].is_null()).count();
    assert!(judged == rested && judged > 0, "{name}: {judged} of {rested}");
    let answer = server.check(&gate_target(ROLLED_BACK)).await;
    assert_eq!(answer.decision(), DecisionKind::Block, "{name}");
    assert!(answer.latches[0].closed, "{name}");
    let refused = server.set_rollout(percentage(ROLLED_BACK, 20.0)).await.unwrap_err();
    assert!(refused.message().contains("latch"), "{name}: {}", refused.message());

    let (id, visitor, event_name) = KNOWN;
    let mut known = event(visitor, event_name);
    known.id = id.to_owned();
    let mut new = event(visitor, event_name);
    new.id = format!("{id}-new");
    let outcomes = log_batch(&server, vec![known, new]).await;
    assert_eq!(outcomes, [EventOutcome::Duplicate, EventOutcome::Stored], "{name}");
}

/// The stored decisions.
async fn bodies(home: &Home) -> Vec<serde_json::Value> {
    let rows = home.rows("select body from decision order by cursor").await;
    rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it writes a golden database of the engine that the tests run on; see tests/golden/README.md"]
async fn make() {
    let home = Home::new().await;
    let engine = if home.url().starts_with("sqlite") { "sqlite" } else { "postgres" };
    let newest = newest(engine);
    let file = golden(&format!("{newest}.sql.gz"));
    assert!(!file.exists(), "{} is never changed", file.display());

    let server = Server::start_in(home, Clock::system()).await;
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configurations/first.yaml");
    let told = run(Some(&server), &["apply", &path_text(&first), "--yes"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    // Nobody listens there: notices wait in the outbox.
    server.create_webhook(webhook("pager", "http://127.0.0.1:9/hook")).await;
    server.create_metric(guardrail("visited_signup", "visited_signup")).await;
    server.create_gate(gate("waiting", 0.0)).await;
    let steps = vec![step(10.0, 0, 0), approval(20.0), step(100.0, 0, 0)];
    let waiting = server.set_rollout(ramp("waiting", steps)).await.unwrap().launch.unwrap();
    override_launch(&server, &waiting.id, Clock::system().now().0 + 3_600_000).await.unwrap();
    server.create_gate(gate("paused", 0.0)).await;
    let steps = vec![step(10.0, 3_600_000, 0), step(100.0, 0, 0)];
    let paused = server.set_rollout(ramp("paused", steps)).await.unwrap().launch.unwrap();
    pause(&server, &paused.id).await.unwrap();
    server.create_gate(gate(ROLLED_BACK, 0.0)).await;
    server.set_rollout(percentage(ROLLED_BACK, 50.0)).await.unwrap();
    let (id, visitor, event_name) = KNOWN;
    let mut known = event(visitor, event_name);
    known.id = id.to_owned();
    log(&server, vec![known]).await;
    harm(&server, &mut Crowd::new(ROLLED_BACK, "visited_signup").doing(0.1, 0.6)).await;
    let exported = run(Some(&server), &["export"]).await;
    assert_eq!(exported.code, 0, "{exported:?}");
    let home = server.stop().await;

    std::fs::write(golden(&format!("{newest}.yaml")), exported.out).unwrap();
    let mut packed = GzEncoder::new(std::fs::File::create(file).unwrap(), Compression::best());
    packed.write_all(dumped(&home).as_bytes()).unwrap();
    packed.finish().unwrap();
}

fn dumped(home: &Home) -> String {
    let url = home.url();
    let mut command = if let Some(file) = url.strip_prefix("sqlite:") {
        let dump = "import sqlite3, sys; print('\\n'.join(sqlite3.connect(sys.argv[1]).iterdump()))";
        let mut command = Command::new("python3");
        command.args(["-c", dump, file]);
        command
    } else {
        let mut command = Command::new("pg_dump");
        command.args(["--inserts", "--rows-per-insert=500", "--no-owner", "--no-privileges"]);
        command.args(["--no-comments", "--dbname", &url]);
        command
    };
    let output = command.output().expect("python3 or pg_dump is in the path");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dump = String::from_utf8(output.stdout).unwrap();
    // Settings of a session differ from version to version, and so do commands of the shell that restores.
    let is_of_a_session = |line: &&str| {
        line.starts_with("SET ") || line.starts_with('\\') || line.starts_with("SELECT pg_catalog.set_config")
    };
    dump.split_inclusive('\n').filter(|line| !is_of_a_session(line)).collect()
}
