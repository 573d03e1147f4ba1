//! One audited function for each change. People and the guard call the same ones.

mod buckets;
mod by_hand;
mod configs;
mod configuration;
mod documents;
mod edit;
mod experiments;
mod gates;
mod guarding;
mod holdouts;
mod keys;
mod latches;
mod layers;
mod queries;
mod reach;
mod references;
mod rollouts;
mod runs;
mod segments;

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::analysis::decision::Judgement;
use crate::clock::Clock;
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;
use crate::live::Live;
use crate::store::Store;

pub use configuration::{ConfigurationPlan, PlannedChange, Wanted};
pub use documents::Administered;
pub use keys::NewSdkKey;
pub(crate) use queries::parse_id;
pub use queries::{Answer, Page, Subject};
pub use rollouts::{RollbackTo, Rollout};
pub use runs::Outcome;
// What queries are made of and answered with, so that callers need not know the store.
pub use crate::store::{DecisionQuery, LaunchQuery, Recorded};

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

/// Everything that changes what is configured. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Store,
    live: Arc<Live>,
    clock: Clock,
    /// A judgement older than this is none.
    max_judgement_age_ms: i64,
    /// One change at a time: each is made from the configuration that the one before left.
    writer: Arc<Mutex<()>>,
}

impl Admin {
    /// Functions over a store and what is in force.
    #[must_use]
    pub fn new(store: Store, live: Arc<Live>, clock: Clock, max_judgement_age_ms: i64) -> Self {
        Self { store, live, clock, max_judgement_age_ms, writer: Arc::new(Mutex::new(())) }
    }

    /// The guard's latest judgement of a launch, as long as it is not too old to be acted on, and of the share in force.
    fn judgement(&self, launch: &Launch, now: Timestamp) -> Option<Arc<Judgement>> {
        let judgement = self.live.judgement(launch.id)?;
        let fresh = now.ms_since(judgement.at) <= self.max_judgement_age_ms;
        let of_share = launch.epoch().is_some_and(|epoch| epoch.number == judgement.epoch);
        (fresh && of_share).then_some(judgement)
    }
}
