//! Stores waiting batches together: one durable write serves many callers.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Batch;
use crate::domain::event::MAX_BATCH;
use crate::error::Error;
use crate::events::EventStore;

/// Most batches of one write.
const MAX_BATCHES: usize = 16;

pub(super) async fn run(store: EventStore, mut queue: mpsc::Receiver<Batch>, stop: CancellationToken) {
    let mut batches = Vec::with_capacity(MAX_BATCHES);
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut batches, MAX_BATCHES) => if taken == 0 { return },
            // Once closed, the queue gives what is left in it and then nothing.
            () = stop.cancelled(), if !queue.is_closed() => queue.close(),
        }
        write(&store, &mut batches).await;
    }
}

async fn write(store: &EventStore, batches: &mut Vec<Batch>) {
    if batches.is_empty() {
        return;
    }
    let mut events = Vec::with_capacity(batches.len() * MAX_BATCH);
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.events.len()).collect();
    for batch in batches.iter_mut() {
        events.append(&mut batch.events);
    }
    // A caller that has gone away misses its answer; its events are stored all the same.
    match store.append(&events).await {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for (batch, size) in batches.drain(..).zip(sizes) {
                let _ = batch.results.send(Ok(outcomes.by_ref().take(size).collect()));
            }
        }
        Err(error) => {
            tracing::error!(%error, events = events.len(), "events were not stored");
            for batch in batches.drain(..) {
                let message = "the events were not stored; the same call may be repeated".to_owned();
                let _ = batch.results.send(Err(Error::Unavailable(message)));
            }
        }
    }
}
