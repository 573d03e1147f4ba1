//! What is the same for every kind of document.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edit::Edit;
use super::{Admin, Principal};
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::{Launch, Target};
use crate::domain::metric::Metric;
use crate::domain::stored::Stored;
use crate::domain::violation::Checks;
use crate::error::{Error, Result};
use crate::live::InForce;
use crate::store::change::Kept;

impl Admin {
    /// Makes a metric.
    pub async fn create_metric(&self, actor: &Principal, metric: Metric) -> Result<Arc<Stored<Metric>>> {
        metric.check()?;
        self.create(actor, "create_metric", metric, |_, _| Ok(())).await
    }

    /// Changes a metric. Live launches keep the revision they began with.
    pub async fn update_metric(
        &self,
        actor: &Principal,
        metric: Metric,
        revision: i64,
    ) -> Result<Arc<Stored<Metric>>> {
        metric.check()?;
        let edit = self.edit(actor, "update_metric").await;
        edit.current::<Metric>(&metric.key, revision)?;
        replace(edit, metric).await
    }

    /// Takes a metric out of use for launches that begin afterwards.
    pub async fn archive_metric(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
    ) -> Result<Arc<Stored<Metric>>> {
        archive(self.edit(actor, "archive_metric").await, key, revision).await
    }

    /// Makes a holdout.
    pub async fn create_holdout(&self, actor: &Principal, holdout: Holdout) -> Result<Arc<Stored<Holdout>>> {
        holdout.check()?;
        let prepare = |edit: &mut Edit, holdout: &Holdout| {
            check_members(edit, holdout)?;
            regroup_members(edit, None, Some(holdout))
        };
        self.create(actor, "create_holdout", holdout, prepare).await
    }

    /// Changes a holdout.
    pub async fn update_holdout(
        &self,
        actor: &Principal,
        holdout: Holdout,
        revision: i64,
    ) -> Result<Arc<Stored<Holdout>>> {
        holdout.check()?;
        let mut edit = self.edit(actor, "update_holdout").await;
        let stored = edit.current::<Holdout>(&holdout.key, revision)?;
        let mut checks = Checks::default();
        check_fixed(&mut checks, "holdout.unit_type", &stored.document.unit_type, &holdout.unit_type);
        check_fixed(&mut checks, "holdout.salt", &stored.document.salt, &holdout.salt);
        checks.finish()?;
        check_members(&edit, &holdout)?;
        regroup_members(&mut edit, Some(&stored.document), Some(&holdout))?;
        replace(edit, holdout).await
    }

    /// Takes a holdout out of use: it holds nobody out any more.
    pub async fn archive_holdout(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
    ) -> Result<Arc<Stored<Holdout>>> {
        let mut edit = self.edit(actor, "archive_holdout").await;
        let stored = edit.current::<Holdout>(key, revision)?;
        regroup_members(&mut edit, Some(&stored.document), None)?;
        archive(edit, key, revision).await
    }

    /// Makes a document; `prepare` checks it against the others and adds what is to be written with it.
    pub(super) async fn create<T: Kept>(
        &self,
        actor: &Principal,
        action: &'static str,
        document: T,
        prepare: impl FnOnce(&mut Edit, &T) -> Result<()>,
    ) -> Result<Arc<Stored<T>>> {
        let mut edit = self.edit(actor, action).await;
        let key = document.key().to_owned();
        if T::shelf(edit.catalogue()).contains_key(&key) {
            return Err(Error::AlreadyExists { kind: T::KIND, key });
        }
        prepare(&mut edit, &document)?;
        let stored = Stored::new(document, edit.now);
        edit.put(stored);
        let in_force = edit.commit().await?;
        stored_in(&in_force, &key)
    }
}

/// Writes a changed document and commits.
pub(super) async fn replace<T: Kept>(mut edit: Edit, document: T) -> Result<Arc<Stored<T>>> {
    let key = document.key().to_owned();
    let stored = edit.in_use::<T>(&key)?;
    let changed = stored.changed(document, edit.now);
    edit.put(changed);
    let in_force = edit.commit().await?;
    stored_in(&in_force, &key)
}

/// Archives a document and commits.
pub(super) async fn archive<T: Kept>(mut edit: Edit, key: &str, revision: i64) -> Result<Arc<Stored<T>>> {
    let stored = edit.current::<T>(key, revision)?;
    let mut changed = stored.changed(stored.document.clone(), edit.now);
    changed.archived = true;
    edit.put(changed);
    let in_force = edit.commit().await?;
    stored_in(&in_force, key)
}

/// A document as it is in force.
pub(super) fn stored_in<T: Kept>(in_force: &InForce, key: &str) -> Result<Arc<Stored<T>>> {
    let stored = T::shelf(&in_force.catalogue).get(key);
    stored.cloned().ok_or_else(|| Error::NotFound { kind: T::KIND, key: key.to_owned() })
}

/// Notes a violation when a field that never changes was changed.
pub(super) fn check_fixed<T: PartialEq>(checks: &mut Checks, field: &str, stored: &T, given: &T) {
    checks.require(stored == given, field, "can not be changed any more");
}

/// Units that a holdout lets go get the feature: that is a raise, and passes the guard. Launches of all members whose units
/// are others from now on begin a new epoch.
fn regroup_members(edit: &mut Edit, before: Option<&Holdout>, after: Option<&Holdout>) -> Result<()> {
    let share = |holdout: Option<&Holdout>| holdout.map_or(0.0, |holdout| holdout.percentage);
    let (was, is) = (members(before), members(after));
    let (was_share, is_share) = (share(before), share(after));
    was.iter()
        .filter(|target| is_share < was_share || !is.contains(target))
        .try_for_each(|target| edit.allow_wider(target))?;
    #[expect(clippy::float_cmp, reason = "the same number is the same share")]
    let same_share = was_share == is_share;
    let moved = was.union(&is).filter(|target| !(same_share && was.contains(target) && is.contains(target)));
    let moved: Vec<&Target> = moved.collect();
    let concerned = |launch: &&Arc<Launch>| {
        launch.is_live() && moved.iter().any(|target| launch.target.is_same_entity(target))
    };
    let launches: Vec<_> = edit.catalogue().launches.values().filter(concerned).cloned().collect();
    for launch in launches {
        edit.regroup(&launch, "a holdout of it was changed");
    }
    Ok(())
}

/// What a holdout covers.
fn members(holdout: Option<&Holdout>) -> BTreeSet<Target> {
    let gate = |gate: &String| Target::GateRule { gate: gate.clone(), rule: String::new() };
    let experiment = |experiment: &String| Target::Experiment { experiment: experiment.clone() };
    let of = |holdout: &Holdout| -> BTreeSet<Target> {
        holdout.gates.iter().map(gate).chain(holdout.experiments.iter().map(experiment)).collect()
    };
    holdout.map(of).unwrap_or_default()
}

/// A holdout names only what exists.
fn check_members(edit: &Edit, holdout: &Holdout) -> Result<()> {
    let mut checks = Checks::default();
    check_known::<Gate>(&mut checks, edit, "holdout.gates", &holdout.gates);
    check_known::<Experiment>(&mut checks, edit, "holdout.experiments", &holdout.experiments);
    Ok(checks.finish()?)
}

/// Notes a violation for each key of a list that names no document.
pub(super) fn check_known<T: Kept>(checks: &mut Checks, edit: &Edit, field: &str, keys: &[String]) {
    for (index, key) in keys.iter().enumerate() {
        let known = T::shelf(edit.catalogue()).contains_key(key);
        checks.require(known, format!("{field}[{index}]"), format!("there is no {} `{key}`", T::KIND));
    }
}
