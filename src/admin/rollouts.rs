//! Rollouts: the share of units that a rule of a gate or a config lets through, and the launches that come with it.

use std::sync::Arc;

use super::documents::stored_in;
use super::edit::Edit;
use super::guarding::dependents_of;
use super::ruled::Ruled;
use super::{Admin, Principal};
use crate::analysis::decision::DecisionAction;
use crate::clock::new_id;
use crate::domain::launch::{
    CONTROL, GuardrailChoice, Launch, LaunchId, LaunchPlan, Needs, Step, TREATMENT, Target, check_steps,
};
use crate::domain::rule::Rule;
use crate::domain::stored::Stored;
use crate::error::{Error, Result};

/// What is to be in force on a rule.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Key of the gate or config.
    pub key: String,
    /// Id of the rule; may be empty when there is one.
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
    /// Refuse unless this is the document's revision.
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
    pub async fn set_rollout<T: Ruled>(
        &self,
        actor: &Principal,
        rollout: Rollout,
    ) -> Result<(Arc<Stored<T>>, Option<Launch>)> {
        let mut edit = self.edit(actor, "set_rollout").await;
        let key = rollout.key.clone();
        let target = edit.set_rollout::<T>(rollout)?;
        let in_force = edit.commit().await?;
        let launch = in_force.catalogue.latest_launch(&target).map(|launch| (**launch).clone());
        Ok((stored_in(&in_force, &key)?, launch))
    }
}

impl Edit {
    /// Changes the share of units that a rule lets through, and says which target that was.
    pub(super) fn set_rollout<T: Ruled>(&mut self, rollout: Rollout) -> Result<Target> {
        check_steps(rollout.field, &rollout.steps)?;
        let stored = self.in_use::<T>(&rollout.key)?;
        if let Some(revision) = rollout.revision {
            self.current::<T>(&rollout.key, revision)?;
        }
        let document = &stored.document;
        let rule = find_rule(document, &rollout.rule)?;
        let target = T::target(document.key(), &rule.id);
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
            if !document.is_enabled() {
                let (kind, key) = (T::KIND, document.key());
                let message = format!("{kind} `{key}` is switched off; switch it on before raising a rule");
                return Err(Error::WrongState(message));
            }
        }
        let dependents = dependents_of(self, &target);
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
                self.cancel(&launch, 0.0, "a new launch took its place");
                begin_launch(self, document, rule, (steps, rollout.choice), rollback)?;
            }
            Some(launch) => edit_launch(self, &launch, steps, rollout.rollback_to),
            None if highest > first || first > rule.percentage => {
                begin_launch(self, document, rule, (steps, rollout.choice), rollback)?;
            }
            None => {}
        }
        let changed = with_percentage(document, &rule.id, first);
        let changed = stored.changed(changed, self.now());
        self.put(changed);
        Ok(target)
    }
}

/// The target of a rule; an empty id stands for the only rule.
pub(super) fn rule_target<T: Ruled>(document: &T, id: &str) -> Result<Target> {
    find_rule(document, id).map(|rule| T::target(document.key(), &rule.id))
}

/// The same document with another percentage on one rule.
pub(super) fn with_percentage<T: Ruled>(document: &T, rule_id: &str, percentage: f64) -> T {
    let mut changed = document.clone();
    for rule in changed.rules_mut().iter_mut().filter(|rule| rule.id == rule_id) {
        rule.percentage = percentage;
    }
    changed
}

/// Begins the launch of a rule.
fn begin_launch<T: Ruled>(
    edit: &mut Edit,
    document: &T,
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
        target: T::target(document.key(), &rule.id),
        unit_type: unit_type(document, rule).to_owned(),
        steps,
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: Vec::new(),
        rollback_percentage,
        principal: edit.actor().to_owned(),
    };
    edit.begin_launch(plan, choice, "a launch began")
}

/// Begins the launch of a rule that is new, or that others reach from now on, at the percentage it has.
pub(super) fn begin_launch_at_once<T: Ruled>(edit: &mut Edit, document: &T, rule: &Rule) -> Result<()> {
    edit.allow_at_once(rule.percentage)?;
    let steps = (vec![Step::at_once(rule.percentage)], GuardrailChoice::default());
    begin_launch(edit, document, rule, steps, RollbackTo::Zero)
}

/// Which id a rule buckets.
pub(super) fn unit_type<'d, T: Ruled>(document: &'d T, rule: &'d Rule) -> &'d str {
    rule.unit_type.as_deref().unwrap_or(document.unit_type())
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

/// Ends the live launch of a target, if there is one.
pub(super) fn cancel_launch(edit: &mut Edit, target: &Target, what: &str) {
    if let Some(launch) = edit.catalogue().live_launch(target).cloned() {
        end_launch(edit, &launch, what);
    }
}

/// Ends a launch by hand, with nobody in the treatment any more.
pub(super) fn end_launch(edit: &mut Edit, launch: &Launch, what: &str) {
    end_launch_at(edit, launch, 0.0, what);
}

/// Ends a launch by hand, with `percentage` in force from then on. What was shown against it is not shaken off this way: a latch
/// closes.
pub(super) fn end_launch_at(edit: &mut Edit, launch: &Launch, percentage: f64, what: &str) {
    let shown = edit.left_behind(launch);
    if !shown.is_empty() {
        let messages: Vec<String> = shown.into_iter().map(|reason| reason.message).collect();
        let cause = format!("a person ended the launch while this stood against it: {}", messages.join("; "));
        edit.close_latch(launch, None, cause);
    }
    edit.cancel(launch, percentage, what);
}

fn find_rule<'d, T: Ruled>(document: &'d T, id: &str) -> Result<&'d Rule> {
    match (document.rules(), id) {
        ([rule], "") => Ok(rule),
        (rules, "") => {
            let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
            Err(Error::field(
                "rule_id",
                format!("must be one of the {}'s rules: {}", T::KIND, ids.join(", ")),
            ))
        }
        (rules, _) => {
            let found = rules.iter().find(|rule| rule.id == id);
            found.ok_or_else(|| Error::NotFound { kind: "rule", key: id.to_owned() })
        }
    }
}
