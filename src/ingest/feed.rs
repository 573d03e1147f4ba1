//! A live feed of what comes in, for those who look for what is wrong.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::domain::event::{Event, Exposure};

/// How many a watcher may be behind.
const MAX_BEHIND: usize = 4_096;

/// Something that came in.
#[derive(Clone, Debug)]
pub enum Seen {
    /// An event that was stored.
    Event(Arc<Event>),
    /// An exposure that was served or reported, repeats included.
    Exposure(Arc<Exposure>),
}

/// The feed. Without watchers it costs next to nothing. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Feed(broadcast::Sender<Seen>);

impl Feed {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(MAX_BEHIND))
    }

    pub(super) fn watch(&self) -> broadcast::Receiver<Seen> {
        self.0.subscribe()
    }

    pub(super) fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(super) fn event(&self, event: Event) {
        // Whoever watched may just have gone.
        let _ = self.0.send(Seen::Event(Arc::new(event)));
    }

    pub(super) fn exposure(&self, exposure: &Exposure) {
        if self.is_watched() {
            let _ = self.0.send(Seen::Exposure(Arc::new(exposure.clone())));
        }
    }
}
