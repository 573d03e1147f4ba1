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
mod measuring;
mod overriding;
mod policies;
mod policy_replay;
mod queries;
mod reach;
mod references;
mod rollouts;
mod ruled;
mod runs;
mod segments;
mod webhooks;

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::analysis::decision::Judgement;
use crate::clock::Clock;
use crate::domain::launch::{Launch, LaunchId};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::EventStore;
use crate::live::Live;
use crate::store::Store;

pub use configuration::{ConfigurationPlan, PlannedChange, Wanted};
pub use documents::Administered;
pub use keys::NewSdkKey;
pub use measuring::Scorecard;
pub use policy_replay::{ReplayedDecision, ReplayedLaunch};
pub(crate) use queries::parse_id;
pub use queries::{Answer, Page, Subject};
pub use rollouts::{RollbackTo, Rollout};
pub use ruled::Ruled;
pub use runs::Outcome;
// What queries are made of and answered with, so that callers need not know the store.
pub use crate::events::Intake;
pub use crate::store::outbox::{Delivery, DeliveryQuery, NoticeId};
pub use crate::store::{DecisionQuery, LaunchQuery, MetricVersion, Recorded};

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

/// Whether the guard is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardHealth {
    /// How long ago it has looked at new numbers of any launch, in milliseconds; none when it never has.
    pub age_ms: Option<i64>,
    /// How many live launches it has not looked at, or has no new numbers of, for so long that they are frozen.
    pub stalled_launches: usize,
}

/// Everything that changes what is configured. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Store,
    events: Arc<dyn EventStore>,
    live: Arc<Live>,
    clock: Clock,
    /// Which policy launches are under.
    environment: Arc<str>,
    /// A judgement older than this is none.
    max_judgement_age_ms: i64,
    /// One change at a time: each is made from the configuration that the one before left.
    writer: Arc<Mutex<()>>,
}

impl Admin {
    /// Functions over a store and what is in force.
    #[must_use]
    pub fn new(
        store: Store,
        events: Arc<dyn EventStore>,
        live: Arc<Live>,
        clock: Clock,
        environment: &str,
        max_judgement_age_ms: i64,
    ) -> Self {
        let environment = Arc::from(environment);
        Self {
            store,
            events,
            live,
            clock,
            environment,
            max_judgement_age_ms,
            writer: Arc::new(Mutex::new(())),
        }
    }

    /// How long ago the guard has looked at numbers of a launch that were measured then; none when it never has.
    fn guard_age_ms(&self, launch: LaunchId, now: Timestamp) -> Option<i64> {
        self.live.watched_until(launch).map(|at| now.ms_since(at))
    }

    /// Whether the guard is at work.
    #[must_use]
    pub fn guard_health(&self) -> GuardHealth {
        let now = self.clock.now();
        let in_force = self.live.in_force();
        let live = in_force.catalogue.launches.values().filter(|launch| launch.is_live());
        let unseen_since = |launch: &Launch| self.live.watched_until(launch.id).unwrap_or(launch.started_at);
        let is_stalled =
            |launch: &&Arc<Launch>| now.ms_since(unseen_since(launch)) > self.max_judgement_age_ms;
        GuardHealth {
            age_ms: self.live.any_watched_until().map(|at| now.ms_since(at)),
            stalled_launches: live.filter(is_stalled).count(),
        }
    }

    /// Puts in force what is stored, where that is something else: another server on the same database has changed it, or
    /// what became of a change of ours was lost with its connection.
    pub async fn catch_up(&self) -> Result<()> {
        if self.store.revision().await? == self.live.in_force().catalogue.revision {
            return Ok(());
        }
        // No change of ours is under way meanwhile.
        let _writer = self.writer.lock().await;
        // It was one of ours, perhaps.
        if self.store.revision().await? == self.live.in_force().catalogue.revision {
            return Ok(());
        }
        let stored = self.store.load().await?;
        let (before, revision) = (self.live.in_force().catalogue.revision, stored.revision);
        if revision != before {
            self.live.replace(stored, self.store.last_cursor().await?);
            tracing::info!(before, revision, "configuration taken over from the store");
        }
        Ok(())
    }

    /// The guard's latest judgement of a launch and of the share in force, as long as it is not too old to be acted on, nor its
    /// numbers, unless it says so of them itself.
    fn judgement(&self, launch: &Launch, now: Timestamp) -> Option<Arc<Judgement>> {
        let judgement = self.live.judgement(launch.id)?;
        let age_ms = if judgement.is_stale() {
            Some(now.ms_since(judgement.at))
        } else {
            self.guard_age_ms(launch.id, now)
        };
        let fresh = age_ms.is_some_and(|age_ms| age_ms <= self.max_judgement_age_ms);
        let of_share = launch.epoch().is_some_and(|epoch| epoch.number == judgement.epoch);
        (fresh && of_share).then_some(judgement)
    }
}
