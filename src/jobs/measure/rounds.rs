//! Rounds of measuring: launches side by side, none of which waits for another one to be published.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Measurer;
use crate::analysis::published::Published;
use crate::domain::launch::LaunchId;
use crate::failpoint::reach;
use crate::store::lease::Fence;

/// How many launches are measured at a time: half of what the store has connections, so that the guard has some as well.
const AT_ONCE: usize = 4;

/// What is being measured.
#[derive(Debug)]
pub(super) struct Rounds {
    measurer: Arc<Measurer>,
    turns: Arc<Semaphore>,
    under_way: BTreeSet<LaunchId>,
    /// What was still being measured when there was something new, and is measured again for that.
    missed: BTreeSet<LaunchId>,
    tasks: JoinSet<LaunchId>,
}

impl Rounds {
    pub(super) fn new(measurer: Arc<Measurer>) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let (under_way, missed) = Default::default();
        Self { measurer, turns, under_way, missed, tasks: JoinSet::new() }
    }

    /// Begins to measure live launches and waits for none: all of them where there is something new, else those that were
    /// missed.
    pub(super) async fn begin(&mut self, fence: Fence, is_new: bool, stop: &CancellationToken) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(id) = ended {
                self.under_way.remove(&id);
            }
        }
        if !is_new && self.missed.is_empty() {
            return;
        }
        let in_force = self.measurer.parts.live.in_force();
        let live = in_force.catalogue.launches.values().filter(|launch| launch.is_live());
        let launches: BTreeSet<LaunchId> = live.map(|launch| launch.id).collect();
        self.measurer.kept.lock().await.retain(|id, _| launches.contains(id));
        self.measurer.baselines.lock().await.retain(|id, _| launches.contains(id));
        let missed = std::mem::take(&mut self.missed);
        for id in launches.into_iter().filter(|id| is_new || missed.contains(id)) {
            // None is measured twice at a time.
            if !self.under_way.insert(id) {
                self.missed.insert(id);
                continue;
            }
            let (measurer, turns, stop) = (Arc::clone(&self.measurer), Arc::clone(&self.turns), stop.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    turn = turns.acquire() => {
                        measure(measurer, fence, id).await;
                        drop(turn);
                    }
                    () = stop.cancelled() => {}
                }
                id
            });
        }
    }

    /// Waits for what is being measured.
    pub(super) async fn end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Measures a launch in a task of its own, so that one that panics tells as well, and announces at once what is published.
async fn measure(measurer: Arc<Measurer>, fence: Fence, id: LaunchId) {
    let own = Arc::clone(&measurer);
    let (live, begun) = (&measurer.parts.live, measurer.parts.clock.now());
    let refreshed = tokio::spawn(async move {
        reach("before", "measuring").await;
        own.refresh(fence, id).await
    });
    let refreshed = refreshed.await;
    let is_measured = matches!(refreshed, Ok(Ok(_)));
    let published = match refreshed {
        Ok(Ok(published)) => published.map(Arc::new),
        Ok(Err(error)) => {
            let error = error.in_full();
            tracing::error!(error, launch = %id, "the launch could not be measured; what was published stands");
            None
        }
        Err(error) => {
            tracing::error!(%error, launch = %id, "measuring a launch failed; it is tried again with the next tick");
            None
        }
    };
    if is_measured {
        live.note_measured(id, begun);
    }
    let known = live.published(id);
    let is_known = |published: &Arc<Published>| {
        known
            .as_ref()
            .and_then(Option::as_ref)
            .is_some_and(|known| known.number == published.number && known.has_buckets())
    };
    if published.as_ref().map_or(known.is_none(), |published| !is_known(published)) {
        live.note_published(id, published.as_ref());
        live.announce_published();
    }
}
