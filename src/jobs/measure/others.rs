//! What the server that acts has published, for those that do not measure themselves.

use std::sync::Arc;

use super::Measurer;
use crate::error::Result;

impl Measurer {
    /// Takes over the latest snapshots of live launches that are not known here yet. They come without their kept buckets.
    pub(super) async fn follow(&self) -> Result<()> {
        // What is at hand is of another time when this server measures again.
        self.kept.lock().await.clear();
        let live = &self.parts.live;
        let in_force = live.in_force();
        let mut is_new = false;
        let latest = self.parts.store.latest_snapshots().await?;
        for launch in in_force.catalogue.launches.values().filter(|launch| launch.is_live()) {
            let number = latest.get(&launch.id).copied();
            let known = live.published(launch.id);
            let known_number = known.as_ref().map(|known| known.as_ref().map(|known| known.number));
            if known_number == Some(number) {
                continue;
            }
            let published = self.parts.store.snapshot(launch.id, None).await?.map(Arc::new);
            live.note_published(launch.id, published.as_ref());
            if let Some(published) = &published {
                live.note_measured(launch.id, published.at);
            }
            is_new = true;
        }
        if is_new {
            live.announce_published();
        }
        Ok(())
    }
}
