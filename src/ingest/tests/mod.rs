//! What ingest promises while the store comes and goes.

mod drain;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::SqlitePool;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Ingest, IngestSettings, SpoolState, Writers, seen};
use crate::analysis::history::History;
use crate::clock::Clock;
use crate::database::{Database, DatabaseUrl, NativePool};
use crate::domain::event::{Assignment, Event, Exposure};
use crate::domain::launch::LaunchId;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::User;
use crate::error::{Error, Result};
use crate::events::spool::Spool;
use crate::events::sqlite::SqliteEvents;
use crate::events::{Appended, Asked, Dropped, EventStore, Intake, Name, Outcomes, Reach};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A store that is away now and then. When it goes away in the middle, it has stored what it does not answer.
#[derive(Debug)]
struct Moody {
    store: SqliteEvents,
    away: AtomicBool,
    mute: AtomicBool,
    /// It fails in a way that nobody has foreseen.
    broken: AtomicBool,
    /// How often something was to be stored.
    tries: AtomicUsize,
    /// Events that it is quick enough for.
    most: AtomicUsize,
    /// How long it takes for anything, in milliseconds.
    takes_ms: AtomicU64,
}

#[async_trait]
impl EventStore for Moody {
    async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        let away = || Err(Error::Unavailable("away".to_owned()));
        self.tries.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return away();
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::internal("a disk that nobody has heard of"));
        }
        if events.len() > self.most.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("the store does not answer in time".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(self.takes_ms.load(Ordering::SeqCst))).await;
        let outcomes = self.store.append(events, exposures).await;
        if self.mute.swap(false, Ordering::SeqCst) { away() } else { outcomes }
    }

    fn writes_at_once(&self) -> usize {
        self.store.writes_at_once()
    }

    async fn reach(&self, names: &[&str]) -> Result<Reach> {
        self.store.reach(names).await
    }

    async fn histories(&self, asked: &Asked, after: Option<&str>, limit: usize) -> Result<Vec<History>> {
        self.store.histories(asked, after, limit).await
    }

    async fn intake(&self, name: &str, since: Timestamp) -> Result<Vec<Intake>> {
        self.store.intake(name, since).await
    }

    async fn drop_before(&self, at: Timestamp) -> Result<Dropped> {
        self.store.drop_before(at).await
    }
}

/// Ingest in front of a moody store, in a folder that outlives it.
struct Front {
    ingest: Ingest,
    writers: Writers,
    store: Arc<Moody>,
    pool: SqlitePool,
    stop: CancellationToken,
}

impl Front {
    async fn start(folder: &Path, spool_bytes: u64, away: bool) -> Self {
        let database = Database::open(&DatabaseUrl::sqlite(&folder.join("events.db"))).await.unwrap();
        let NativePool::Sqlite(pool) = database.native() else {
            panic!("a file is no server");
        };
        let pool = pool.clone();
        let store = Arc::new(Moody {
            store: SqliteEvents::new(pool.clone()),
            away: AtomicBool::new(away),
            mute: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            tries: AtomicUsize::new(0),
            most: AtomicUsize::new(usize::MAX),
            takes_ms: AtomicU64::new(0),
        });
        let spool = Spool::open(&folder.join("spool.db"), spool_bytes).await.unwrap();
        let settings = IngestSettings {
            event_queue: 64,
            event_queue_bytes: 1 << 20,
            exposure_queue: 64,
            exposure_memory: 1_000,
        };
        let stop = CancellationToken::new();
        let (ingest, writers) = Ingest::start(
            Arc::clone(&store) as Arc<dyn EventStore>,
            spool,
            &Clock::system(),
            settings,
            &stop,
        );
        Self { ingest, writers, store, pool, stop }
    }

    fn away(&self, away: bool) {
        self.store.away.store(away, Ordering::SeqCst);
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    async fn log(&self, ids: &[&str]) -> Result<Vec<Appended>> {
        let outcomes = self.ingest.log(ids.iter().map(|id| event(id)).collect(), Vec::new()).await?;
        Ok(outcomes.events)
    }

    async fn drained(&self) {
        let begun = Instant::now();
        while self.ingest.spooled().batches > 0 {
            assert!(begun.elapsed() < PATIENCE, "still waiting: {:?}", self.ingest.spooled());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.writers.drained().await;
    }

    /// Properties of the events of the visitor, by arrival.
    async fn stored(&self) -> Vec<String> {
        self.store.append(&[], &[&exposure(1)]).await.unwrap();
        let name = Name { name: "read".to_owned(), with_properties: true, with_attributes: false };
        let asked = Asked {
            launch: LaunchId(Uuid::from_u128(1)),
            unit_type: "user_id".to_owned(),
            names: vec![name],
            days: false,
            since: Timestamp(0),
            until: None,
            from: 0,
            to: i64::MAX,
            also: Vec::new(),
        };
        let mut deeds = self.store.histories(&asked, None, 10).await.unwrap().remove(0).events;
        deeds.sort_by_key(|deed| deed.arrival);
        deeds.into_iter().map(|deed| deed.properties["id"].clone()).collect()
    }
}

fn event(id: &str) -> Event {
    let now = Clock::system().now();
    Event {
        id: id.to_owned(),
        name: "read".to_owned(),
        user: User { user_id: "ada".to_owned(), email: "ada@example.com".to_owned(), ..User::default() },
        at: now,
        received_at: now,
        value: Some(0.1),
        properties: BTreeMap::from([("id".to_owned(), id.to_owned())]),
    }
}

fn exposure(epoch: u32) -> Exposure {
    let assignment = Assignment {
        launch: LaunchId(Uuid::from_u128(1)),
        epoch,
        arm: "on".to_owned(),
        settled: true,
        reverted: false,
    };
    Exposure {
        unit_type: "user_id".to_owned(),
        unit_id: "ada".to_owned(),
        at: Timestamp(5),
        assignment: Some(assignment),
        attributes: BTreeMap::from([("country".to_owned(), "DE".to_owned())]),
    }
}

const MIB: u64 = 1 << 20;
const STORED: Appended = Appended::Stored;

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_the_store_is_away_waits_and_is_stored_once_and_in_order() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, false).await;
    front.log(&["a"]).await.unwrap();
    front.away(true);
    assert_eq!(front.log(&["b", "a"]).await.unwrap(), [STORED; 2], "acknowledged, since it is durable");
    let waiting = front.ingest.spooled();
    assert!(waiting.batches == 1 && waiting.bytes > 0 && waiting.oldest.is_some(), "{waiting:?}");
    // What comes when it is back goes behind what waits.
    front.log(&["c"]).await.unwrap();
    front.away(false);
    front.log(&["d"]).await.unwrap();
    front.drained().await;
    assert_eq!(front.ingest.spooled(), SpoolState::default());
    assert_eq!(front.log(&["d", "e"]).await.unwrap(), [Appended::Duplicate, STORED]);
    let stored = front.stored().await;
    assert_eq!(stored, ["a", "b", "c", "d", "e"]);
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_without_an_answer_counts_once() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, false).await;
    front.store.mute.store(true, Ordering::SeqCst);
    assert_eq!(front.log(&["a", "b"]).await.unwrap(), [STORED; 2]);
    front.drained().await;
    assert_eq!(front.stored().await, ["a", "b"]);
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_bound_callers_are_told_to_come_again() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), 2_000, true).await;
    let mut taken = 0;
    let refusal = loop {
        match front.log(&[&format!("event-{taken}")]).await {
            Ok(_) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(&refusal, Error::Unavailable(message) if message.contains("bound")), "{refusal:?}");
    assert!(taken > 2 && front.ingest.spooled().bytes <= 2_000, "{taken}");
    front.away(false);
    front.drained().await;
    assert_eq!(front.stored().await.len(), taken, "all that were acknowledged, and no other");
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_exposures_wait_they_do_not_count_as_stored() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, true).await;
    front.log(&["a"]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let until = front.ingest.exposures_until();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(front.ingest.exposures_until(), until);
    front.away(false);
    front.drained().await;
    let begun = Instant::now();
    while front.ingest.exposures_until() == until {
        assert!(begun.elapsed() < PATIENCE, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    front.stop().await;
}

#[test]
fn repeats_are_removed_and_nothing_that_is_first_in_any_way_is() {
    let mut seen = seen::Seen::new(100);
    let assigned = |change: fn(&mut Assignment)| {
        let mut exposure = exposure(1);
        change(exposure.assignment.as_mut().unwrap());
        exposure
    };
    let firsts = [
        exposure(1),
        assigned(|assignment| assignment.epoch = 2),
        assigned(|assignment| assignment.arm = "off".to_owned()),
        // An experiment that begins again is another launch.
        assigned(|assignment| assignment.launch = LaunchId(Uuid::from_u128(2))),
        // What the guard has turned off is recorded beside what was served.
        assigned(|assignment| assignment.reverted = true),
        Exposure { unit_id: "bob".to_owned(), ..exposure(1) },
        Exposure { unit_type: "company".to_owned(), ..exposure(1) },
        // An active day.
        Exposure { at: Timestamp(DAY_MS), ..exposure(1) },
        Exposure { assignment: None, ..exposure(1) },
    ];
    for first in &firsts {
        assert!(seen.is_new(first), "{first:?}");
    }
    for repeat in firsts {
        assert!(!seen.is_new(&Exposure { at: repeat.at.plus_ms(1), ..repeat.clone() }), "{repeat:?}");
    }
}

#[test]
fn the_window_is_bounded_and_forgets_rather_than_hides() {
    let mut seen = seen::Seen::new(3);
    assert!((1..=3).all(|epoch| seen.is_new(&exposure(epoch))));
    assert!(!seen.is_new(&exposure(1)));
    assert!(seen.is_new(&exposure(4)));
    assert!(seen.is_new(&exposure(1)), "forgotten, and written once more");
}
