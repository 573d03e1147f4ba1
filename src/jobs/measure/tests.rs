//! What a measurer publishes of a launch, on a database file of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rounds::Rounds;
use super::{Measurer, MeasurerParts};
use crate::analysis::audit::Check;
use crate::analysis::history::History;
use crate::analysis::measurement::Cause;
use crate::analysis::published::Published;
use crate::clock::Clock;
use crate::database::{Database, DatabaseUrl};
use crate::domain::catalogue::Catalogue;
use crate::domain::event::{Assignment, Event, Exposure};
use crate::domain::launch::{CONTROL, Launch, LaunchId, LaunchPlan, PinnedMetric, Step, TREATMENT, Target};
use crate::domain::metric::audits::Audits;
use crate::domain::metric::kind::{Of, Side, Tail};
use crate::domain::metric::{GUARDRAIL_TAG, Metric, MetricKind};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::User;
use crate::error::Result;
use crate::events::spool::Spool;
use crate::events::{self, Asked, Dropped, EventStore, Intake, Outcomes, Reach};
use crate::ingest::{Ingest, IngestSettings};
use crate::live::Live;
use crate::store::Store;
use crate::store::change::{Change, Write};
use crate::store::lease::Fence;

const START: Timestamp = Timestamp(20_500 * DAY_MS);
const TICK: Duration = Duration::from_secs(10);
const MINUTE_MS: i64 = 60_000;

fn launch_id() -> LaunchId {
    LaunchId(Uuid::from_u128(1))
}

/// A launch that is measured.
struct Measured {
    parts: MeasurerParts,
    measurer: Arc<Measurer>,
    now: Arc<AtomicI64>,
    logged: usize,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Measured {
    async fn by(metrics: Vec<Metric>) -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&DatabaseUrl::sqlite(&folder.path().join("one.db"))).await.unwrap();
        let store = Store::new(database.relational().clone());
        let events = events::of(&database);
        let now = Arc::new(AtomicI64::new(START.0));
        let clock = {
            let now = Arc::clone(&now);
            Clock::of(move || Timestamp(now.load(Ordering::Relaxed)))
        };
        let change = Change {
            base_revision: 0,
            at: START,
            actor: "test".to_owned(),
            action: "begin".to_owned(),
            writes: vec![Write::Launch(Box::new(launch(metrics)))],
            fence: None,
        };
        store.commit(&change).await.unwrap();
        let live = Arc::new(Live::new(change.applied_to(&Catalogue::default()), 0));
        let stop = CancellationToken::new();
        let (event_queue, event_queue_bytes) = (1, 1 << 20);
        let (exposure_queue, exposure_memory) = (1, 1);
        let settings = IngestSettings { event_queue, event_queue_bytes, exposure_queue, exposure_memory };
        let spool = Spool::open(&folder.path().join("spool.db"), 1 << 20).await.unwrap();
        let (ingest, _) = Ingest::start(Arc::clone(&events), spool, &clock, settings, &stop);
        let parts = MeasurerParts { live, store, events, ingest, clock, tick: TICK, allowed_lateness_ms: 0 };
        Self {
            parts: parts.clone(),
            measurer: Arc::new(Measurer::new(parts)),
            now,
            logged: 0,
            stop,
            _folder: folder,
        }
    }

    /// As after a new start of the server: only what is stored is known.
    fn forget(&mut self) {
        let live = Live::new(self.parts.live.in_force().catalogue.clone(), 0);
        self.parts.live = Arc::new(live);
        self.measurer = Arc::new(Measurer::new(self.parts.clone()));
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    /// Lets time go on, and waits until exposures are known to be stored up to then.
    async fn advance(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
        while self.parts.ingest.exposures_until() < self.now() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// So many units come in turns to each arm.
    async fn come(&self, units: usize) {
        let exposure = |unit: usize| Exposure {
            unit_type: "user_id".to_owned(),
            unit_id: format!("unit-{unit}"),
            at: self.now(),
            assignment: Some(Assignment {
                launch: launch_id(),
                epoch: 1,
                arm: if unit.is_multiple_of(2) { CONTROL } else { TREATMENT }.to_owned(),
                settled: true,
                reverted: false,
            }),
            attributes: BTreeMap::new(),
        };
        let all: Vec<Exposure> = (0..units).map(exposure).collect();
        self.parts.events.append(&[], &all.iter().collect::<Vec<_>>()).await.unwrap();
    }

    /// A unit did something at a moment, with a value.
    async fn log(&mut self, unit: usize, name: &str, at: Timestamp, value: f64) {
        self.log_all(&[(unit, value)], name, at).await;
    }

    /// Units did something at a moment, each with a value.
    async fn log_all(&mut self, units: &[(usize, f64)], name: &str, at: Timestamp) {
        let mut events = Vec::new();
        for (unit, value) in units {
            self.logged += 1;
            events.push(Event {
                id: format!("event-{}", self.logged),
                name: name.to_owned(),
                user: User { user_id: format!("unit-{unit}"), ..User::default() },
                at,
                received_at: self.now(),
                value: Some(*value),
                properties: BTreeMap::new(),
            });
        }
        self.parts.events.append(&events.iter().collect::<Vec<_>>(), &[]).await.unwrap();
    }

    /// One round over all launches, as the job does it; gives what is published afterwards.
    async fn measure(&self) -> Published {
        let mut rounds = Rounds::new(Arc::clone(&self.measurer));
        rounds.begin(Fence(0), true, &CancellationToken::new()).await;
        rounds.end().await;
        (*self.parts.live.published(launch_id()).unwrap().unwrap()).clone()
    }

    async fn snapshots(&self) -> Vec<Published> {
        self.parts.store.snapshots(launch_id(), None, 1_000).await.unwrap()
    }
}

/// Counts how often histories from before a moment are read.
#[derive(Debug)]
struct Counted {
    events: Arc<dyn EventStore>,
    reads: Arc<AtomicI64>,
}

#[async_trait]
impl EventStore for Counted {
    async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        self.events.append(events, exposures).await
    }

    fn writes_at_once(&self) -> usize {
        self.events.writes_at_once()
    }

    async fn reach(&self, names: &[&str]) -> Result<Reach> {
        self.events.reach(names).await
    }

    async fn histories(&self, asked: &Asked, after: Option<&str>, limit: usize) -> Result<Vec<History>> {
        self.reads.fetch_add(i64::from(asked.until.is_some()), Ordering::Relaxed);
        self.events.histories(asked, after, limit).await
    }

    async fn intake(&self, name: &str, since: Timestamp) -> Result<Vec<Intake>> {
        self.events.intake(name, since).await
    }

    async fn drop_before(&self, at: Timestamp) -> Result<Dropped> {
        self.events.drop_before(at).await
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn guardrail(metric: Metric) -> Metric {
    Metric { tags: vec![GUARDRAIL_TAG.to_owned()], ..metric }
}

fn launch(metrics: Vec<Metric>) -> Launch {
    let pin = |metric| PinnedMetric { metric, revision: 1, scale: None };
    let plan = LaunchPlan {
        id: launch_id(),
        target: Target::GateRule { gate: "gate".to_owned(), rule: "rule".to_owned() },
        unit_type: "user_id".to_owned(),
        steps: vec![Step::at_once(50.0)],
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: metrics.into_iter().map(pin).collect(),
        rollback_percentage: 0.0,
        principal: "test".to_owned(),
    };
    Launch::begin(plan, START)
}

#[tokio::test]
async fn a_quiet_site_publishes_once_and_once_more_when_its_numbers_turn_stale() {
    let mut measured = Measured::by(vec![guardrail(Metric::of("buys", MetricKind::Count, "buy"))]).await;
    measured.come(10).await;
    measured.log(1, "buy", START, 1.0).await;
    measured.advance(MINUTE_MS).await;
    measured.log(1, "buy", measured.now(), 1.0).await;
    let first = measured.measure().await;
    assert_eq!(first.number, 1);
    let mut news = measured.parts.live.watch_published();
    news.mark_unchanged();
    for _ in 0..5 {
        measured.advance(10_000).await;
        assert_eq!(measured.measure().await, first);
        assert_eq!(measured.parts.live.measured_at(launch_id()), Some(measured.now()));
    }
    assert!(!news.has_changed().unwrap());

    measured.advance(10 * MINUTE_MS).await;
    let stale = measured.measure().await;
    assert_eq!(
        (stale.number, stale.failed().into_iter().collect()),
        (2, vec![("buys", "", Check::Freshness)])
    );
    for _ in 0..3 {
        measured.advance(10 * MINUTE_MS).await;
        assert_eq!(measured.measure().await, stale);
    }
    measured.forget();
    let again = measured.measure().await;
    assert_eq!(again, stale);
    assert!(again.has_buckets(), "the guard acts on numbers that were measured here");
    assert_eq!(measured.snapshots().await.iter().map(|found| found.number).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn of_snapshots_with_a_failed_audit_those_are_kept_longer_at_which_it_began_to_fail() {
    let bounds = Audits { max_value: Some(10.0), ..Audits::default() };
    let spent = Metric { audits: bounds, ..Metric::of("spent", MetricKind::Sum, "purchase") };
    let mut measured = Measured::by(vec![guardrail(spent)]).await;
    measured.come(10).await;
    for round in 0..40 {
        let value = if round == 0 { 1.0 } else { 11.0 };
        measured.log(1, "purchase", measured.now(), value).await;
        measured.now.fetch_add(1_000, Ordering::Relaxed);
        assert_eq!(measured.measure().await.number, round + 1);
    }
    // The last 32, and the one at which the value was first out of its bounds.
    let numbers: Vec<i64> = measured.snapshots().await.iter().map(|found| found.number).collect();
    let expected: Vec<i64> = (9..=40).rev().chain([2]).collect();
    assert_eq!(numbers, expected);
}

/// By a guardrail without a threshold, and how often it was looked for in a page of units.
async fn by_a_median() -> (Measured, Arc<AtomicI64>) {
    let tail = Tail { quantile: 0.5, threshold: None, side: Side::Above, of: Of::Events };
    let slow = Metric { tail: Some(tail), ..Metric::of("slow", MetricKind::Quantile, "loaded") };
    let mut measured = Measured::by(vec![guardrail(slow)]).await;
    let reads = Arc::new(AtomicI64::new(0));
    let events = Arc::clone(&measured.parts.events);
    measured.parts.events = Arc::new(Counted { events, reads: Arc::clone(&reads) });
    measured.forget();
    (measured, reads)
}

#[tokio::test]
async fn a_threshold_is_looked_for_among_all_units_and_anew_only_when_something_came_and_a_minute_later() {
    let (mut measured, reads) = by_a_median().await;
    let asked = || reads.swap(0, Ordering::Relaxed);
    measured.come(2_500).await;
    // Those who did something before have the last ids.
    let mut last: Vec<usize> = (0..2_500).collect();
    last.sort_by_key(|unit| format!("unit-{unit}"));
    let before: Vec<(usize, f64)> = last.iter().rev().map(|unit| (*unit, 3.0)).take(300).collect();
    let yesterday = START.plus_ms(-DAY_MS);
    measured.log_all(&before[..100], "loaded", yesterday).await;
    measured.advance(1_000).await;
    measured.log(1, "loaded", measured.now(), 1.0).await;
    let cause = |published: &Published| published.measurement.blind.get("slow").map(|blind| blind.cause);
    assert_eq!(cause(&measured.measure().await), Some(Cause::NoBaseline));
    assert_eq!(asked(), 2, "both pages of units");

    measured.advance(30_000).await;
    measured.log_all(&before[100..], "loaded", yesterday).await;
    assert_eq!((cause(&measured.measure().await), asked()), (Some(Cause::NoBaseline), 0));
    measured.advance(30_000).await;
    measured.log(1, "loaded", measured.now(), 5.0).await;
    assert_eq!((cause(&measured.measure().await), asked()), (None, 2));
    measured.advance(MINUTE_MS).await;
    measured.log(2, "loaded", measured.now(), 5.0).await;
    let found = measured.measure().await;
    assert_eq!(asked(), 0, "what is frozen is not asked for again");
    let beyond: f64 = found.measurement.metrics["slow"].iter().map(|row| row.moments.counted().sum()).sum();
    assert!(beyond > 0.0, "{found:?}");
}

#[tokio::test]
async fn while_nothing_comes_in_a_threshold_is_not_looked_for_again() {
    let (mut measured, reads) = by_a_median().await;
    measured.come(10).await;
    measured.log(1, "loaded", measured.now(), 1.0).await;
    for _ in 0..3 {
        measured.advance(2 * MINUTE_MS).await;
        measured.measure().await;
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}
