//! Bounded queues in front of the event store: events are acknowledged once durable, exposures never make anyone wait.

mod counts;
mod durable;
mod event_writer;
mod exposure_writer;
mod feed;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::events::EventStore;
use crate::events::spool::Spool;
pub use counts::Counts;
use durable::Durable;
use feed::Feed;
pub use feed::Seen;
// What became of a batch and what waits, so that callers need not know the event store.
pub use crate::events::spool::SpoolState;
pub use crate::events::{Appended, Outcomes};

/// How the queues are sized.
#[derive(Clone, Copy, Debug)]
pub struct IngestSettings {
    /// Batches of events that may wait for the writer.
    pub event_queue: usize,
    /// Their bytes.
    pub event_queue_bytes: usize,
    /// Exposures that may wait for the writer; further ones are dropped and counted.
    pub exposure_queue: usize,
    /// Exposures that are remembered so that repeats need no write.
    pub exposure_memory: usize,
}

/// The front of the event store. Cloning shares the queues.
#[derive(Clone, Debug)]
pub struct Ingest {
    events: mpsc::Sender<Batch>,
    queued_bytes: Arc<AtomicUsize>,
    most_queued_bytes: usize,
    exposures: mpsc::Sender<Exposure>,
    progress: Arc<Progress>,
    durable: Durable,
    feed: Feed,
}

/// A batch that waits to be stored, and where its results go.
#[derive(Debug)]
struct Batch {
    events: Vec<Event>,
    exposures: Vec<Exposure>,
    bytes: usize,
    results: oneshot::Sender<Result<Outcomes>>,
}

/// How far the exposure writer has come.
#[derive(Debug)]
struct Progress {
    /// All exposures offered before this time, in ms, are stored.
    exposures_until: AtomicI64,
}

/// How much waits in the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Batches of events.
    pub batches: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Exposures.
    pub exposures: usize,
}

/// The writers behind the queues; they end once the queues are drained after the stop.
#[derive(Debug)]
pub struct Writers {
    tasks: [JoinHandle<()>; 3],
    spool: Arc<Spool>,
}

impl Ingest {
    /// Starts the writers. They drain the queues and end after `stop`.
    #[must_use]
    pub fn start(
        store: Arc<dyn EventStore>,
        spool: Spool,
        clock: &Clock,
        settings: IngestSettings,
        stop: &CancellationToken,
    ) -> (Self, Writers) {
        let (events, event_queue) = mpsc::channel(settings.event_queue);
        let (exposures, exposure_queue) = mpsc::channel(settings.exposure_queue);
        let progress = Arc::new(Progress { exposures_until: AtomicI64::new(clock.now().0) });
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let spool = Arc::new(spool);
        let (clock, counts) = (clock.clone(), Counts::default());
        let durable = Durable { store, spool: Arc::clone(&spool), counts, clock, door: Arc::default() };
        let exposure_writer = exposure_writer::run(
            durable.clone(),
            exposure_queue,
            settings.exposure_memory,
            Arc::clone(&progress),
            stop.clone(),
        );
        let event_writer =
            event_writer::run(durable.clone(), event_queue, Arc::clone(&queued_bytes), stop.clone());
        let tasks = [
            tokio::spawn(event_writer),
            tokio::spawn(exposure_writer),
            tokio::spawn(durable.clone().drain(stop.clone())),
        ];
        let most_queued_bytes = settings.event_queue_bytes;
        let feed = Feed::new();
        let ingest = Self { events, queued_bytes, most_queued_bytes, exposures, progress, durable, feed };
        (ingest, Writers { tasks, spool })
    }

    /// Stores events, and exposures that were reported with them; once it returns they are durable.
    pub async fn log(&self, events: Vec<Event>, exposures: Vec<Exposure>) -> Result<Outcomes> {
        if events.is_empty() && exposures.is_empty() {
            return Ok(Outcomes::default());
        }
        let shown = self.feed.is_watched().then(|| events.clone());
        for exposure in &exposures {
            self.feed.exposure(exposure);
        }
        let (results, answer) = oneshot::channel();
        let stopping = || Error::Unavailable("the server is stopping".to_owned());
        let full = || Error::Unavailable("the event queue is full; retry in a second".to_owned());
        let bytes = events.iter().map(Event::approximate_bytes).sum();
        let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        // A batch that is larger than all that may wait is taken where nothing else does.
        let fits = queued == 0 || queued.saturating_add(bytes) <= self.most_queued_bytes;
        let sent = if fits {
            self.events.try_send(Batch { events, exposures, bytes, results }).map_err(|refusal| match refusal
            {
                TrySendError::Full(_) => full(),
                TrySendError::Closed(_) => stopping(),
            })
        } else {
            Err(full())
        };
        if let Err(refusal) = sent {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(refusal);
        }
        let outcomes = answer.await.map_err(|_| stopping())??;
        for (event, outcome) in shown.into_iter().flatten().zip(&outcomes.events) {
            if *outcome == Appended::Stored {
                self.feed.event(event);
            }
        }
        Ok(outcomes)
    }

    /// Takes an exposure without ever waiting; over the bound it is dropped and counted.
    pub fn offer(&self, exposure: Exposure) {
        self.feed.exposure(&exposure);
        if self.exposures.try_send(exposure).is_err() {
            let dropped = self.counts().drop_exposure();
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "exposures dropped: the queue is full or closed");
            }
        }
    }

    /// What comes in from now on. Who falls too far behind is told so.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Seen> {
        self.feed.watch()
    }

    /// All exposures that were offered before this time are stored.
    #[must_use]
    pub fn exposures_until(&self) -> Timestamp {
        Timestamp(self.progress.exposures_until.load(Ordering::Acquire))
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.durable.counts
    }

    /// What waits in the queues.
    #[must_use]
    pub fn queued(&self) -> Queued {
        Queued {
            batches: self.events.max_capacity() - self.events.capacity(),
            bytes: self.queued_bytes.load(Ordering::Relaxed),
            exposures: self.exposures.max_capacity() - self.exposures.capacity(),
        }
    }

    /// What waits on the local disk for the store.
    #[must_use]
    pub fn spooled(&self) -> SpoolState {
        self.durable.spool.state()
    }

    /// Event time up to which events have come in; none before the first one.
    pub async fn watermark(&self) -> Result<Option<Timestamp>> {
        Ok(self.durable.store.reach(&[]).await?.watermark)
    }
}

impl Writers {
    /// Waits until both queues are drained and durable.
    pub async fn drained(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a writer did not end cleanly");
            }
        }
        self.spool.close().await;
    }
}
