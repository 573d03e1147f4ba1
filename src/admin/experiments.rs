//! Experiments: written, started, decided.

use std::sync::Arc;

use super::documents::{archive, check_fixed, check_known, replace, stored_in};
use super::edit::{Edit, refuse_unless_allowed};
use super::{Admin, Principal};
use crate::analysis::decision::DecisionAction;
use crate::analysis::plan::answer_raise;
use crate::clock::new_id;
use crate::domain::experiment::{Experiment, Status, buckets};
use crate::domain::launch::{Launch, LaunchId, LaunchPlan, LaunchState, Needs, Step, Target};
use crate::domain::metric::Metric;
use crate::domain::stored::Stored;
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// What becomes of a running experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everyone gets this group.
    Ship(String),
    /// Nobody gets any group.
    Abandon,
}

impl Admin {
    /// Makes an experiment, as a draft.
    pub async fn create_experiment(
        &self,
        actor: &Principal,
        mut experiment: Experiment,
    ) -> Result<Arc<Stored<Experiment>>> {
        experiment.check()?;
        experiment.status = Status::Draft;
        experiment.stopped_groups.clear();
        let check = |edit: &mut Edit, experiment: &Experiment| check_metrics(edit, experiment);
        self.create(actor, "create_experiment", experiment, check).await
    }

    /// Changes an experiment. Once started, what defines its groups is fixed, and its allocation may only grow.
    pub async fn update_experiment(
        &self,
        actor: &Principal,
        mut experiment: Experiment,
        revision: i64,
    ) -> Result<Arc<Stored<Experiment>>> {
        experiment.check()?;
        let mut edit = self.edit(actor, "update_experiment").await;
        let stored = edit.current::<Experiment>(&experiment.key, revision)?;
        let before = &stored.document;
        check_metrics(&edit, &experiment)?;
        experiment.status = before.status.clone();
        experiment.stopped_groups.clone_from(&before.stopped_groups);
        if before.status != Status::Draft {
            check_started(before, &experiment)?;
        }
        if before.status == Status::Running && experiment.allocation > before.allocation {
            grow_allocation(&mut edit, &experiment)?;
        }
        replace(edit, experiment).await
    }

    /// Takes an experiment that is not running out of use.
    pub async fn archive_experiment(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
    ) -> Result<Arc<Stored<Experiment>>> {
        let edit = self.edit(actor, "archive_experiment").await;
        if edit.current::<Experiment>(key, revision)?.document.status == Status::Running {
            return Err(Error::WrongState(format!("experiment `{key}` is running; decide it first")));
        }
        archive(edit, key, revision).await
    }

    /// Starts a draft.
    pub async fn start_experiment(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
    ) -> Result<(Arc<Stored<Experiment>>, Option<Launch>)> {
        let mut edit = self.edit(actor, "start_experiment").await;
        let stored = edit.in_use::<Experiment>(key)?;
        if stored.document.status != Status::Draft {
            let message = format!("experiment `{key}` was started already; only a draft can be started");
            return Err(Error::WrongState(message));
        }
        edit.current::<Experiment>(key, revision)?;
        let mut experiment = stored.document.clone();
        if buckets(experiment.allocation) == 0 {
            return Err(Error::field("experiment.allocation", "must be above 0 before the start"));
        }
        experiment.status = Status::Running;
        let plan = launch_plan(&edit, &experiment);
        edit.begin_launch(plan, "the experiment was started");
        let changed = stored.changed(experiment, edit.now);
        edit.put(changed);
        let in_force = edit.commit().await?;
        let launch = in_force.catalogue.latest_launch(&target(key)).map(|launch| (**launch).clone());
        Ok((stored_in(&in_force, key)?, launch))
    }

    /// Ends a running experiment. A group other than the control is shipped only when every guardrail is shown safe in it.
    pub async fn decide_experiment(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
        outcome: Outcome,
    ) -> Result<Arc<Stored<Experiment>>> {
        let mut edit = self.edit(actor, "decide_experiment").await;
        let stored = edit.in_use::<Experiment>(key)?;
        if stored.document.status != Status::Running {
            let message = format!("experiment `{key}` is not running; only a running one can be decided");
            return Err(Error::WrongState(message));
        }
        edit.current::<Experiment>(key, revision)?;
        let mut experiment = stored.document.clone();
        let launch = edit.catalogue().live_launch(&target(key)).cloned();
        let (state, action, what) = match outcome {
            Outcome::Ship(group) => {
                allow_ship(&edit, &experiment, launch.as_deref(), &group)?;
                let what = format!("group {group} was shipped");
                experiment.status = Status::Decided { group };
                (LaunchState::Completed, DecisionAction::Complete, what)
            }
            Outcome::Abandon => {
                experiment.status = Status::Abandoned;
                let what = "the experiment was abandoned".to_owned();
                (LaunchState::Cancelled, DecisionAction::Cancel, what)
            }
        };
        if let Some(launch) = launch {
            edit.change_launch(&launch, action, &what, |ended, now| ended.end(state, now));
        }
        replace(edit, experiment).await
    }
}

/// The target of an experiment.
fn target(key: &str) -> Target {
    Target::Experiment { experiment: key.to_owned() }
}

fn launch_plan(edit: &Edit, experiment: &Experiment) -> LaunchPlan {
    let control = experiment.control_group.clone();
    let others = experiment.groups.iter().map(|group| group.name.clone()).filter(|name| *name != control);
    LaunchPlan {
        id: LaunchId(new_id(edit.now)),
        target: target(&experiment.key),
        unit_type: experiment.unit_type.clone(),
        steps: vec![Step { needs: Needs::Evidence, ..Step::at_once(experiment.allocation) }],
        arms: std::iter::once(control.clone()).chain(others).collect(),
        metrics: edit.catalogue().pin_metrics(),
        rollback_percentage: 0.0,
        principal: edit.actor().to_owned(),
    }
}

fn grow_allocation(edit: &mut Edit, experiment: &Experiment) -> Result<()> {
    edit.allow_wider(&target(&experiment.key))?;
    let Some(launch) = edit.catalogue().live_launch(&target(&experiment.key)).cloned() else {
        return Ok(());
    };
    edit.change_launch(&launch, DecisionAction::Edit, "the allocation was raised", |changed, now| {
        changed.begin_epoch(experiment.allocation, now);
    });
    Ok(())
}

fn allow_ship(edit: &Edit, experiment: &Experiment, launch: Option<&Launch>, group: &str) -> Result<()> {
    if experiment.group(group).is_none() {
        let names: Vec<&str> = experiment.groups.iter().map(|group| group.name.as_str()).collect();
        return Err(Error::field("ship_group", format!("must be one of the groups: {}", names.join(", "))));
    }
    if group == experiment.control_group {
        return Ok(());
    }
    edit.refuse_latched(&target(&experiment.key), Some(group))?;
    if experiment.stopped_groups.contains(group) {
        return Err(Error::WrongState(format!(
            "group `{group}` was stopped by the guard; it can be tried again in a new experiment"
        )));
    }
    let Some(launch) = launch else {
        return Err(Error::WrongState(format!("experiment `{}` has no launch to judge", experiment.key)));
    };
    let judgement = edit.judgement(launch).map(|mut judgement| {
        judgement.verdicts.retain(|verdict| verdict.arm == group);
        judgement
    });
    let (kind, reasons) = answer_raise(launch, judgement.as_ref(), None, Needs::Evidence);
    refuse_unless_allowed(kind, reasons)
}

/// What may not change once an experiment was started.
fn check_started(stored: &Experiment, given: &Experiment) -> Result<()> {
    let mut checks = Checks::default();
    check_fixed(&mut checks, "experiment.groups", &stored.groups, &given.groups);
    check_fixed(&mut checks, "experiment.control_group", &stored.control_group, &given.control_group);
    check_fixed(&mut checks, "experiment.unit_type", &stored.unit_type, &given.unit_type);
    check_fixed(&mut checks, "experiment.salt", &stored.salt, &given.salt);
    check_fixed(&mut checks, "experiment.targeting", &stored.targeting, &given.targeting);
    checks.require(
        given.allocation >= stored.allocation,
        "experiment.allocation",
        format!("may only grow after the start; it is {}", stored.allocation),
    );
    Ok(checks.finish()?)
}

/// Primary metrics must exist.
fn check_metrics(edit: &Edit, experiment: &Experiment) -> Result<()> {
    let mut checks = Checks::default();
    let keys = &experiment.primary_metrics;
    check_known::<Metric>(&mut checks, edit, "experiment.primary_metrics", keys);
    Ok(checks.finish()?)
}
