//! Measures every live launch: folds what is new, audits, and publishes numbers for the guard to judge by.

mod frozen;
mod intake;
mod others;
mod rebuild;
mod recovering;
mod refresh;
mod rounds;
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
use self::recovering::{Aside, TurnedOff};
use self::refresh::Kept;
use self::rounds::Rounds;
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
    turned_off: Mutex<HashMap<(LaunchId, Option<String>), TurnedOff>>,
}

impl Measurer {
    /// A measurer that has measured nothing yet.
    #[must_use]
    pub fn new(parts: MeasurerParts) -> Self {
        let (kept, intakes) = (Mutex::default(), Intakes::default());
        Self { parts, kept, intakes, baselines: Mutex::default(), turned_off: Mutex::default() }
    }

    /// Measures until the stop: as soon as event time has gone on by a bucket or the configuration has changed, and every
    /// tick. While another server acts, it takes over what that one has published.
    pub async fn run(self, stop: CancellationToken) {
        let measurer = Arc::new(self);
        let mut leadership = measurer.parts.live.watch_leadership();
        let mut seen: Option<(Option<Fence>, Option<Timestamp>, i64)> = None;
        let (mut measured_at, mut recoveries) = (Instant::now(), Aside::default());
        let mut rounds = Rounds::new(Arc::clone(&measurer));
        while !stop.is_cancelled() {
            let leads = leadership.borrow_and_update().leads();
            let led = seen.and_then(|(fence, ..)| fence);
            if leads.is_none() || leads != led {
                measurer.take_over().await;
            }
            if let Some(fence) = leads {
                let revision = measurer.parts.live.in_force().catalogue.revision;
                let news = Some((leads, measurer.reached().await, revision));
                let is_new = news != seen || measured_at.elapsed() >= measurer.parts.tick;
                rounds.begin(fence, is_new, &stop).await;
                if is_new {
                    (seen, measured_at) = (news, Instant::now());
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
        rounds.end().await;
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
                Some(self.as_of(events))
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

    /// The bucket of event time up to which numbers are complete where data have come in up to a watermark.
    fn as_of(&self, watermark: Timestamp) -> Timestamp {
        self.bucket(watermark.plus_ms(-self.parts.allowed_lateness_ms))
    }

    fn bucket(&self, at: Timestamp) -> Timestamp {
        let width_ms = self.width_ms();
        Timestamp(at.0.div_euclid(width_ms).saturating_mul(width_ms))
    }
}
