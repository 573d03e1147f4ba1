//! Experiments as documents: made, changed, archived.

use std::collections::BTreeSet;

use super::buckets;
use super::documents::{Administered, check_fixed, check_known};
use super::edit::Edit;
use super::layers::{check_member, experiments};
use super::references::numbered;
use crate::analysis::decision::DecisionAction;
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::Condition;
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::{Experiment, Override, Status};
use crate::domain::launch::Target;
use crate::domain::metric::Metric;
use crate::domain::stored::Document;
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// It begins as a draft. Once started, what defines its groups is fixed, and its allocation may only grow.
impl Administered for Experiment {
    fn conditions(&self) -> Vec<(String, &Condition)> {
        let is_targeted = matches!(self.status, Status::Draft | Status::Running);
        let targeting = if is_targeted { self.targeting.as_slice() } else { &[] };
        let mut conditions = numbered("experiment.targeting", targeting);
        for (index, each) in self.overrides.iter().enumerate() {
            let field = format!("experiment.overrides[{index}].conditions");
            conditions.extend(numbered(&field, &each.conditions));
        }
        conditions
    }

    fn in_full_use(&self) -> Self {
        Self { status: Status::Running, ..self.clone() }
    }

    fn namesake(catalogue: &Catalogue, key: &str) -> Option<&'static str> {
        catalogue.configs.contains_key(key).then_some(DynamicConfig::KIND)
    }

    fn settle(&mut self, edit: &Edit, before: Option<&Self>) -> Result<()> {
        self.status = before.map(|before| before.status.clone()).unwrap_or_default();
        self.stopped_groups = before.map(|before| before.stopped_groups.clone()).unwrap_or_default();
        match before.filter(|before| before.status != Status::Draft) {
            Some(before) => buckets::grow(edit, before, self),
            None => Ok(()),
        }
    }

    fn made(&self, edit: &mut Edit) -> Result<()> {
        check_metrics(edit, self)?;
        check_member(edit, self)?;
        if !self.overrides.is_empty() {
            edit.regroup_all(&layer_mates(edit, self), OVERRIDDEN);
        }
        Ok(())
    }

    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        check_metrics(edit, self)?;
        check_member(edit, self)?;
        if before.status != Status::Draft {
            check_started(before, self)?;
        }
        let grows = before.status == Status::Running && self.allocation > before.allocation;
        let overrides = before.overrides != self.overrides;
        if before.layer != self.layer || overrides {
            let mates = layer_mates(edit, before).union(&layer_mates(edit, self)).cloned().collect();
            edit.allow_all_wider(&mates)?;
            edit.regroup_all(&mates, OVERRIDDEN);
        }
        if grows || (overrides && before.status != Status::Draft) {
            edit.allow_wider(&target(&self.key))?;
            edit.allow_wider(&shipment(&self.key))?;
            allow_overrides(edit, before, self)?;
            self.begin_epoch(edit, grows, overrides);
        }
        Ok(())
    }

    fn archived(&self, edit: &mut Edit) -> Result<()> {
        if self.status == Status::Running {
            return Err(Error::WrongState(format!("experiment `{}` is running; decide it first", self.key)));
        }
        if !self.overrides.is_empty() {
            let mates = layer_mates(edit, self);
            edit.allow_all_wider(&mates)?;
            edit.regroup_all(&mates, OVERRIDDEN);
        }
        Ok(())
    }
}

impl Experiment {
    /// Other units take part from now on.
    fn begin_epoch(&self, edit: &mut Edit, grows: bool, overrides: bool) {
        let Some(launch) = edit.catalogue().live_launch(&target(&self.key)).cloned() else {
            return;
        };
        let what = if grows { "the allocation was raised" } else { "the overrides were changed" };
        edit.change_launch(&launch, DecisionAction::Edit, what, |changed, now| {
            changed.begin_epoch(self.allocation, now);
            if let Some(epoch) = changed.epochs.last_mut().filter(|_| overrides) {
                // Who was compared may be put in a group now.
                epoch.regrouped = true;
            }
        });
    }
}

/// Overrides that count only while an experiment runs begin to count, or end. In a layer they take units out of the others.
pub(super) fn switch_overrides(edit: &mut Edit, experiment: &Experiment, begins: bool) -> Result<()> {
    if experiment.overrides.iter().all(Override::lists_ids) {
        return Ok(());
    }
    let mates = layer_mates(edit, experiment);
    if begins {
        edit.allow_all_wider(&mates)?;
    }
    edit.regroup_all(&mates, OVERRIDDEN);
    Ok(())
}

/// Why launches of a layer's other experiments begin a new epoch.
const OVERRIDDEN: &str = "overrides of another experiment of the layer were changed";

/// The target of an experiment.
pub(super) fn target(key: &str) -> Target {
    Target::Experiment { experiment: key.to_owned() }
}

/// The target of its shipped group.
pub(super) fn shipment(key: &str) -> Target {
    Target::Shipment { experiment: key.to_owned() }
}

/// The other experiments of the layer. An override of one takes units out of all others.
fn layer_mates(edit: &Edit, experiment: &Experiment) -> BTreeSet<Target> {
    let mates = experiment.layer.iter().flat_map(|layer| experiments(edit.catalogue(), layer));
    mates.filter(|mate| mate.key != experiment.key).map(|mate| target(&mate.key)).collect()
}

/// Nobody is put in a group that the guard has stopped, unless its latch is open.
fn allow_overrides(edit: &Edit, before: &Experiment, after: &Experiment) -> Result<()> {
    let mut new = after.overrides.iter().filter(|each| !before.overrides.contains(each));
    new.try_for_each(|each| edit.refuse_latched(&target(&after.key), Some(&each.group)))
}

/// What may not change once an experiment was started.
fn check_started(stored: &Experiment, given: &Experiment) -> Result<()> {
    let mut checks = Checks::default();
    check_fixed(&mut checks, "experiment.groups", &stored.groups, &given.groups);
    check_fixed(&mut checks, "experiment.control_group", &stored.control_group, &given.control_group);
    check_fixed(&mut checks, "experiment.unit_type", &stored.unit_type, &given.unit_type);
    check_fixed(&mut checks, "experiment.salt", &stored.salt, &given.salt);
    check_fixed(&mut checks, "experiment.targeting", &stored.targeting, &given.targeting);
    check_fixed(&mut checks, "experiment.layer", &stored.layer, &given.layer);
    let (was, is) = (&stored.default_parameters, &given.default_parameters);
    check_fixed(&mut checks, "experiment.default_parameters", was, is);
    check_fixed(&mut checks, "experiment.allocation_salt", &stored.allocation_salt, &given.allocation_salt);
    check_fixed(&mut checks, "experiment.targeting_first", &stored.targeting_first, &given.targeting_first);
    let (was, is) = (stored.draws_missing_units, given.draws_missing_units);
    check_fixed(&mut checks, "experiment.draws_missing_units", &was, &is);
    let are_named = stored.buckets.is_some() || given.buckets.is_some();
    checks.require(
        !are_named || given.allocated().is_superset(&stored.allocated()),
        "experiment.buckets",
        format!("may only grow after the start; they are {}", stored.allocated()),
    );
    if stored.status != Status::Running {
        check_fixed(&mut checks, "experiment.allocation", &stored.allocation, &given.allocation);
    }
    checks.require(
        given.allocation >= stored.allocation,
        "experiment.allocation",
        format!("may only grow after the start; it is {}", stored.allocation),
    );
    Ok(checks.finish()?)
}

/// Metrics must exist.
fn check_metrics(edit: &Edit, experiment: &Experiment) -> Result<()> {
    let mut checks = Checks::default();
    let (primary, secondary) = (&experiment.primary_metrics, &experiment.secondary_metrics);
    check_known::<Metric>(&mut checks, edit, "experiment.primary_metrics", primary);
    check_known::<Metric>(&mut checks, edit, "experiment.secondary_metrics", secondary);
    Ok(checks.finish()?)
}
