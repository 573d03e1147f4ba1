//! Ingest through gRPC against what the database does alone with the same rows, in one run.
//!
//! On PostgreSQL that is COPY into the same tables of a database of its own on the same server, given by
//! `PORTCULLIS_TEST_POSTGRES` (`script/postgres --durable cargo bench -p portcullis-benches --bench ingest`); on SQLite plain
//! inserts of many rows at the same durability.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Parser;
use portcullis::app::App;
use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::database::{Database, DatabaseUrl, NativePool};
use portcullis::transport::grpc::wire::event_service_client::EventServiceClient;
use portcullis::transport::grpc::wire::{Event, EventOutcome, LogEventsRequest, User};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, QueryBuilder, Sqlite};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Events of a batch.
const BATCH: usize = 500;
/// Callers at a time, each with one batch under way. While half of them wait for a commit, the next one fills with the others'.
const CALLERS: usize = 32;
/// Rows of a large commit of the database alone.
const LARGE: usize = 8_000;
/// Batches of each caller.
const ROUNDS: usize = 20;
/// Users to whom things happen.
const USERS: u64 = 100_000;
/// What is before the measured part, so that statements are prepared and files have grown.
const WARM_UP: usize = 4;
/// Runs of each, in turns; the best counts, since others work on the machine as well.
const RUNS: usize = 3;

/// The part of the server's command line that this needs.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    settings: ServeSettings,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        postgres().await;
        sqlite().await;
    });
}

async fn postgres() {
    let Ok(server) = std::env::var("PORTCULLIS_TEST_POSTGRES") else {
        println!("postgres: PORTCULLIS_TEST_POSTGRES is not set");
        return;
    };
    let options = PgConnectOptions::from_str(&server).expect("an address");
    let (mut ours, mut copy, mut single) = (0.0_f64, 0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        let names = [format!("bench_ours_{run}"), format!("bench_copy_{run}")];
        let mut admin = options.connect().await.expect("a server");
        for name in &names {
            for statement in [format!("drop database if exists {name}"), format!("create database {name}")] {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.expect("a database");
            }
        }
        let [ours_url, copy_url] = names.clone().map(|name| with_database(&server, &name));
        ours = ours.max(through_grpc(Some(&ours_url)).await);
        let database = Database::open(&copy_url.parse().expect("an address")).await.expect("a database");
        let NativePool::Postgres(pool) = database.native() else { panic!("a server") };
        sqlx::query(
            "create table if not exists event_now partition of event for values from (0) to (9000000000000)",
        )
        .execute(pool)
        .await
        .expect("a partition");
        copy = copy.max(copy_batches(pool, run, LARGE).await);
        single = single.max(copy_batches(pool, run + RUNS, BATCH).await);
        database.close().await;
        for name in &names {
            sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)")))
                .execute(&mut admin)
                .await
                .expect("gone");
        }
        admin.close().await.expect("closed");
    }
    println!("postgres: gRPC in batches of {BATCH}, {CALLERS} callers       {ours:>9.0} events/s");
    println!(
        "postgres: COPY alone, {} rows a commit           {copy:>9.0} events/s, ratio {:.2}",
        LARGE,
        ours / copy
    );
    println!(
        "postgres: COPY alone, {BATCH} rows a commit            {single:>9.0} events/s, ratio {:.2}",
        ours / single
    );
}

async fn sqlite() {
    let (mut ours, mut plain, mut single) = (0.0_f64, 0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        ours = ours.max(through_grpc(None).await);
        let folder = tempfile::tempdir().expect("a folder");
        let url = DatabaseUrl::sqlite(&folder.path().join("plain.db"));
        let database = Database::open(&url).await.expect("a database");
        let NativePool::Sqlite(pool) = database.native() else { panic!("a file") };
        plain = plain.max(insert_batches(pool, run, LARGE).await);
        single = single.max(insert_batches(pool, run + RUNS, BATCH).await);
        database.close().await;
    }
    println!("sqlite: gRPC in batches of {BATCH}, {CALLERS} callers         {ours:>9.0} events/s");
    println!(
        "sqlite: inserts alone, {} rows a commit          {plain:>9.0} events/s, ratio {:.2}",
        LARGE,
        ours / plain
    );
    println!(
        "sqlite: inserts alone, {BATCH} rows a commit           {single:>9.0} events/s, ratio {:.2}",
        ours / single
    );
}

fn with_database(server: &str, name: &str) -> String {
    let (before, _) = server.rsplit_once('/').expect("a database in the address");
    format!("{before}/{name}")
}

/// A row as it is stored: id, user, time, name, value, properties.
fn row(number: u64) -> (Uuid, String, i64, &'static str, f64, &'static str) {
    let names = ["page_viewed", "added_to_cart", "bought"];
    let name = names[usize::try_from(number % 3).expect("small")];
    let user = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % USERS;
    let id = Uuid::from_u64_pair(number.wrapping_mul(0xd134_2543_de82_ef95), number);
    let at = Clock::system().now().0;
    (id, format!("visitor-{user:06}"), at, name, number as f64 / 8.0, r#"{"page":"checkout"}"#)
}

fn event(number: u64) -> Event {
    let (id, user_id, _, name, value, _) = row(number);
    Event {
        id: id.to_string(),
        name: name.to_owned(),
        user: Some(User { user_id, ..User::default() }),
        time: None,
        value: Some(value),
        properties: BTreeMap::from([("page".to_owned(), "checkout".to_owned())]),
    }
}

/// Events per second through a server in this process, callers included.
async fn through_grpc(database: Option<&str>) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(&settings(folder.path(), database), Clock::system()).await.expect("a server");
    let address = app.address();
    call(address, WARM_UP, 0).await;
    let begun = Instant::now();
    call(address, ROUNDS, 1).await;
    let took = begun.elapsed();
    app.stop().await.expect("stopped");
    rate(ROUNDS, took)
}

async fn call(address: SocketAddr, rounds: usize, part: u64) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS as u64 {
        callers.spawn(async move {
            let mut client =
                EventServiceClient::connect(format!("http://{address}")).await.expect("connected");
            let first = (part * CALLERS as u64 + caller) << 32;
            for round in 0..rounds as u64 {
                let from = first + round * BATCH as u64;
                let events = (from..from + BATCH as u64).map(event).collect();
                let answer = client.log_events(LogEventsRequest { events }).await.expect("stored");
                let stored = answer.into_inner().results;
                assert!(stored.iter().all(|result| result.outcome() == EventOutcome::Stored), "{stored:?}");
            }
        });
    }
    callers.join_all().await;
}

fn settings(folder: &Path, database: Option<&str>) -> ServeSettings {
    let mut line = vec!["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir"];
    let folder = folder.to_string_lossy();
    line.push(&folder);
    line.extend(database.iter().flat_map(|database| ["--database", database]));
    Serve::parse_from(line).settings
}

fn rate(rounds: usize, took: Duration) -> f64 {
    (rounds * CALLERS * BATCH) as f64 / took.as_secs_f64()
}

/// COPY into the tables of ids and of events, so many rows a commit.
async fn copy_batches(pool: &PgPool, run: usize, rows: usize) -> f64 {
    let mut connection = pool.acquire().await.expect("a connection");
    let commits = ROUNDS * CALLERS * BATCH / rows;
    let mut number = (100 + run as u64) << 40;
    let mut took = Duration::ZERO;
    for _ in 0..commits {
        let (mut ids, mut events) = (String::new(), String::new());
        for _ in 0..rows {
            number += 1;
            let (id, user, at, name, value, properties) = row(number);
            ids.push_str(&format!("\\\\x{}\t{}\n", id.simple(), at / 86_400_000));
            events.push_str(&format!("user_id\t{user}\t{at}\t1\t0\t{name}\t{value}\t{properties}\t{{}}\n"));
        }
        let begun = Instant::now();
        let mut transaction = connection.begin().await.expect("begun");
        for (statement, text) in [("copy event_id from stdin", ids), ("copy event from stdin", events)] {
            let mut copy = transaction.copy_in_raw(statement).await.expect("copying");
            copy.send(text.as_bytes()).await.expect("sent");
            copy.finish().await.expect("copied");
        }
        transaction.commit().await.expect("committed");
        took += begun.elapsed();
    }
    rate(ROUNDS, took)
}

/// Inserts into the tables of ids and of events, so many rows a commit, 256 a statement.
async fn insert_batches(pool: &SqlitePool, run: usize, rows: usize) -> f64 {
    let commits = ROUNDS * CALLERS * BATCH / rows;
    let mut number = (100 + run as u64) << 40;
    let mut took = Duration::ZERO;
    for commit in 0..commits {
        let batch: Vec<_> = (0..rows)
            .map(|_| {
                number += 1;
                row(number)
            })
            .collect();
        let begun = Instant::now();
        let mut transaction = pool.begin_with("begin immediate").await.expect("begun");
        for piece in batch.chunks(256) {
            let mut ids = QueryBuilder::<Sqlite>::new("insert into event_id (id, day) ");
            ids.push_values(piece, |mut values, (id, _, at, ..)| {
                values.push_bind(id.as_bytes().as_slice()).push_bind(at / 86_400_000);
            });
            ids.build().execute(&mut *transaction).await.expect("inserted");
            let mut events = QueryBuilder::<Sqlite>::new(
                "insert into event (unit_type, unit_id, at, arrival, n, name, value, properties, attributes) ",
            );
            let mut n = 0;
            events.push_values(piece, |mut values, (_, user, at, name, value, properties)| {
                n += 1;
                values.push_bind("user_id").push_bind(user).push_bind(*at);
                values
                    .push_bind((run * 1_000_000 + commit) as i64)
                    .push_bind(n)
                    .push_bind(*name)
                    .push_bind(*value);
                values.push_bind(*properties).push_bind("{}");
            });
            events.build().execute(&mut *transaction).await.expect("inserted");
        }
        transaction.commit().await.expect("committed");
        took += begun.elapsed();
    }
    rate(ROUNDS, took)
}
