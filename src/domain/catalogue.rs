//! Everything that is configured, as one value.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::DynamicConfig;
use super::experiment::Experiment;
use super::gate::Gate;
use super::holdout::Holdout;
use super::latch::{Latch, LatchId};
use super::launch::{Launch, LaunchId, PinnedMetric, Target};
use super::layer::Layer;
use super::metric::Metric;
use super::policy::{PinnedPolicy, Policy};
use super::sdk_key::{SdkKey, SecretHash};
use super::segment::Segment;
use super::stored::Stored;
use super::time::Timestamp;
use super::webhook::Webhook;

/// Stored documents of one kind, by key.
pub type Shelf<T> = BTreeMap<String, Arc<Stored<T>>>;

/// All documents, the launches that matter for serving, and all latches. Cloning shares the documents.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Grows with every change of anything in it.
    pub revision: i64,
    /// When it was last changed. It grows with every revision, even where the clock does not.
    pub changed_at: Timestamp,
    /// Gates.
    pub gates: Shelf<Gate>,
    /// Experiments.
    pub experiments: Shelf<Experiment>,
    /// Holdouts.
    pub holdouts: Shelf<Holdout>,
    /// Segments.
    pub segments: Shelf<Segment>,
    /// Dynamic configs.
    pub configs: Shelf<DynamicConfig>,
    /// Layers.
    pub layers: Shelf<Layer>,
    /// Metrics.
    pub metrics: Shelf<Metric>,
    /// Webhooks.
    pub webhooks: Shelf<Webhook>,
    /// Policies by environment.
    pub policies: Shelf<Policy>,
    /// Keys of SDKs.
    pub sdk_keys: Shelf<SdkKey>,
    /// Live launches, and the latest ended one of each target.
    pub launches: BTreeMap<LaunchId, Arc<Launch>>,
    /// All latches.
    pub latches: BTreeMap<LatchId, Arc<Latch>>,
}

impl Catalogue {
    /// The live launch of a target.
    #[must_use]
    pub fn live_launch(&self, target: &Target) -> Option<&Arc<Launch>> {
        self.launches.values().find(|launch| launch.is_live() && launch.target == *target)
    }

    /// The live launch of a target, else its latest.
    #[must_use]
    pub fn latest_launch(&self, target: &Target) -> Option<&Arc<Launch>> {
        let of_target = self.launches.values().filter(|launch| launch.target == *target);
        of_target.max_by_key(|launch| (launch.is_live(), launch.id))
    }

    /// Puts a launch in, in place of earlier ended ones of its target.
    pub fn put_launch(&mut self, launch: Launch) {
        let (id, target) = (launch.id, &launch.target);
        self.launches.retain(|other_id, other| *other_id == id || other.target != *target || other.is_live());
        self.launches.insert(id, Arc::new(launch));
    }

    /// All latches that bear on a target.
    pub fn latches_of(&self, target: &Target) -> impl Iterator<Item = &Arc<Latch>> {
        self.latches.values().filter(move |latch| latch.target.is_same_entity(target))
    }

    /// The latch that refuses increases of a target at `now`. The latch of one arm refuses increases of that arm alone.
    #[must_use]
    pub fn closed_latch(&self, target: &Target, arm: Option<&str>, now: Timestamp) -> Option<&Arc<Latch>> {
        let concerns = |latch: &Latch| latch.arm.is_none() || latch.arm.as_deref() == arm;
        let mut latches = self.latches.values();
        latches.find(|latch| latch.target.is_same_entity(target) && concerns(latch) && latch.is_closed(now))
    }

    /// The key of a secret, unless it was revoked. Every key is looked at, so that the time tells nothing of them.
    #[must_use]
    pub fn sdk_key(&self, secret: &str) -> Option<&Arc<Stored<SdkKey>>> {
        let hash = SecretHash::of(secret);
        let found = self.sdk_keys.values().fold(None, |found, stored| {
            if stored.document.secret.matches(&hash) { Some(stored) } else { found }
        });
        found.filter(|stored| !stored.archived)
    }

    /// Every metric in use, as a launch of units of a type that begins now under a policy pins it, and the free ones whose
    /// keys nobody has taken. Metrics of other units are left out.
    #[must_use]
    pub fn pin_metrics(&self, policy: &Policy, unit_type: &str) -> Vec<PinnedMetric> {
        let in_use = self.metrics.values().filter(|stored| !stored.archived);
        let in_use = in_use.filter(|stored| stored.document.is_of(unit_type));
        let pin = |stored: &Arc<Stored<Metric>>| {
            let min_units = stored.document.min_units.max(policy.min_units);
            let metric = Metric { min_units, ..stored.document.clone() };
            PinnedMetric { metric, revision: stored.revision, scale: None }
        };
        let free = Metric::free().filter(|metric| !self.metrics.contains_key(&metric.key));
        let free = free.map(|metric| PinnedMetric { metric, revision: 0, scale: None });
        in_use.map(pin).chain(free).collect()
    }

    /// The policy of an environment: its own, also where it is archived, else the one that is built in.
    #[must_use]
    pub fn pin_policy(&self, environment: &str) -> PinnedPolicy {
        let own = self.policies.get(environment);
        let built_in = || PinnedPolicy { policy: Policy::built_in(environment), revision: 0 };
        own.map_or_else(built_in, |stored| PinnedPolicy {
            policy: stored.document.clone(),
            revision: stored.revision,
        })
    }
}
