//! Stores exposures in the background, without repeats.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::seen::Seen;
use crate::clock::Clock;
use crate::domain::event::Exposure;
use crate::events::EventStore;

/// Most exposures of one write.
const MAX_EXPOSURES: usize = 8_192;
/// How long the writer lets exposures gather.
const PAUSE: Duration = Duration::from_millis(50);
/// How long it waits after a failed write.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

pub(super) async fn run(
    store: Arc<dyn EventStore>,
    clock: Clock,
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
        let drained_at = clock.now();
        let drained = fill(&mut waiting, &mut queue, &mut seen);
        if !waiting.is_empty() {
            match store.append(&[], &waiting.iter().collect::<Vec<_>>()).await {
                Ok(_) => waiting.clear(),
                // Kept and tried again: a lost exposure would hide a unit. Only a stop gives up.
                Err(error) if !stopping => {
                    tracing::error!(
                        error = error.in_full(),
                        exposures = waiting.len(),
                        "exposures were not stored; trying again"
                    );
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                }
                Err(error) => {
                    tracing::error!(
                        error = error.in_full(),
                        exposures = waiting.len(),
                        "exposures were lost at the stop"
                    );
                    return;
                }
            }
        }
        if !drained {
            continue;
        }
        progress.exposures_until.store(drained_at.0, Ordering::Release);
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
