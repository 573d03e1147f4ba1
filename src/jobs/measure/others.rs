//! What the server that acts has published, for those that do not measure themselves.

use std::sync::Arc;

use super::Measurer;
use super::refresh::complete_until;
use crate::error::Result;

impl Measurer {
    /// Takes over the latest snapshots of live launches that are not known here yet. They come without their kept buckets.
    pub(super) async fn follow(&self) -> Result<()> {
        // What is at hand is of another time when this server measures again.
        self.kept.lock().await.clear();
        let live = &self.parts.live;
        let in_force = live.in_force();
        let mut is_new = false;
        // Read before the numbers, so that it is never ahead of what they could show.
        let (now, exposures_until) = (self.parts.clock.now(), self.parts.ingest.exposures_until());
        let reach = self.parts.events.reach(&[]).await?;
        let latest = self.parts.store.latest_snapshots().await?;
        for launch in in_force.catalogue.launches.values().filter(|launch| launch.is_live()) {
            let number = latest.get(&launch.id).copied();
            let known = live.published(launch.id);
            let known_number = known.as_ref().map(|known| known.as_ref().map(|known| known.number));
            if known_number != Some(number) {
                let published = self.parts.store.snapshot(launch.id, None).await?.map(Arc::new);
                live.note_published(launch.id, published.as_ref());
                is_new = true;
            }
            let published = live.published(launch.id).flatten();
            let measured = match complete_until(launch, &reach, exposures_until) {
                // Nothing to measure by yet.
                None => Some(now),
                // Whoever acts may publish nothing where nothing has changed.
                Some(until) => published.map(|published| {
                    let is_whole = published.measurement.as_of >= self.as_of(until);
                    if is_whole { now } else { published.at }
                }),
            };
            if let Some(at) = measured {
                live.note_measured(launch.id, at);
            }
        }
        if is_new {
            live.announce_published();
        }
        Ok(())
    }
}
