//! Rollouts: the share of units that a gate's rule lets through, and the launches that come with it.

use std::sync::Arc;

use super::documents::stored_in;
use super::edit::Edit;
use super::reach::dependents;
use super::{Admin, Principal};
use crate::analysis::decision::DecisionAction;
use crate::clock::new_id;
use crate::domain::gate::Gate;
use crate::domain::launch::{
    CONTROL, GuardrailChoice, Launch, LaunchId, LaunchPlan, Needs, Step, TREATMENT, Target, check_steps,
};
use crate::domain::rule::Rule;
use crate::domain::stored::Stored;
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
    /// Whether the caller has planned these steps. Where a single percentage is asked for, the policy plans the way there.
    pub names_steps: bool,
    /// Guardrails that a new launch takes or leaves.
    pub choice: GuardrailChoice,
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
    /// Changes the share of units that a rule lets through. Lowering is always allowed; raising passes the guard.
    pub async fn set_rollout(
        &self,
        actor: &Principal,
        rollout: Rollout,
    ) -> Result<(Arc<Stored<Gate>>, Option<Launch>)> {
        let mut edit = self.edit(actor, "set_rollout").await;
        let key = rollout.gate.clone();
        let target = edit.set_rollout(rollout)?;
        let in_force = edit.commit().await?;
        let launch = in_force.catalogue.latest_launch(&target).map(|launch| (**launch).clone());
        Ok((stored_in(&in_force, &key)?, launch))
    }
}

impl Edit {
    /// Changes the share of units that a rule lets through, and says which target that was.
    pub(super) fn set_rollout(&mut self, rollout: Rollout) -> Result<Target> {
        check_steps(rollout.field, &rollout.steps)?;
        let stored = self.in_use::<Gate>(&rollout.gate)?;
        if let Some(revision) = rollout.revision {
            self.current::<Gate>(&rollout.gate, revision)?;
        }
        let gate = &stored.document;
        let rule = find_rule(gate, &rollout.rule)?;
        let target = target(&gate.key, &rule.id);
        let highest = rollout.steps.last().map_or(0.0, |step| step.percentage);
        let mut steps = rollout.steps;
        if highest > rule.percentage {
            let policy = self.policy().policy;
            steps = if rollout.names_steps { steps } else { policy.steps(rule.percentage, highest) };
            steps = policy.held_back(rule.percentage, steps);
        }
        let first = steps.first().map_or(0.0, |step| step.percentage);
        if highest > rule.percentage {
            self.refuse_latched(&target, None)?;
            if !gate.enabled {
                let message =
                    format!("gate `{}` is switched off; switch it on before raising a rule", gate.key);
                return Err(Error::WrongState(message));
            }
        }
        let dependents = dependents(self.ruleset(), &gate.key);
        let rollback = rollout.rollback_to.unwrap_or(RollbackTo::Zero);
        let live = self.catalogue().live_launch(&target).cloned();
        if first > rule.percentage || (live.is_some() && highest > rule.percentage) {
            self.allow_wider(&target)?;
            self.allow_all_wider(&dependents)?;
        }
        #[expect(clippy::float_cmp, reason = "the same number is the same share")]
        if first != rule.percentage {
            self.regroup_all(&dependents, "the rollout of a gate that it depends on was changed");
        }
        match live {
            // A raise by hand is a launch of its own: everyone counts afresh, with the guardrails there are by now.
            Some(launch) if highest > rule.percentage => {
                end_launch(self, &launch, "a new launch took its place");
                begin_launch(self, gate, rule, (steps, rollout.choice), rollback)?;
            }
            Some(launch) => edit_launch(self, &launch, steps, rollout.rollback_to),
            None if highest > first || first > rule.percentage => {
                begin_launch(self, gate, rule, (steps, rollout.choice), rollback)?;
            }
            None => {}
        }
        let changed = gate.with_percentage(&rule.id, first);
        let changed = stored.changed(changed, self.now());
        self.put(changed);
        Ok(target)
    }
}

/// The target of a gate's rule.
pub(super) fn target(gate: &str, rule: &str) -> Target {
    Target::GateRule { gate: gate.to_owned(), rule: rule.to_owned() }
}

/// The target of a rule; an empty id stands for the gate's only rule.
pub(super) fn rule_target(gate: &Gate, id: &str) -> Result<Target> {
    find_rule(gate, id).map(|rule| target(&gate.key, &rule.id))
}

/// Begins the launch of a rule.
pub(super) fn begin_launch(
    edit: &mut Edit,
    gate: &Gate,
    rule: &Rule,
    (steps, choice): (Vec<Step>, GuardrailChoice),
    rollback: RollbackTo,
) -> Result<()> {
    let rollback_percentage = match rollback {
        RollbackTo::Zero => 0.0,
        RollbackTo::Previous => rule.percentage,
    };
    let plan = LaunchPlan {
        id: LaunchId(new_id(edit.now())),
        target: target(&gate.key, &rule.id),
        unit_type: unit_type(gate, rule).to_owned(),
        steps,
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: Vec::new(),
        rollback_percentage,
        principal: edit.actor().to_owned(),
    };
    edit.begin_launch(plan, choice, "a launch began")
}

/// Begins the launch of a rule that is new, or that others reach from now on, at the percentage it has.
pub(super) fn begin_launch_at_once(edit: &mut Edit, gate: &Gate, rule: &Rule) -> Result<()> {
    edit.allow_at_once(rule.percentage)?;
    let steps = (vec![Step::at_once(rule.percentage)], GuardrailChoice::default());
    begin_launch(edit, gate, rule, steps, RollbackTo::Zero)
}

/// Which id a rule buckets.
pub(super) fn unit_type<'g>(gate: &'g Gate, rule: &'g Rule) -> &'g str {
    rule.unit_type.as_deref().unwrap_or(&gate.unit_type)
}

/// A person's lower share for a launch that goes on, or its end when nobody is to get the treatment. Where the step in
/// force needs evidence or an approval, what takes its place does too.
fn edit_launch(edit: &mut Edit, launch: &Launch, mut steps: Vec<Step>, rollback: Option<RollbackTo>) {
    if steps.iter().all(|step| step.percentage <= 0.0) {
        return end_launch(edit, launch, "the rollout was set to 0 percent");
    }
    for step in &mut steps {
        step.needs = match (launch.needs(), step.needs) {
            (Needs::Evidence, _) => Needs::Evidence,
            (Needs::Approval, Needs::Time) => Needs::Approval,
            (_, asked) => asked,
        };
    }
    edit.change_launch(launch, DecisionAction::Edit, "the rollout was changed", |changed, now| {
        if rollback == Some(RollbackTo::Zero) {
            changed.rollback_percentage = 0.0;
        }
        changed.replan(steps, now);
    });
}

/// Ends the live launch of a rule, if there is one.
pub(super) fn cancel_launch(edit: &mut Edit, gate: &str, rule: &str, what: &str) {
    if let Some(launch) = edit.catalogue().live_launch(&target(gate, rule)).cloned() {
        end_launch(edit, &launch, what);
    }
}

/// Ends a launch by hand, with nobody in the treatment any more.
pub(super) fn end_launch(edit: &mut Edit, launch: &Launch, what: &str) {
    end_launch_at(edit, launch, 0.0, what);
}

/// Ends a launch by hand, with `percentage` in force from then on. A hold is not shaken off this way: with evidence of harm past the hold level, a latch closes.
pub(super) fn end_launch_at(edit: &mut Edit, launch: &Launch, percentage: f64, what: &str) {
    let judgement = edit.judgement(launch);
    if launch.warned || judgement.is_some_and(|judgement| judgement.warned) {
        let cause = "a person ended the launch while evidence of harm was past the hold level";
        edit.close_latch(launch, None, cause.to_owned());
    }
    edit.cancel(launch, percentage, what);
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
