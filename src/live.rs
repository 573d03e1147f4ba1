//! What is in force: the configuration with its compiled form, swapped whole, and the guard's latest judgements.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::analysis::decision::Judgement;
use crate::domain::catalogue::Catalogue;
use crate::domain::launch::LaunchId;
use crate::engine::compile::compile;
use crate::engine::snapshot::Snapshot;

/// A configuration and its compiled form. They always belong together.
#[derive(Debug)]
pub struct InForce {
    /// The documents, launches and latches.
    pub catalogue: Catalogue,
    /// The same, compiled.
    pub snapshot: Snapshot,
}

/// What all parts of the service share.
#[derive(Debug)]
pub struct Live {
    in_force: ArcSwap<InForce>,
    judgements: ArcSwap<BTreeMap<LaunchId, Arc<Judgement>>>,
    decisions: watch::Sender<i64>,
}

impl Live {
    /// Puts a configuration in force; `cursor` is that of the latest decision.
    #[must_use]
    pub fn new(catalogue: Catalogue, cursor: i64) -> Self {
        let snapshot = compile(&catalogue);
        Self {
            in_force: ArcSwap::from_pointee(InForce { catalogue, snapshot }),
            judgements: ArcSwap::default(),
            decisions: watch::Sender::new(cursor),
        }
    }

    /// What is in force now. Load it once a request.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Puts another configuration in force for every call that begins afterwards.
    pub fn replace(&self, catalogue: Catalogue, cursor: i64) {
        let snapshot = compile(&catalogue);
        self.in_force.store(Arc::new(InForce { catalogue, snapshot }));
        self.decisions.send_replace(cursor);
    }

    /// The latest judgement of a launch.
    #[must_use]
    pub fn judgement(&self, launch: LaunchId) -> Option<Arc<Judgement>> {
        self.judgements.load().get(&launch).cloned()
    }

    /// Notes the judgements of one look at all live launches.
    pub fn note_judgements(&self, judgements: BTreeMap<LaunchId, Arc<Judgement>>) {
        self.judgements.store(Arc::new(judgements));
    }

    /// Tells the cursor of the latest decision, and when it changes.
    #[must_use]
    pub fn watch_decisions(&self) -> watch::Receiver<i64> {
        self.decisions.subscribe()
    }
}
