//! What people do with a launch under way: pause it, resume it, cancel it, approve its step.

use std::sync::Arc;

use super::edit::{Edit, refuse_unless_allowed};
use super::guarding::take_back;
use super::rollouts::end_launch_at;
use super::runs::Outcome;
use super::{Admin, Principal};
use crate::analysis::answer::answer_raise;
use crate::analysis::decision::DecisionAction;
use crate::domain::experiment::Experiment;
use crate::domain::launch::{Launch, LaunchId, LaunchState, Needs, Target};
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// Most bytes in a reason.
const MAX_REASON_BYTES: usize = 1_024;

impl Admin {
    /// Keeps further steps from being taken. The guard goes on looking, and protects as before.
    pub async fn pause_launch(&self, actor: &Principal, id: LaunchId, reason: &str) -> Result<Launch> {
        let mut edit = self.edit(actor, "pause_launch").await;
        let launch = edit.live_launch(id, reason)?;
        if launch.state != LaunchState::Ramping {
            let message = format!("launch {id} has no steps to come that could be stopped");
            return Err(Error::WrongState(message));
        }
        let what = format!("the launch was paused ({reason})");
        edit.change_launch(&launch, DecisionAction::Pause, &what, |launch, _| launch.pause());
        edit.commit_launch(id).await
    }

    /// Lets further steps be taken again. It is a raise, and passes the guard.
    pub async fn resume_launch(&self, actor: &Principal, id: LaunchId, reason: &str) -> Result<Launch> {
        let mut edit = self.edit(actor, "resume_launch").await;
        let launch = edit.live_launch(id, reason)?;
        if launch.state != LaunchState::Paused {
            return Err(Error::WrongState(format!("launch {id} is not paused")));
        }
        edit.refuse_latched(&launch.target, None)?;
        // The next step asks for what it needs by itself; what stands against any raise stands against going on.
        let judgement = edit.judgement(&launch);
        let (kind, reasons) = answer_raise(&launch, judgement.as_ref(), None, Needs::Time, edit.now());
        refuse_unless_allowed(kind, reasons)?;
        let what = format!("the launch was resumed ({reason})");
        edit.change_launch(&launch, DecisionAction::Resume, &what, |launch, _| launch.resume());
        edit.commit_launch(id).await
    }

    /// Ends a launch and takes its treatment back, as a rollback does.
    pub async fn cancel_launch(&self, actor: &Principal, id: LaunchId, reason: &str) -> Result<Launch> {
        let mut edit = self.edit(actor, "cancel_launch").await;
        let launch = edit.live_launch(id, reason)?;
        if let Target::Experiment { experiment } = &launch.target {
            let revision = edit.in_use::<Experiment>(experiment)?.revision;
            edit.decide_experiment(experiment, revision, Outcome::Abandon(Some(reason.to_owned())))?;
        } else {
            let percentage = take_back(&mut edit, &launch, launch.percentage())?;
            end_launch_at(&mut edit, &launch, percentage, &format!("the launch was cancelled ({reason})"));
        }
        edit.commit_launch(id).await
    }

    /// Approves the step in force, which must be the one that the caller names.
    pub async fn approve_step(
        &self,
        actor: &Principal,
        id: LaunchId,
        step: usize,
        reason: &str,
    ) -> Result<Launch> {
        let mut edit = self.edit(actor, "approve_step").await;
        let launch = edit.live_launch(id, reason)?;
        if launch.current_step != step {
            let message = format!("step {step} of launch {id} is not in force; {} is", launch.current_step);
            return Err(Error::WrongState(message));
        }
        if !launch.awaits_approval() {
            return Err(Error::WrongState(format!("step {step} of launch {id} waits for no approval")));
        }
        let what = format!("step {step} was approved ({reason})");
        edit.change_launch(&launch, DecisionAction::Approve, &what, |launch, now| {
            launch.approve(actor.0.clone(), reason.to_owned(), now);
        });
        edit.commit_launch(id).await
    }
}

impl Edit {
    /// A live launch that a person wants to change for a reason.
    pub(super) fn live_launch(&self, id: LaunchId, reason: &str) -> Result<Arc<Launch>> {
        let mut checks = Checks::default();
        check_reason(&mut checks, reason);
        checks.finish()?;
        match self.catalogue().launches.get(&id) {
            Some(launch) if launch.is_live() => Ok(Arc::clone(launch)),
            Some(_) => Err(Error::WrongState(format!("launch {id} has ended"))),
            None => Err(Error::NotFound { kind: "live launch", key: id.to_string() }),
        }
    }

    /// Writes everything, and gives the launch as it is then.
    pub(super) async fn commit_launch(self, id: LaunchId) -> Result<Launch> {
        let in_force = self.commit().await?;
        let launch = in_force.catalogue.launches.get(&id).map(|launch| (**launch).clone());
        launch.ok_or_else(|| Error::NotFound { kind: "launch", key: id.to_string() })
    }
}

/// Notes a violation unless a reason is given.
pub(super) fn check_reason(checks: &mut Checks, reason: &str) {
    let length = reason.trim().len();
    let fits = (1..=MAX_REASON_BYTES).contains(&length);
    checks.require(fits, "reason", format!("must be 1 to {MAX_REASON_BYTES} bytes"));
}
