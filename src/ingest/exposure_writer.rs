//! Makes exposures durable in the background, without repeats.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::durable::Durable;
use super::seen::Seen;
use crate::domain::event::Exposure;

/// Most exposures of one write.
const MAX_EXPOSURES: usize = 8_192;
/// How long the writer lets exposures gather.
const PAUSE: Duration = Duration::from_millis(50);
/// How long it waits after a failed write.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

pub(super) async fn run(
    durable: Durable,
    mut queue: mpsc::Receiver<Exposure>,
    memory: usize,
    progress: Arc<Progress>,
    stop: CancellationToken,
) {
    let mut seen = Seen::new(memory);
    let mut waiting: Vec<Exposure> = Vec::new();
    loop {
        let stopping = stop.is_cancelled();
        if stopping {
            queue.close();
        }
        let drained_at = durable.clock.now();
        let drained = fill(&mut waiting, &mut queue, &mut seen);
        if !waiting.is_empty() {
            match durable.append(&[], &waiting.iter().collect::<Vec<_>>()).await {
                Ok(_) => waiting.clear(),
                // Kept and tried again: a lost exposure would hide a unit. Only a stop gives up, where neither the store
                // nor the local disk takes them.
                Err(error) => {
                    let (error, exposures) = (error.in_full(), waiting.len());
                    if stopping {
                        tracing::error!(error, exposures, "exposures were lost at the stop");
                        return;
                    }
                    tracing::error!(error, exposures, "exposures were not stored; trying again");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                }
            }
        }
        if !drained {
            continue;
        }
        // What waits on the local disk is not stored yet.
        if durable.spool.is_empty() {
            progress.exposures_until.store(drained_at.0, Ordering::Release);
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Takes new exposures until the batch is full or the queue is empty; says whether it is empty.
fn fill(waiting: &mut Vec<Exposure>, queue: &mut mpsc::Receiver<Exposure>, seen: &mut Seen) -> bool {
    while waiting.len() < MAX_EXPOSURES {
        let Ok(exposure) = queue.try_recv() else {
            return true;
        };
        if seen.is_new(&exposure) {
            waiting.push(exposure);
        }
    }
    false
}
