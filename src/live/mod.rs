//! What is in force: the configuration with its compiled form, swapped whole, and the guard's latest judgements.

pub mod leadership;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::analysis::decision::Judgement;
use crate::analysis::published::Published;
use crate::analysis::recovery::Recovery;
use crate::domain::catalogue::Catalogue;
use crate::domain::launch::LaunchId;
use crate::domain::time::Timestamp;
use crate::engine::compile::compile;
use crate::engine::form::Ruleset;
use crate::engine::lower::lower;
use crate::engine::snapshot::Snapshot;
use leadership::Leadership;

/// A configuration and its compiled form. They always belong together.
#[derive(Debug)]
pub struct InForce {
    /// The documents, launches and latches.
    pub catalogue: Catalogue,
    /// The same in the one rule form.
    pub ruleset: Ruleset,
    /// The same, compiled.
    pub snapshot: Snapshot,
}

impl InForce {
    fn compile(catalogue: Catalogue) -> Self {
        let ruleset = lower(&catalogue);
        let snapshot = compile(&ruleset);
        for (kind, key, cause) in snapshot.faulty() {
            tracing::error!(?kind, key, cause, "the document can not be compiled, and is served to nobody");
        }
        Self { catalogue, ruleset, snapshot }
    }
}

/// What all parts of the service share.
#[derive(Debug)]
pub struct Live {
    in_force: ArcSwap<InForce>,
    judgements: ArcSwap<BTreeMap<LaunchId, Arc<Judgement>>>,
    published: ArcSwap<BTreeMap<LaunchId, Option<Arc<Published>>>>,
    measured: ArcSwap<BTreeMap<LaunchId, Timestamp>>,
    recoveries: ArcSwap<BTreeMap<LaunchId, Vec<Recovery>>>,
    publications: watch::Sender<u64>,
    decisions: watch::Sender<i64>,
    leadership: watch::Sender<Leadership>,
}

impl Live {
    /// Puts a configuration in force; `cursor` is that of the latest decision.
    #[must_use]
    pub fn new(catalogue: Catalogue, cursor: i64) -> Self {
        Self {
            in_force: ArcSwap::from_pointee(InForce::compile(catalogue)),
            judgements: ArcSwap::default(),
            published: ArcSwap::default(),
            measured: ArcSwap::default(),
            recoveries: ArcSwap::default(),
            publications: watch::Sender::new(0),
            decisions: watch::Sender::new(cursor),
            leadership: watch::Sender::default(),
        }
    }

    /// What is in force now. Load it once a request.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Puts another configuration in force for every call that begins afterwards.
    pub fn replace(&self, catalogue: Catalogue, cursor: i64) {
        self.in_force.store(Arc::new(InForce::compile(catalogue)));
        self.decisions.send_replace(cursor);
    }

    /// The latest judgement of a launch.
    #[must_use]
    pub fn judgement(&self, launch: LaunchId) -> Option<Arc<Judgement>> {
        self.judgements.load().get(&launch).cloned()
    }

    /// What was last published of a launch: none where it was not measured yet, nothing inside where there was nothing to
    /// publish.
    #[must_use]
    pub fn published(&self, launch: LaunchId) -> Option<Option<Arc<Published>>> {
        self.published.load().get(&launch).cloned()
    }

    /// Notes what was published of a launch, or that there is nothing yet.
    pub fn note_published(&self, launch: LaunchId, published: Option<&Arc<Published>>) {
        self.published.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.insert(launch, published.cloned());
            all
        });
    }

    /// Notes that what is published of a launch was all that there was to measure at a moment.
    pub fn note_measured(&self, launch: LaunchId, at: Timestamp) {
        self.measured.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.insert(launch, at);
            all
        });
    }

    /// Tells those who wait for numbers that there are new ones.
    pub fn announce_published(&self) {
        self.publications.send_modify(|count| *count += 1);
    }

    /// Changes when new numbers are published.
    #[must_use]
    pub fn watch_published(&self) -> watch::Receiver<u64> {
        self.publications.subscribe()
    }

    /// What became of a launch's harmed guardrails since its rollback; nothing where that is not told any more, or not yet.
    #[must_use]
    pub fn recoveries(&self, launch: LaunchId) -> Vec<Recovery> {
        self.recoveries.load().get(&launch).cloned().unwrap_or_default()
    }

    /// Notes what became of all launches that were rolled back.
    pub fn note_recoveries(&self, recoveries: BTreeMap<LaunchId, Vec<Recovery>>) {
        self.recoveries.store(Arc::new(recoveries));
    }

    /// Up to when the guard has watched a launch: the earlier of when it was last judged and when it was last measured. Old
    /// numbers that are judged again are no look.
    #[must_use]
    pub fn watched_until(&self, launch: LaunchId) -> Option<Timestamp> {
        let judged = self.judgements.load().get(&launch).map(|judgement| judgement.at)?;
        self.measured_at(launch).map(|measured| judged.min(measured))
    }

    /// When a launch was last measured, whether or not that gave anything to publish.
    #[must_use]
    pub fn measured_at(&self, launch: LaunchId) -> Option<Timestamp> {
        self.measured.load().get(&launch).copied()
    }

    /// The same of the launch that was watched last.
    #[must_use]
    pub fn any_watched_until(&self) -> Option<Timestamp> {
        self.judgements.load().keys().filter_map(|launch| self.watched_until(*launch)).max()
    }

    /// Notes a judgement.
    pub fn note_judgement(&self, launch: LaunchId, judgement: &Arc<Judgement>) {
        self.judgements.rcu(|judgements| {
            let mut judgements = BTreeMap::clone(judgements);
            judgements.insert(launch, Arc::clone(judgement));
            judgements
        });
    }

    /// Forgets judgements and numbers of launches that are not live any more.
    pub fn forget_ended(&self, catalogue: &Catalogue) {
        let is_live = |id: &LaunchId| catalogue.launches.get(id).is_some_and(|launch| launch.is_live());
        self.judgements.rcu(|judgements| {
            let mut judgements = BTreeMap::clone(judgements);
            judgements.retain(|id, _| is_live(id));
            judgements
        });
        self.published.rcu(|published| {
            let mut published = BTreeMap::clone(published);
            published.retain(|id, _| is_live(id));
            published
        });
        self.measured.rcu(|measured| {
            let mut measured = BTreeMap::clone(measured);
            measured.retain(|id, _| is_live(id));
            measured
        });
    }

    /// Tells the cursor of the latest decision, and when it changes.
    #[must_use]
    pub fn watch_decisions(&self) -> watch::Receiver<i64> {
        self.decisions.subscribe()
    }

    /// Who acts for the guard, as this server last knew it.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// Notes who acts for the guard.
    pub fn note_leadership(&self, leadership: Leadership) {
        let changes = leadership.leads() != self.leadership().leads();
        self.leadership.send_if_modified(|known| {
            *known = leadership;
            changes
        });
    }

    /// Changes when this server begins to act for the guard, or no longer does.
    #[must_use]
    pub fn watch_leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }
}
