//! What the guard does, by the same functions and records as everyone else. It can only lower exposure, or take a step
//! that a person planned.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edit::{Edit, Said};
use super::experiments::shipment;
use super::latches::in_force;
use super::reach::dependents;
use super::rollouts::with_percentage;
use super::ruled::Ruled;
use super::{Admin, Principal};
use crate::analysis::decision::{DecisionAction, GUARD, Judgement, Reason, ReasonCode};
use crate::analysis::news::says_same;
use crate::analysis::plan::{Action, Plan};
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::{Experiment, Status};
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::latch::Latch;
use crate::domain::launch::{Launch, LaunchState, Target};
use crate::error::Result;
use crate::store::lease::Fence;

impl Admin {
    /// Carries out what was planned for a launch, and records what changed. Says whether anything was written.
    ///
    /// `judged` is the launch as it was judged. When a person has changed it since, only protection goes through: the
    /// later intent that lowers wins, and everything else is judged anew. All of it is refused where another server has
    /// taken the lease since `fence`.
    pub async fn carry_out(
        &self,
        fence: Fence,
        judged: &Launch,
        judgement: &Judgement,
        latch: Option<&Latch>,
        plan: &Plan,
    ) -> Result<bool> {
        let found = (judgement, latch);
        // Read before the lock is taken, so that nobody else's change waits for it.
        let read_at = self.live.in_force().catalogue.revision;
        let mut repeats = plan.action == Action::None && self.repeats(judged, plan).await?;
        let is_known = |current: &Arc<Launch>| noted(current, judgement) == **current;
        if repeats && self.live.in_force().catalogue.launches.get(&judged.id).is_none_or(is_known) {
            return Ok(false);
        }
        let mut edit = self.edit(&Principal(GUARD.to_owned()), "guard").await.under(fence);
        let protects = matches!(plan.action, Action::RollBack | Action::StopArms(_));
        let current = edit.catalogue().launches.get(&judged.id).filter(|launch| launch.is_live()).cloned();
        let Some(current) = current else {
            return if protects { self.protect_ended(edit, judged, found, plan).await } else { Ok(false) };
        };
        if current.revision != judged.revision && !protects {
            return Ok(false);
        }
        let mut launch = noted(&current, judgement);
        match &plan.action {
            Action::None => {
                if edit.catalogue().revision != read_at {
                    // Something may have been decided since.
                    repeats = self.repeats(judged, plan).await?;
                }
                if launch == *current && repeats {
                    return Ok(false);
                }
                if !repeats {
                    decide(&mut edit, judged, launch.percentage(), DecisionAction::None, None, found, plan);
                }
            }
            Action::Advance => {
                // A latch may have closed since the look began, and what depends on the gate would be raised with it.
                let dependents = dependents_of(&edit, &launch.target);
                let is_fresh = self.judgement(&launch, edit.now()).is_some();
                let is_open = is_fresh && edit.refuse_latched(&launch.target, None).is_ok();
                if !is_open || edit.allow_all_wider(&dependents).is_err() {
                    return Ok(false);
                }
                launch.advance(edit.now());
                set_percentage(&mut edit, &launch.target, launch.percentage())?;
                decide(&mut edit, judged, launch.percentage(), DecisionAction::Advance, None, found, plan);
            }
            Action::Complete => {
                let percentage = launch.percentage();
                launch.end(LaunchState::Completed, edit.now());
                decide(&mut edit, judged, percentage, DecisionAction::Complete, None, found, plan);
            }
            Action::StopArms(arms) => {
                for arm in arms {
                    launch.stop_arm(arm, edit.now());
                    close_latch(&mut edit, &launch, Some(arm), plan);
                    let (percentage, arm) = (launch.percentage(), Some(arm.clone()));
                    decide(&mut edit, judged, percentage, DecisionAction::StopArm, arm, found, plan);
                }
                stop_groups(&mut edit, &launch.target, arms)?;
            }
            Action::RollBack => {
                let percentage = roll_back(&mut edit, &mut launch, plan)?;
                decide(&mut edit, judged, percentage, DecisionAction::RollBack, None, found, plan);
            }
        }
        edit.put_launch(launch);
        edit.commit().await?;
        Ok(true)
    }

    /// Harm was shown in a launch that a person has ended or replaced since the look. A latch closes all the same, and the
    /// launch that took its place, which began without this evidence, is taken back.
    async fn protect_ended(
        &self,
        mut edit: Edit,
        judged: &Launch,
        found: (&Judgement, Option<&Latch>),
        plan: &Plan,
    ) -> Result<bool> {
        let ended = self.store.launch(judged.id).await?;
        if !ended.is_some_and(|launch| is_ended_by_hand(&launch)) {
            return Ok(false);
        }
        let (arms, action) = match &plan.action {
            Action::StopArms(arms) => (arms.iter().map(Some).collect(), DecisionAction::StopArm),
            _ => (vec![None], DecisionAction::RollBack),
        };
        let is_latched = |arm: Option<&String>| {
            let mut latches = edit.catalogue().latches.values().filter(|latch| latch.launch == judged.id);
            latches.any(|latch| latch.arm.is_none() || latch.arm.as_ref() == arm)
        };
        let new: Vec<Option<String>> =
            arms.into_iter().filter(|arm| !is_latched(*arm)).map(Option::<&String>::cloned).collect();
        if new.is_empty() {
            // Whoever ended it knew, and has left the latch.
            return Ok(false);
        }
        let left = take_back_successor(&mut edit, judged, plan)?;
        for arm in new {
            close_latch(&mut edit, judged, arm.as_deref(), plan);
            decide(&mut edit, judged, left, action, arm, found, plan);
        }
        edit.commit().await?;
        Ok(true)
    }

    /// Whether a plan says again what was decided last.
    async fn repeats(&self, judged: &Launch, plan: &Plan) -> Result<bool> {
        let last = self.store.latest_decision(judged.id, false).await?;
        Ok(last.is_some_and(|last| says_same(&last, plan)))
    }
}

/// A launch with what later looks need of a judgement.
fn noted(launch: &Launch, judgement: &Judgement) -> Launch {
    let mut noted = launch.clone();
    judgement.note_in(&mut noted);
    noted
}

/// Whether a person has ended a launch, by cancelling it or by shipping a group of it.
fn is_ended_by_hand(launch: &Launch) -> bool {
    let is_shipped = launch.state == LaunchState::Completed && !launch.target.splits_by_share();
    launch.state == LaunchState::Cancelled || is_shipped
}

/// Rolls back what took the place of a harmful launch, if anything did, and gives the percentage that is left in force.
fn take_back_successor(edit: &mut Edit, judged: &Launch, plan: &Plan) -> Result<f64> {
    let Some(successor) = successor(edit, judged, plan) else {
        return Ok(in_force(edit.catalogue(), &judged.target));
    };
    let (mut changed, served) = ((*successor).clone(), successor.percentage());
    // What it would fall back to by itself is what has harmed.
    let (own, before) = (changed.rollback_percentage, judged.rollback_percentage);
    let is_holdout = matches!(changed.target, Target::Holdout { .. });
    changed.rollback_percentage = if is_holdout { own.max(before) } else { own.min(before) };
    changed.end(LaunchState::RolledBack, edit.now());
    let left = take_back(edit, &changed, served)?;
    let message = format!("it took the place of launch {}, which was shown harmful", judged.id);
    let said = Said {
        kind: plan.kind,
        action: DecisionAction::RollBack,
        arm: None,
        reasons: vec![Reason::of_launch(ReasonCode::Harm, message)],
        judgement: None,
        latch: None,
    };
    edit.decide(&successor, left, said);
    edit.put_launch(changed);
    Ok(left)
}

/// The live launch that took the place of a harmful one: of the same target, or of the harmed group where that was shipped.
fn successor(edit: &Edit, judged: &Launch, plan: &Plan) -> Option<Arc<Launch>> {
    let Target::Experiment { experiment } = &judged.target else {
        return edit.catalogue().live_launch(&judged.target).cloned();
    };
    let stored = edit.catalogue().experiments.get(experiment)?;
    let is_harmed = |group: &String| match &plan.action {
        Action::StopArms(arms) => arms.contains(group),
        _ => true,
    };
    match &stored.document.status {
        Status::Decided { group, .. } if is_harmed(group) => {
            edit.catalogue().live_launch(&shipment(experiment)).cloned()
        }
        _ => None,
    }
}

/// Turns the treatment off, closes the latch, and gives the percentage that is left in force.
fn roll_back(edit: &mut Edit, launch: &mut Launch, plan: &Plan) -> Result<f64> {
    let arms: Vec<String> = launch.treatments().map(|arm| arm.name.clone()).collect();
    let served = launch.percentage();
    launch.end(LaunchState::RolledBack, edit.now());
    close_latch(edit, launch, None, plan);
    match launch.target {
        Target::Experiment { .. } => {
            stop_groups(edit, &launch.target, &arms)?;
            Ok(served)
        }
        _ => take_back(edit, launch, served),
    }
}

/// The percentage that a rule falls back to. Where a person has lowered it there or below, falling back would change
/// nothing.
fn fallback(launch: &Launch, served: f64) -> f64 {
    if launch.rollback_percentage < served { launch.rollback_percentage } else { 0.0 }
}

/// Takes the treatment of a launch back, and gives the percentage that is left in force.
pub(super) fn take_back(edit: &mut Edit, launch: &Launch, served: f64) -> Result<f64> {
    // A holdout falls back to what it held out before: none of those it let go is left in the treatment.
    let is_holdout = matches!(launch.target, Target::Holdout { .. });
    let percentage = if is_holdout { 0.0 } else { fallback(launch, served) };
    match &launch.target {
        Target::Holdout { holdout } => set_held_out(edit, holdout, launch.rollback_percentage)?,
        target => set_percentage(edit, target, percentage)?,
    }
    Ok(percentage)
}

/// Holds a share of units out.
fn set_held_out(edit: &mut Edit, holdout: &str, percentage: f64) -> Result<()> {
    let stored = edit.in_use::<Holdout>(holdout)?;
    let members = dependents(edit.ruleset(), holdout);
    edit.regroup_all(&members, "a holdout of it was changed");
    let changed = Holdout { percentage, ..stored.document.clone() };
    edit.put(stored.changed(changed, edit.now()));
    Ok(())
}

/// Sets a rule's percentage to what its launch says. Other units reach what depends on the gate from now on.
fn set_percentage(edit: &mut Edit, target: &Target, percentage: f64) -> Result<()> {
    match target {
        Target::GateRule { gate, rule } => {
            let dependents = dependents_of(edit, target);
            edit.regroup_all(&dependents, "the rollout of a gate that it depends on was changed");
            set_rule::<Gate>(edit, gate, rule, percentage)
        }
        Target::ConfigRule { config, rule } => set_rule::<DynamicConfig>(edit, config, rule, percentage),
        Target::Shipment { experiment } => {
            let stored = edit.in_use::<Experiment>(experiment)?;
            let mut changed = stored.document.clone();
            if let Status::Decided { group, percentage: shipped } = &mut changed.status {
                *shipped = percentage;
                if percentage <= 0.0 {
                    // Nobody is to get it any more, neither by an override.
                    changed.stopped_groups.insert(group.clone());
                }
            }
            edit.put(stored.changed(changed, edit.now()));
            Ok(())
        }
        Target::Experiment { .. } | Target::Holdout { .. } => Ok(()),
    }
}

fn set_rule<T: Ruled>(edit: &mut Edit, key: &str, rule: &str, percentage: f64) -> Result<()> {
    let stored = edit.in_use::<T>(key)?;
    let changed = with_percentage(&stored.document, rule, percentage);
    edit.put(stored.changed(changed, edit.now()));
    Ok(())
}

/// What depends on the gate of a target.
pub(super) fn dependents_of(edit: &Edit, target: &Target) -> BTreeSet<Target> {
    match target {
        Target::GateRule { gate, .. } => dependents(edit.ruleset(), gate),
        _ => BTreeSet::new(),
    }
}

/// Turns groups of an experiment off; their units get what units get that are in no group.
fn stop_groups(edit: &mut Edit, target: &Target, groups: &[String]) -> Result<()> {
    if let Target::Experiment { experiment } = target {
        let stored = edit.in_use::<Experiment>(experiment)?;
        let mut changed = stored.document.clone();
        changed.stopped_groups.extend(groups.iter().cloned());
        let changed = stored.changed(changed, edit.now());
        edit.put(changed);
    }
    Ok(())
}

fn close_latch(edit: &mut Edit, launch: &Launch, arm: Option<&str>, plan: &Plan) {
    let about = |reason: &&Reason| arm.is_none() || reason.arm.is_none() || reason.arm.as_deref() == arm;
    let causes: Vec<&str> = plan.reasons.iter().filter(about).map(|reason| reason.message.as_str()).collect();
    edit.close_latch(launch, arm, causes.join("; "));
}

/// Records a decision with the launch as it was judged, so that it can be made again from the record.
fn decide(
    edit: &mut Edit,
    judged: &Launch,
    percentage: f64,
    action: DecisionAction,
    arm: Option<String>,
    (judgement, latch): (&Judgement, Option<&Latch>),
    plan: &Plan,
) {
    let (kind, reasons) = (plan.kind, plan.reasons.clone());
    let said = Said { kind, action, arm, reasons, judgement: Some(judgement.clone()), latch: latch.cloned() };
    edit.decide(judged, percentage, said);
}
