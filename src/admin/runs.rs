//! Experiments from their start to their decision.

use std::sync::Arc;

use super::documents::stored_in;
use super::edit::{Edit, refuse_unless_allowed};
use super::experiments::{shipment, switch_overrides, target};
use super::layers::check_member;
use super::rollouts::end_launch;
use super::{Admin, Principal, buckets};
use crate::analysis::answer::answer_ship;
use crate::analysis::decision::DecisionAction;
use crate::clock::new_id;
use crate::domain::experiment::{self, Experiment, Status};
use crate::domain::launch::{
    CONTROL, GuardrailChoice, Launch, LaunchId, LaunchPlan, LaunchState, Needs, Step, TREATMENT,
};
use crate::domain::stored::Stored;
use crate::error::{Error, Result};

/// What becomes of a running experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everyone gets this group.
    Ship(String),
    /// Nobody gets any group; the reason, where one was given.
    Abandon(Option<String>),
}

impl Admin {
    /// Starts a draft.
    pub async fn start_experiment(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
        choice: GuardrailChoice,
    ) -> Result<(Arc<Stored<Experiment>>, Option<Launch>)> {
        let mut edit = self.edit(actor, "start_experiment").await;
        edit.start_experiment(key, revision, choice)?;
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
        edit.decide_experiment(key, revision, outcome)?;
        let in_force = edit.commit().await?;
        stored_in(&in_force, key)
    }
}

impl Edit {
    /// Starts a draft.
    pub(super) fn start_experiment(
        &mut self,
        key: &str,
        revision: i64,
        choice: GuardrailChoice,
    ) -> Result<()> {
        let stored = self.in_use::<Experiment>(key)?;
        if stored.document.status != Status::Draft {
            let message = format!("experiment `{key}` was started already; only a draft can be started");
            return Err(Error::WrongState(message));
        }
        self.current::<Experiment>(key, revision)?;
        let mut experiment = stored.document.clone();
        if experiment::buckets(experiment.allocation) == 0 {
            return Err(Error::field("experiment.allocation", "must be above 0 before the start"));
        }
        buckets::take(self, &mut experiment)?;
        check_member(self, &experiment)?;
        self.refers(&experiment);
        switch_overrides(self, &experiment, true)?;
        experiment.status = Status::Running;
        let plan = launch_plan(self, &experiment);
        self.begin_launch(plan, choice, "the experiment was started")?;
        self.put(stored.changed(experiment, self.now()));
        Ok(())
    }

    /// Ends a running experiment.
    pub(super) fn decide_experiment(&mut self, key: &str, revision: i64, outcome: Outcome) -> Result<()> {
        let stored = self.in_use::<Experiment>(key)?;
        if stored.document.status != Status::Running {
            let message = format!("experiment `{key}` is not running; only a running one can be decided");
            return Err(Error::WrongState(message));
        }
        self.current::<Experiment>(key, revision)?;
        let mut experiment = stored.document.clone();
        let launch = self.catalogue().live_launch(&target(key)).cloned();
        switch_overrides(self, &experiment, false)?;
        match outcome {
            Outcome::Ship(group) => {
                allow_ship(self, &experiment, launch.as_deref(), &group)?;
                let percentage = self.ship(&experiment, &group, vec![Step::at_once(100.0)])?;
                if let Some(launch) = launch {
                    let what = format!("group {group} was shipped");
                    self.change_launch(&launch, DecisionAction::Complete, &what, |ended, now| {
                        ended.end(LaunchState::Completed, now);
                    });
                }
                experiment.status = Status::Decided { group, percentage };
            }
            Outcome::Abandon(reason) => {
                let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                if let Some(launch) = launch {
                    end_launch(self, &launch, &format!("the experiment was abandoned{why}"));
                }
                experiment.status = Status::Abandoned;
            }
        }
        self.put(stored.changed(experiment, self.now()));
        Ok(())
    }
}

impl Edit {
    /// Begins the launch of a group that everyone is to get by these steps, and gives the share that gets it from now on. At
    /// the end the policy may hold some back. The control is no launch.
    pub(super) fn ship(&mut self, experiment: &Experiment, group: &str, steps: Vec<Step>) -> Result<f64> {
        if group == experiment.control_group {
            return Ok(100.0);
        }
        let steps = self.policy().policy.held_back(0.0, steps);
        let first = steps.first().map_or(100.0, |step| step.percentage);
        let plan = LaunchPlan {
            id: LaunchId(new_id(self.now())),
            target: shipment(&experiment.key),
            unit_type: experiment.unit_type.clone(),
            steps,
            arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
            metrics: Vec::new(),
            rollback_percentage: 0.0,
            principal: self.actor().to_owned(),
        };
        self.begin_launch(plan, GuardrailChoice::default(), "a group was shipped")?;
        Ok(first)
    }
}

fn launch_plan(edit: &Edit, experiment: &Experiment) -> LaunchPlan {
    let control = experiment.control_group.clone();
    let others = experiment.groups.iter().map(|group| group.name.clone()).filter(|name| *name != control);
    LaunchPlan {
        id: LaunchId(new_id(edit.now())),
        target: target(&experiment.key),
        unit_type: experiment.unit_type.clone(),
        steps: vec![Step { needs: Needs::Evidence, ..Step::at_once(experiment.allocation) }],
        arms: std::iter::once(control.clone()).chain(others).collect(),
        metrics: Vec::new(),
        rollback_percentage: 0.0,
        principal: edit.actor().to_owned(),
    }
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
    let (kind, reasons) = answer_ship(launch, judgement.as_ref(), None, edit.now());
    refuse_unless_allowed(kind, reasons)
}
