//! What ingest counts, for those who watch it.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::events::{Appended, Outcomes};

/// Counts since the start. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    stored: Counter,
    duplicate: Counter,
    refused: Counter,
    spooled: Counter,
    exposures: Counter,
    exposures_dropped: Counter,
}

impl Counts {
    /// Names them for a registry.
    pub fn register(&self, registry: &mut Registry) {
        let Counters { stored, duplicate, refused, spooled, exposures, exposures_dropped } = self.0.as_ref();
        registry.register("portcullis_events_stored", "Events that were stored", stored.clone());
        registry.register(
            "portcullis_events_duplicate",
            "Events whose id was there already",
            duplicate.clone(),
        );
        registry.register("portcullis_events_refused", "Events that broke a limit", refused.clone());
        registry.register(
            "portcullis_events_spooled",
            "Events that were put on the local disk since the store was not available",
            spooled.clone(),
        );
        registry.register(
            "portcullis_exposures_stored",
            "Exposures that were stored, repeats left out",
            exposures.clone(),
        );
        registry.register(
            "portcullis_exposures_dropped",
            "Exposures that were dropped since their queue was full",
            exposures_dropped.clone(),
        );
    }

    /// Events that broke a limit, found where they were read.
    pub fn refuse(&self, events: usize) {
        self.0.refused.inc_by(count(events));
    }

    pub(super) fn store(&self, Outcomes { events, exposures }: &Outcomes) {
        let stored = |all: &[Appended]| all.iter().filter(|outcome| **outcome == Appended::Stored).count();
        let stored_events = stored(events);
        self.0.stored.inc_by(count(stored_events));
        self.0.duplicate.inc_by(count(events.len() - stored_events));
        self.0.exposures.inc_by(count(stored(exposures)));
    }

    pub(super) fn spool(&self, events: usize) {
        self.0.spooled.inc_by(count(events));
    }

    /// Gives how many were dropped so far.
    pub(super) fn drop_exposure(&self) -> u64 {
        self.0.exposures_dropped.inc() + 1
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
