//! Gates and their rollouts.

use std::sync::Arc;

use super::documents::{archive, check_fixed, replace, stored_in};
use super::edit::Edit;
use super::{Admin, Principal};
use crate::analysis::decision::DecisionAction;
use crate::clock::new_id;
use crate::domain::gate::Gate;
use crate::domain::launch::{
    CONTROL, Launch, LaunchId, LaunchPlan, LaunchState, Needs, Step, TREATMENT, Target, check_steps,
};
use crate::domain::rule::Rule;
use crate::domain::stored::Stored;
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// What is to be in force on a rule.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Key of the gate.
    pub gate: String,
    /// Id of the rule; may be empty when the gate has one rule.
    pub rule: String,
    /// Path of the steps in the request.
    pub field: &'static str,
    /// The steps, the first of them from now on.
    pub steps: Vec<Step>,
    /// Where the guard falls back to; none is zero for a new launch, and keeps what one that goes on has.
    pub rollback_to: Option<RollbackTo>,
    /// Refuse unless this is the gate's revision.
    pub revision: Option<i64>,
}

/// Where the guard falls back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackTo {
    /// Nobody gets the treatment.
    Zero,
    /// The percentage in force before the launch.
    Previous,
}

impl Admin {
    /// Makes a gate. A rule above 0 percent begins a launch.
    pub async fn create_gate(&self, actor: &Principal, gate: Gate) -> Result<Arc<Stored<Gate>>> {
        gate.check()?;
        let begin = |edit: &mut Edit, gate: &Gate| {
            for rule in gate.rules.iter().filter(|rule| gate.enabled && rule.percentage > 0.0) {
                begin_launch(edit, gate, rule, vec![Step::at_once(rule.percentage)], RollbackTo::Zero);
            }
            Ok(())
        };
        self.create(actor, "create_gate", gate, begin).await
    }

    /// Changes a gate. Whatever may let more units in passes the guard; percentages are changed by [`Self::set_rollout`].
    pub async fn update_gate(
        &self,
        actor: &Principal,
        gate: Gate,
        revision: i64,
    ) -> Result<Arc<Stored<Gate>>> {
        gate.check()?;
        let mut edit = self.edit(actor, "update_gate").await;
        let stored = edit.current::<Gate>(&gate.key, revision)?;
        check_unchanged(&stored.document, &gate)?;
        let wider: Vec<&Rule> = wider_rules(&stored.document, &gate).collect();
        if !wider.is_empty() {
            edit.allow_wider(&target(&gate.key, ""))?;
        }
        for rule in wider {
            widen_rule(&mut edit, &gate, rule);
        }
        for rule in stored.document.rules.iter().filter(|rule| !gate.enabled || gate.rule(&rule.id).is_none())
        {
            cancel_launch(&mut edit, &gate.key, &rule.id, "the rule was taken out of use");
        }
        replace(edit, gate).await
    }

    /// Takes a gate out of use: it is closed for everyone.
    pub async fn archive_gate(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
    ) -> Result<Arc<Stored<Gate>>> {
        let mut edit = self.edit(actor, "archive_gate").await;
        let stored = edit.current::<Gate>(key, revision)?;
        for rule in &stored.document.rules {
            cancel_launch(&mut edit, key, &rule.id, "the gate was archived");
        }
        archive(edit, key, revision).await
    }

    /// Changes the share of units that a rule lets through. Lowering is always allowed; raising passes the guard.
    pub async fn set_rollout(
        &self,
        actor: &Principal,
        rollout: Rollout,
    ) -> Result<(Arc<Stored<Gate>>, Option<Launch>)> {
        check_steps(rollout.field, &rollout.steps)?;
        let mut edit = self.edit(actor, "set_rollout").await;
        let stored = edit.in_use::<Gate>(&rollout.gate)?;
        if let Some(revision) = rollout.revision {
            edit.current::<Gate>(&rollout.gate, revision)?;
        }
        let gate = &stored.document;
        let rule = find_rule(gate, &rollout.rule)?;
        let target = target(&gate.key, &rule.id);
        let first = rollout.steps.first().map_or(0.0, |step| step.percentage);
        let highest = rollout.steps.last().map_or(0.0, |step| step.percentage);
        if highest > rule.percentage {
            edit.refuse_latched(&target, None)?;
            if !gate.enabled {
                let message =
                    format!("gate `{}` is switched off; switch it on before raising a rule", gate.key);
                return Err(Error::WrongState(message));
            }
        }
        let rollback = rollout.rollback_to.unwrap_or(RollbackTo::Zero);
        let live = edit.catalogue().live_launch(&target).cloned();
        if first > rule.percentage || (live.is_some() && highest > rule.percentage) {
            edit.allow_wider(&target)?;
        }
        match live {
            // A raise by hand is a launch of its own: everyone counts afresh, with the guardrails there are by now.
            Some(launch) if highest > rule.percentage => {
                end_launch(&mut edit, &launch, "a new launch took its place");
                begin_launch(&mut edit, gate, rule, rollout.steps, rollback);
            }
            Some(launch) => edit_launch(&mut edit, &launch, rollout.steps, rollout.rollback_to),
            None if highest > first || first > rule.percentage => {
                begin_launch(&mut edit, gate, rule, rollout.steps, rollback);
            }
            None => {}
        }
        let changed = gate.with_percentage(&rule.id, first);
        let changed = stored.changed(changed, edit.now);
        edit.put(changed);
        let in_force = edit.commit().await?;
        let launch = in_force.catalogue.latest_launch(&target).map(|launch| (**launch).clone());
        Ok((stored_in(&in_force, &rollout.gate)?, launch))
    }
}

/// The target of a gate's rule.
fn target(gate: &str, rule: &str) -> Target {
    Target::GateRule { gate: gate.to_owned(), rule: rule.to_owned() }
}

/// The target of a rule; an empty id stands for the gate's only rule.
pub(super) fn rule_target(gate: &Gate, id: &str) -> Result<Target> {
    find_rule(gate, id).map(|rule| target(&gate.key, &rule.id))
}

fn begin_launch(edit: &mut Edit, gate: &Gate, rule: &Rule, steps: Vec<Step>, rollback: RollbackTo) {
    let rollback_percentage = match rollback {
        RollbackTo::Zero => 0.0,
        RollbackTo::Previous => rule.percentage,
    };
    let plan = LaunchPlan {
        id: LaunchId(new_id(edit.now)),
        target: target(&gate.key, &rule.id),
        unit_type: gate.unit_type.clone(),
        steps,
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: edit.catalogue().pin_metrics(),
        rollback_percentage,
        principal: edit.actor().to_owned(),
    };
    edit.begin_launch(plan, "a launch began");
}

/// A person's lower share for a launch that goes on, or its end when nobody is to get the treatment. Where the step in
/// force needs evidence, what takes its place does too.
fn edit_launch(edit: &mut Edit, launch: &Launch, mut steps: Vec<Step>, rollback: Option<RollbackTo>) {
    if steps.iter().all(|step| step.percentage <= 0.0) {
        return end_launch(edit, launch, "the rollout was set to 0 percent");
    }
    for step in steps.iter_mut().filter(|_| launch.needs() == Needs::Evidence) {
        step.needs = Needs::Evidence;
    }
    edit.change_launch(launch, DecisionAction::Edit, "the rollout was changed", |changed, now| {
        if rollback == Some(RollbackTo::Zero) {
            changed.rollback_percentage = 0.0;
        }
        changed.replan(steps, now);
    });
}

fn cancel_launch(edit: &mut Edit, gate: &str, rule: &str, what: &str) {
    if let Some(launch) = edit.catalogue().live_launch(&target(gate, rule)).cloned() {
        end_launch(edit, &launch, what);
    }
}

/// Ends a launch by hand. A hold is not shaken off this way: with evidence of harm past the hold level, a latch closes.
fn end_launch(edit: &mut Edit, launch: &Launch, what: &str) {
    let judgement = edit.judgement(launch);
    if launch.warned || judgement.is_some_and(|judgement| judgement.warned) {
        let cause = "a person ended the launch while evidence of harm was past the hold level";
        edit.close_latch(launch, None, cause.to_owned());
    }
    edit.change_launch(launch, DecisionAction::Cancel, what, |changed, now| {
        changed.end(LaunchState::Cancelled, now);
    });
}

fn find_rule<'g>(gate: &'g Gate, id: &str) -> Result<&'g Rule> {
    match (gate.rules.as_slice(), id) {
        ([rule], "") => Ok(rule),
        (_, "") => {
            let ids: Vec<&str> = gate.rules.iter().map(|rule| rule.id.as_str()).collect();
            Err(Error::field("rule_id", format!("must be one of the gate's rules: {}", ids.join(", "))))
        }
        _ => gate.rule(id).ok_or_else(|| Error::NotFound { kind: "rule", key: id.to_owned() }),
    }
}

fn check_unchanged(stored: &Gate, given: &Gate) -> Result<()> {
    let mut checks = Checks::default();
    check_fixed(&mut checks, "gate.unit_type", &stored.unit_type, &given.unit_type);
    check_fixed(&mut checks, "gate.salt", &stored.salt, &given.salt);
    for (index, rule) in given.rules.iter().enumerate() {
        let before = stored.rule(&rule.id).map(|before| before.percentage);
        #[expect(clippy::float_cmp, reason = "the stored number itself is expected back")]
        let same = before.is_none_or(|before| before == rule.percentage);
        checks.require(
            same,
            format!("gate.rules[{index}].percentage"),
            format!("is changed with SetRollout; it is {}", before.unwrap_or_default()),
        );
    }
    Ok(checks.finish()?)
}

/// The rules of a gate that other units may reach than before: all when it is switched on, else those from the first one
/// on that is new, moved, or has other conditions. None while it is off.
fn wider_rules<'g>(stored: &Gate, given: &'g Gate) -> impl Iterator<Item = &'g Rule> {
    let same = |(before, after): &(&Rule, &Rule)| !after.reaches_others(before);
    let unmoved = match (stored.enabled, given.enabled) {
        (true, true) => stored.rules.iter().zip(&given.rules).take_while(same).count(),
        (false, true) => 0,
        (_, false) => given.rules.len(),
    };
    given.rules.iter().skip(unmoved)
}

/// A rule whose units may be others from now on: its live launch begins a new epoch; without one, a launch begins.
fn widen_rule(edit: &mut Edit, gate: &Gate, rule: &Rule) {
    let launch = edit.catalogue().live_launch(&target(&gate.key, &rule.id)).cloned();
    if let Some(launch) = launch {
        edit.regroup(&launch, "the rule's conditions or place were changed");
    } else if rule.percentage > 0.0 {
        begin_launch(edit, gate, rule, vec![Step::at_once(rule.percentage)], RollbackTo::Zero);
    }
}
