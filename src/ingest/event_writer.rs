//! Makes waiting batches durable together: one write serves many callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Batch;
use super::durable::Durable;
use crate::domain::event::{Event, Exposure};
use crate::error::{Error, Result};
use crate::events::Appended;

/// Most batches of one write.
const MAX_BATCHES: usize = 16;

pub(super) async fn run(
    durable: Durable,
    mut queue: mpsc::Receiver<Batch>,
    queued_bytes: Arc<AtomicUsize>,
    stop: CancellationToken,
) {
    let mut batches = Vec::with_capacity(MAX_BATCHES);
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut batches, MAX_BATCHES) => if taken == 0 { return },
            // Once closed, the queue gives what is left in it and then nothing.
            () = stop.cancelled(), if !queue.is_closed() => queue.close(),
        }
        let bytes = batches.iter().map(|batch: &Batch| batch.bytes).sum();
        write(&durable, &mut batches).await;
        queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Writes all batches together; when that fails, each alone, so that what is wrong with one fails no other.
async fn write(durable: &Durable, batches: &mut Vec<Batch>) {
    if batches.is_empty() {
        return;
    }
    let all: Vec<&Event> = batches.iter().flat_map(|batch| &batch.events).collect();
    let exposures: Vec<&Exposure> = batches.iter().flat_map(|batch| &batch.exposures).collect();
    match durable.append(&all, &exposures).await {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for batch in batches.drain(..) {
                let own = outcomes.by_ref().take(batch.events.len()).collect();
                answer(batch, Ok(own));
            }
        }
        // What no batch can help fails all of them at once.
        Err(error) if batches.len() == 1 || matches!(error, Error::Unavailable(_)) => {
            tracing::error!(error = error.in_full(), events = all.len(), "events were not stored");
            for batch in batches.drain(..) {
                answer(batch, Err(not_stored(&error)));
            }
        }
        Err(error) => {
            tracing::error!(error = error.in_full(), events = all.len(), "events were not stored together");
            for batch in batches.drain(..) {
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
fn answer(batch: Batch, outcome: Result<Vec<Appended>>) {
    let _ = batch.results.send(outcome);
}

/// What a caller is told: why the store can not take events now, but no cause of ours.
fn not_stored(error: &Error) -> Error {
    match error {
        Error::Unavailable(message) => Error::Unavailable(message.clone()),
        _ => Error::Unavailable("the events were not stored; the same call may be repeated".to_owned()),
    }
}
