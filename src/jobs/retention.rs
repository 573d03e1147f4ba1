//! Once a day, events are dropped that are older than they are kept.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::events::EventStore;
use crate::live::Live;

/// How often it looks.
const PERIOD: Duration = Duration::from_hours(24);
/// How soon after the start it looks first: not while everything else begins.
const FIRST: Duration = Duration::from_mins(5);
/// What is measured of a unit may begin so long before its launch.
const LOOK_BACK_MS: i64 = 90 * DAY_MS;

/// The job with all it works on.
#[derive(Debug)]
pub struct Retention {
    /// What is in force.
    pub live: Arc<Live>,
    /// What it drops from.
    pub events: Arc<dyn EventStore>,
    /// Tells the time.
    pub clock: Clock,
    /// How long events are kept, in milliseconds.
    pub keep_ms: i64,
}

impl Retention {
    /// Looks until the stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = FIRST;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = PERIOD;
            let before = self.before();
            match self.events.drop_before(before).await {
                Ok(dropped) => tracing::info!(
                    rows = dropped.rows,
                    partitions = dropped.partitions,
                    before_day = before.day(),
                    "old events were dropped"
                ),
                Err(error) => tracing::error!(
                    error = error.in_full(),
                    "old events were not dropped; tried again tomorrow"
                ),
            }
        }
    }

    /// What is older may go. What a live launch is measured on stays, since new events of a unit are counted beside all
    /// that it did before.
    fn before(&self) -> Timestamp {
        let in_force = self.live.in_force();
        let live = in_force.catalogue.launches.values().filter(|launch| launch.is_live());
        let began =
            live.flat_map(|launch| &launch.epochs).map(|epoch| epoch.started_at.plus_ms(-LOOK_BACK_MS));
        let kept = self.clock.now().plus_ms(-self.keep_ms);
        began.min().map_or(kept, |began| began.min(kept))
    }
}
