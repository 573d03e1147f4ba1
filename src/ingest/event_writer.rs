//! Makes waiting batches durable together: one write serves many callers, and a few are under way at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Batch;
use super::durable::Durable;
use crate::domain::event::{Event, Exposure};
use crate::error::{Error, Result};
use crate::events::Outcomes;

/// Most batches of one write.
const MAX_BATCHES: usize = 16;

pub(super) async fn run(
    durable: Durable,
    mut queue: mpsc::Receiver<Batch>,
    queued_bytes: Arc<AtomicUsize>,
    stop: CancellationToken,
) {
    let at_once = durable.store.writes_at_once().max(1);
    let mut writing = JoinSet::new();
    loop {
        // What comes meanwhile is written together.
        if writing.len() >= at_once {
            ended(writing.join_next().await);
        }
        let mut batches = Vec::with_capacity(MAX_BATCHES);
        tokio::select! {
            taken = queue.recv_many(&mut batches, MAX_BATCHES) => if taken == 0 { break },
            // Once closed, the queue gives what is left in it and then nothing.
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        }
        let (durable, queued_bytes) = (durable.clone(), Arc::clone(&queued_bytes));
        writing.spawn(async move {
            let bytes = batches.iter().map(|batch| batch.bytes).sum();
            write(&durable, batches).await;
            queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        });
    }
    while !writing.is_empty() {
        ended(writing.join_next().await);
    }
}

/// The callers of a write that failed so miss their answers, and are told that the server is stopping.
fn ended(write: Option<std::result::Result<(), JoinError>>) {
    if let Some(Err(error)) = write {
        tracing::error!(%error, "a write of events did not end cleanly");
    }
}

/// Writes all batches together; when that fails, each alone, so that what is wrong with one fails no other.
async fn write(durable: &Durable, batches: Vec<Batch>) {
    let all: Vec<&Event> = batches.iter().flat_map(|batch| &batch.events).collect();
    let exposures: Vec<&Exposure> = batches.iter().flat_map(|batch| &batch.exposures).collect();
    match durable.append(&all, &exposures).await {
        Ok(outcomes) => {
            let (mut of_events, mut of_exposures) =
                (outcomes.events.into_iter(), outcomes.exposures.into_iter());
            for batch in batches {
                let events = of_events.by_ref().take(batch.events.len()).collect();
                let exposures = of_exposures.by_ref().take(batch.exposures.len()).collect();
                answer(batch, Ok(Outcomes { events, exposures }));
            }
        }
        // What no batch can help fails all of them at once.
        Err(error) if batches.len() == 1 || matches!(error, Error::Unavailable(_)) => {
            tracing::error!(error = error.in_full(), events = all.len(), "events were not stored");
            for batch in batches {
                answer(batch, Err(not_stored(&error)));
            }
        }
        Err(error) => {
            tracing::error!(error = error.in_full(), events = all.len(), "events were not stored together");
            for batch in batches {
                let own: Vec<&Event> = batch.events.iter().collect();
                let exposures: Vec<&Exposure> = batch.exposures.iter().collect();
                let outcome = durable.append(&own, &exposures).await.map_err(|error| {
                    tracing::error!(error = error.in_full(), events = own.len(), "events were not stored");
                    not_stored(&error)
                });
                answer(batch, outcome);
            }
        }
    }
}

/// A caller that has gone away misses its answer; its events are stored all the same.
fn answer(batch: Batch, outcome: Result<Outcomes>) {
    let _ = batch.results.send(outcome);
}

/// What a caller is told: why the store can not take events now, but no cause of ours.
fn not_stored(error: &Error) -> Error {
    match error {
        Error::Unavailable(message) => Error::Unavailable(message.clone()),
        _ => Error::Unavailable("the events were not stored; the same call may be repeated".to_owned()),
    }
}
