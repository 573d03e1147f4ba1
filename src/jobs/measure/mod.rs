//! Measures every live launch: folds what is new, audits, and publishes numbers for the guard to judge by.

mod frozen;
mod intake;
mod others;
mod rebuild;
mod recovering;
mod refresh;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::frozen::Asked;
use self::intake::Intakes;
pub use self::rebuild::{Rebuilt, rebuild};
use self::recovering::{Aside, RolledBack};
use self::refresh::Kept;
use crate::analysis::published::Published;
use crate::clock::Clock;
use crate::domain::launch::LaunchId;
use crate::domain::time::Timestamp;
use crate::events::EventStore;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::store::Store;
use crate::store::lease::Fence;

/// How often it asks whether there is something new.
const NEWS: Duration = Duration::from_secs(1);

/// What measuring works on. Cloning shares all of it.
#[derive(Clone, Debug)]
pub struct MeasurerParts {
    /// What is in force, and where numbers are published.
    pub live: Arc<Live>,
    /// Keeps cells, positions and what was published.
    pub store: Store,
    /// What it measures on.
    pub events: Arc<dyn EventStore>,
    /// Tells how far exposures are stored.
    pub ingest: Ingest,
    /// Tells the time.
    pub clock: Clock,
    /// The longest time between two measurements, and the width of a bucket of event time.
    pub tick: Duration,
    /// How long after its time an event is waited for, in milliseconds.
    pub allowed_lateness_ms: i64,
}

/// The measurer.
#[derive(Debug)]
pub struct Measurer {
    parts: MeasurerParts,
    /// Cells are kept at hand between refreshes. Whoever finds that the stored position has moved reads them again.
    kept: Mutex<HashMap<LaunchId, Kept>>,
    intakes: Intakes,
    baselines: Mutex<HashMap<LaunchId, Asked>>,
    rolled_back: Mutex<HashMap<LaunchId, RolledBack>>,
}

impl Measurer {
    /// A measurer that has measured nothing yet.
    #[must_use]
    pub fn new(parts: MeasurerParts) -> Self {
        let (kept, intakes) = (Mutex::default(), Intakes::default());
        Self { parts, kept, intakes, baselines: Mutex::default(), rolled_back: Mutex::default() }
    }

    /// Measures until the stop: as soon as event time has gone on by a bucket or the configuration has changed, and every
    /// tick. While another server acts, it takes over what that one has published.
    pub async fn run(self, stop: CancellationToken) {
        let measurer = Arc::new(self);
        let mut leadership = measurer.parts.live.watch_leadership();
        let mut seen: Option<(Option<Fence>, Option<Timestamp>, i64)> = None;
        let (mut measured_at, mut recoveries) = (Instant::now(), Aside::default());
        while !stop.is_cancelled() {
            let leads = leadership.borrow_and_update().leads();
            let led = seen.and_then(|(fence, ..)| fence);
            if leads.is_none() || leads != led {
                measurer.take_over().await;
            }
            if let Some(fence) = leads {
                let revision = measurer.parts.live.in_force().catalogue.revision;
                let news = Some((leads, measurer.reached().await, revision));
                if news != seen || measured_at.elapsed() >= measurer.parts.tick {
                    (seen, measured_at) = (news, Instant::now());
                    measure_all(&measurer, fence).await;
                    recoveries.tell(&measurer);
                }
            } else {
                seen = None;
                // What is not stored every server works out for itself.
                recoveries.tell(&measurer);
            }
            tokio::select! {
                () = tokio::time::sleep(measurer.parts.tick.min(NEWS)) => {}
                _ = leadership.changed() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Takes over what another server has published.
    async fn take_over(&self) {
        if let Err(error) = self.follow().await {
            tracing::error!(error = error.in_full(), "what another server has published could not be read");
        }
    }

    /// The bucket of event time up to which numbers could be complete.
    async fn reached(&self) -> Option<Timestamp> {
        match self.parts.events.reach(&[]).await {
            Ok(reach) => {
                let events = reach.watermark?.min(self.parts.ingest.exposures_until());
                Some(self.bucket(events.plus_ms(-self.parts.allowed_lateness_ms)))
            }
            Err(error) => {
                tracing::error!(error = error.in_full(), "the watermark could not be read");
                None
            }
        }
    }

    fn width_ms(&self) -> i64 {
        i64::try_from(self.parts.tick.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    fn bucket(&self, at: Timestamp) -> Timestamp {
        let width_ms = self.width_ms();
        Timestamp(at.0.div_euclid(width_ms).saturating_mul(width_ms))
    }
}

/// Measures every live launch, each in a task of its own: one that fails, or panics, does not keep the others from theirs.
async fn measure_all(measurer: &Arc<Measurer>, fence: Fence) {
    let live = &measurer.parts.live;
    let launches: Vec<LaunchId> = live
        .in_force()
        .catalogue
        .launches
        .values()
        .filter(|launch| launch.is_live())
        .map(|launch| launch.id)
        .collect();
    let mut is_new = false;
    for id in &launches {
        let (own, id, at) = (Arc::clone(measurer), *id, measurer.parts.clock.now());
        let published = match tokio::spawn(async move { own.refresh(fence, id).await }).await {
            Ok(Ok(published)) => {
                live.note_measured(id, at);
                published.map(Arc::new)
            }
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
        let known = live.published(id);
        let is_known = |published: &Arc<Published>| {
            let known = known.iter().flatten().next();
            known.is_some_and(|known| known.number == published.number && known.has_buckets())
        };
        if published.as_ref().map_or(known.is_none(), |published| !is_known(published)) {
            live.note_published(id, published.as_ref());
            is_new = true;
        }
    }
    measurer.kept.lock().await.retain(|id, _| launches.contains(id));
    measurer.baselines.lock().await.retain(|id, _| launches.contains(id));
    if is_new {
        live.announce_published();
    }
}
