//! Bounded queues in front of the event store: events are acknowledged once durable, exposures never make anyone wait.

mod event_writer;
mod exposure_writer;
mod seen;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::events::EventStore;
// What became of an event, so that callers need not know the event store.
pub use crate::events::Appended;

/// How the queues are sized.
#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// Batches of events that may wait for the writer.
    pub event_queue: usize,
    /// Exposures that may wait for the writer; further ones are dropped and counted.
    pub exposure_queue: usize,
    /// Exposures that are remembered so that repeats need no write.
    pub exposure_memory: usize,
    /// Attributes of users that are kept with exposures.
    pub segment_by: Vec<String>,
}

/// The front of the event store. Cloning shares the queues.
#[derive(Clone, Debug)]
pub struct Ingest {
    events: mpsc::Sender<Batch>,
    exposures: mpsc::Sender<Exposure>,
    progress: Arc<Progress>,
    segment_by: Arc<[String]>,
}

/// A batch that waits to be stored, and where its results go.
#[derive(Debug)]
struct Batch {
    events: Vec<Event>,
    exposures: Vec<Exposure>,
    results: oneshot::Sender<Result<Vec<Appended>>>,
}

/// How far the exposure writer has come.
#[derive(Debug)]
struct Progress {
    /// All exposures offered before this time, in ms, are stored.
    exposures_until: AtomicI64,
    dropped_exposures: AtomicU64,
}

/// The writers behind the queues; they end once the queues are drained after the stop.
#[derive(Debug)]
pub struct Writers {
    tasks: [JoinHandle<()>; 2],
}

impl Ingest {
    /// Starts the writers. They drain the queues and end after `stop`.
    #[must_use]
    pub fn start(
        store: &Arc<dyn EventStore>,
        clock: &Clock,
        settings: IngestSettings,
        stop: &CancellationToken,
    ) -> (Self, Writers) {
        let (events, event_queue) = mpsc::channel(settings.event_queue);
        let (exposures, exposure_queue) = mpsc::channel(settings.exposure_queue);
        let progress = Arc::new(Progress {
            exposures_until: AtomicI64::new(clock.now().0),
            dropped_exposures: AtomicU64::new(0),
        });
        let tasks = [
            tokio::spawn(event_writer::run(Arc::clone(store), event_queue, stop.clone())),
            tokio::spawn(exposure_writer::run(
                Arc::clone(store),
                clock.clone(),
                exposure_queue,
                settings.exposure_memory,
                Arc::clone(&progress),
                stop.clone(),
            )),
        ];
        let segment_by = settings.segment_by.into();
        (Self { events, exposures, progress, segment_by }, Writers { tasks })
    }

    /// Stores events, and exposures that were reported with them; once it returns they are durable. One result for each
    /// event, in order.
    pub async fn log(&self, events: Vec<Event>, exposures: Vec<Exposure>) -> Result<Vec<Appended>> {
        let (results, answer) = oneshot::channel();
        let stopping = || Error::Unavailable("the server is stopping".to_owned());
        self.events.try_send(Batch { events, exposures, results }).map_err(|refusal| match refusal {
            TrySendError::Full(_) => {
                Error::Unavailable("the event queue is full; retry in a second".to_owned())
            }
            TrySendError::Closed(_) => stopping(),
        })?;
        answer.await.map_err(|_| stopping())?
    }

    /// Takes an exposure without ever waiting; over the bound it is dropped and counted.
    pub fn offer(&self, exposure: Exposure) {
        if self.exposures.try_send(exposure).is_err() {
            let dropped = self.progress.dropped_exposures.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "exposures dropped: the queue is full or closed");
            }
        }
    }

    /// Attributes of users that are kept with exposures.
    #[must_use]
    pub fn segment_by(&self) -> &[String] {
        &self.segment_by
    }

    /// All exposures that were offered before this time are stored.
    #[must_use]
    pub fn exposures_until(&self) -> Timestamp {
        Timestamp(self.progress.exposures_until.load(Ordering::Acquire))
    }
}

impl Writers {
    /// Waits until both queues are drained and stored.
    pub async fn drained(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a writer did not end cleanly");
            }
        }
    }
}
