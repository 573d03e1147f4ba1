//! An experiment of four arms with twenty metrics and the free ones, on a database of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::database::Database;
use portcullis::domain::catalogue::Catalogue;
use portcullis::domain::event::{Assignment, Event, Exposure};
use portcullis::domain::launch::{Launch, LaunchId, LaunchPlan, PinnedMetric, Step, Target};
use portcullis::domain::metric::{GUARDRAIL_TAG, Metric, MetricKind};
use portcullis::domain::time::{DAY_MS, Timestamp};
use portcullis::domain::user::User;
use portcullis::events::spool::Spool;
use portcullis::events::{self, EventStore};
use portcullis::ingest::{Ingest, IngestSettings, Writers};
use portcullis::jobs::measure::{Measurer, MeasurerParts, rebuild};
use portcullis::live::Live;
use portcullis::store::Store;
use portcullis::store::change::{Change, Write};
use portcullis::store::lease::Fence;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// Events that come between two refreshes.
pub const NEW_EVENTS: usize = 10_000;
/// Arms of the experiment.
pub const ARMS: usize = 4;
/// Refreshes of which the middle one counts.
pub const RUNS: usize = 5;

/// Units that are active between two refreshes, whatever is stored.
pub const ACTIVE_UNITS: usize = 2_500;

/// Stored events of one unit, in the mean.
const EVENTS_A_UNIT: usize = 20;
/// Names of events.
const NAMES: usize = 10;
/// Events of one write.
const BATCH: usize = 5_000;
/// Days of event time of what is stored from the launch's start on.
const DAYS: i64 = 30;
/// Days of event time before it, on which a covariate looks back.
const DAYS_BEFORE: i64 = 7;
const START: Timestamp = Timestamp(20_500 * DAY_MS);
const TICK: Duration = Duration::from_secs(10);
const TICK_MS: i64 = 10_000;

/// A launch that is measured on a store of its own.
pub struct Measured {
    events: Arc<dyn EventStore>,
    store: Store,
    measurer: Measurer,
    launch: LaunchId,
    now: Arc<AtomicI64>,
    units: usize,
    logged: usize,
    random: u64,
    stop: CancellationToken,
    writers: Writers,
    folder: TempDir,
    engine: Engine,
    database: Database,
}

impl Measured {
    /// A store with so many events of units that were exposed, measured once.
    pub async fn filled(engine: &Engine, size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&engine.make(folder.path()).await).await.unwrap();
        let store = Store::new(database.relational().clone());
        let events = events::of(&database);
        let now = Arc::new(AtomicI64::new(START.0));
        let clock = {
            let now = Arc::clone(&now);
            Clock::of(move || Timestamp(now.load(Ordering::Relaxed)))
        };
        let launch = launch();
        let id = launch.id;
        let change = Change {
            base_revision: 0,
            at: START,
            actor: "bench".to_owned(),
            action: "begin".to_owned(),
            writes: vec![Write::Launch(Box::new(launch))],
            fence: None,
        };
        store.commit(&change).await.unwrap();
        let live = Arc::new(Live::new(change.applied_to(&Catalogue::default()), 0));
        let stop = CancellationToken::new();
        let settings = IngestSettings {
            event_queue: 1,
            event_queue_bytes: 1 << 20,
            exposure_queue: 1,
            exposure_memory: 1,
        };
        let spool = Spool::open(&folder.path().join("spool.db"), 1 << 20).await.unwrap();
        let (ingest, writers) = Ingest::start(Arc::clone(&events), spool, &clock, settings, &stop);
        let measurer = Measurer::new(MeasurerParts {
            live,
            store: store.clone(),
            events: Arc::clone(&events),
            ingest,
            clock,
            tick: TICK,
            allowed_lateness_ms: 0,
        });
        let units = (size / EVENTS_A_UNIT).max(1);
        let random = 88_172_645_463_325_252;
        let mut measured = Self {
            events,
            store,
            measurer,
            launch: id,
            now,
            units,
            logged: 0,
            random,
            stop,
            writers,
            folder,
            engine: engine.clone(),
            database,
        };
        measured.expose().await;
        let all: Vec<usize> = (0..measured.units).collect();
        measured.log(size, &all, (-DAYS_BEFORE * DAY_MS, DAYS * DAY_MS)).await;
        measured.refresh().await;
        measured
    }

    /// Logs new events of some units, drawn from all of them.
    pub async fn log_new(&mut self) {
        let active: Vec<usize> = (0..ACTIVE_UNITS).map(|_| self.next() % self.units).collect();
        self.log(NEW_EVENTS, &active, (0, TICK_MS)).await;
    }

    /// Logs events of units at random, from so many milliseconds after now until so many.
    async fn log(&mut self, count: usize, units: &[usize], (from, until): (i64, i64)) {
        let mut left = count;
        let now = self.now.load(Ordering::Relaxed);
        while left > 0 {
            let size = left.min(BATCH);
            let events: Vec<Event> = (0..size).map(|_| self.event(units, now + from, until - from)).collect();
            self.events.append(&events.iter().collect::<Vec<_>>(), &[]).await.unwrap();
            left -= size;
        }
        self.now.store(now + until + TICK_MS, Ordering::Relaxed);
        // The writer of exposures says by this clock how far they are stored.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    /// One refresh, up to the published numbers.
    pub async fn refresh(&self) {
        assert!(
            self.measurer.refresh(Fence(0), self.launch).await.unwrap().is_some(),
            "nothing was published"
        );
    }

    /// The full recomputation, and its largest difference to the numbers that were carried along.
    pub async fn rebuild(self) -> f64 {
        let rebuilt = rebuild(&self.store, self.events.as_ref(), self.launch, false).await.unwrap().unwrap();
        self.stop.cancel();
        self.writers.drained().await;
        self.database.close().await;
        self.engine.remove().await;
        self.folder.close().unwrap();
        rebuilt.distance
    }

    async fn expose(&self) {
        let exposure = |unit: usize| Exposure {
            unit_type: "user_id".to_owned(),
            unit_id: unit_id(unit),
            at: START.plus_ms(i64::try_from(unit % 60_000).unwrap()),
            assignment: Some(Assignment {
                launch: self.launch,
                epoch: 1,
                arm: format!("arm_{}", unit % ARMS),
                settled: true,
                reverted: false,
            }),
            attributes: BTreeMap::new(),
        };
        let all: Vec<Exposure> = (0..self.units).map(exposure).collect();
        for chunk in all.chunks(BATCH) {
            self.events.append(&[], &chunk.iter().collect::<Vec<_>>()).await.unwrap();
        }
        self.now.store(START.0 + 60_000, Ordering::Relaxed);
    }

    fn event(&mut self, units: &[usize], from: i64, over: i64) -> Event {
        self.logged += 1;
        let unit = units[self.next() % units.len()];
        let name = self.next() % NAMES;
        let at = Timestamp(from + i64::try_from(self.next()).unwrap().rem_euclid(over));
        Event {
            id: format!("{:032x}", self.logged),
            name: format!("event_{name}"),
            user: User { user_id: unit_id(unit), ..User::default() },
            at,
            received_at: at,
            value: Some((self.next() % 10_000) as f64 / 100.0),
            properties: BTreeMap::new(),
        }
    }

    /// Marsaglia's xorshift: the same numbers in every run.
    fn next(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 20).unwrap()
    }
}

fn unit_id(unit: usize) -> String {
    format!("unit-{:08x}", unit.wrapping_mul(2_654_435_761) & 0xffff_ffff)
}

/// Twenty metrics, ten conversions and ten sums, one of them with a covariate; and the free ones.
fn launch() -> Launch {
    let metric = |index: usize| {
        let kind = if index < NAMES { MetricKind::Conversion } else { MetricKind::Sum };
        let metric = Metric::of(&format!("metric_{index}"), kind, &format!("event_{}", index % NAMES));
        let covariate_ms = (index == NAMES).then_some(DAYS_BEFORE * DAY_MS);
        Metric { tags: vec![GUARDRAIL_TAG.to_owned()], covariate_ms, ..metric }
    };
    let metrics = (0..2 * NAMES).map(metric).chain(Metric::free());
    let plan = LaunchPlan {
        id: LaunchId(uuid::Uuid::from_u128(1)),
        target: Target::Experiment { experiment: "bench".to_owned() },
        unit_type: "user_id".to_owned(),
        steps: vec![Step::at_once(100.0)],
        arms: (0..ARMS).map(|arm| format!("arm_{arm}")).collect(),
        metrics: metrics.map(|metric| PinnedMetric { metric, revision: 1, scale: None }).collect(),
        rollback_percentage: 0.0,
        principal: "bench".to_owned(),
    };
    Launch::begin(plan, START)
}
