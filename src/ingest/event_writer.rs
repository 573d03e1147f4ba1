//! Stores waiting batches together: one durable write serves many callers.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Batch;
use crate::domain::event::{Event, Exposure};
use crate::error::{Error, Result};
use crate::events::{Appended, EventStore};

/// Most batches of one write.
const MAX_BATCHES: usize = 16;

pub(super) async fn run(
    store: Arc<dyn EventStore>,
    mut queue: mpsc::Receiver<Batch>,
    stop: CancellationToken,
) {
    let mut batches = Vec::with_capacity(MAX_BATCHES);
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut batches, MAX_BATCHES) => if taken == 0 { return },
            // Once closed, the queue gives what is left in it and then nothing.
            () = stop.cancelled(), if !queue.is_closed() => queue.close(),
        }
        write(store.as_ref(), &mut batches).await;
    }
}

/// Writes all batches together; when that fails, each alone, so that what is wrong with one fails no other.
async fn write(store: &dyn EventStore, batches: &mut Vec<Batch>) {
    if batches.is_empty() {
        return;
    }
    let all: Vec<&Event> = batches.iter().flat_map(|batch| &batch.events).collect();
    let exposures: Vec<&Exposure> = batches.iter().flat_map(|batch| &batch.exposures).collect();
    match store.append(&all, &exposures).await {
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
                answer(batch, Err(not_stored()));
            }
        }
        Err(error) => {
            tracing::error!(error = error.in_full(), events = all.len(), "events were not stored together");
            for batch in batches.drain(..) {
                let own: Vec<&Event> = batch.events.iter().collect();
                let exposures: Vec<&Exposure> = batch.exposures.iter().collect();
                let outcome = store.append(&own, &exposures).await.map_err(|error| {
                    tracing::error!(error = error.in_full(), events = own.len(), "events were not stored");
                    not_stored()
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

fn not_stored() -> Error {
    Error::Unavailable("the events were not stored; the same call may be repeated".to_owned())
}
