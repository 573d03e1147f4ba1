//! Policies: made, changed, archived, and what they ask of a launch that begins. Launches under way keep theirs.

use super::documents::Administered;
use super::edit::Edit;
use crate::analysis::decision::{DecisionKind, Reason, ReasonCode};
use crate::domain::launch::{GuardrailChoice, Needs, PinnedMetric, Step};
use crate::domain::metric::Action;
use crate::domain::policy::{Policy, is_listed};
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// An environment whose policy was archived can have one again.
impl Administered for Policy {
    const RETURNS: bool = true;
}

/// Refuses a launch that lacks guardrails that its policy asks for.
pub(super) fn check_guardrails(
    policy: &Policy,
    choice: &GuardrailChoice,
    metrics: &[PinnedMetric],
    unit_type: &str,
) -> Result<()> {
    let mut checks = Checks::default();
    for (field, keys) in [("add", &choice.add), ("drop", &choice.drop)] {
        for (index, key) in keys.iter().enumerate() {
            let found = metrics.iter().find(|pinned| pinned.metric.key == *key);
            let field = format!("guardrails.{field}[{index}]");
            let none = format!("there is no metric `{key}` in use for units of type `{unit_type}`");
            checks.require(found.is_some(), &field, none);
            let required = found
                .and_then(|pinned| pinned.metric.tags.iter().find(|tag| policy.required_tags.contains(tag)));
            if let Some(tag) = required.filter(|_| choice.drop.contains(key)) {
                let message =
                    format!("`{key}` has the tag `{tag}`, which policy `{}` lets no launch drop", policy.key);
                checks.require(false, field, message);
            }
        }
    }
    checks.finish()?;
    for tag in &policy.required_tags {
        if !metrics.iter().any(|pinned| pinned.metric.tags.contains(tag)) {
            let message = format!(
                "every launch needs a metric with the tag `{tag}`, and none in use for units of type `{unit_type}` has it"
            );
            return Err(refused(policy, &message));
        }
    }
    let attached = || metrics.iter().any(|pinned| choice.attaches(policy, &pinned.metric));
    if policy.require_guardrails && !attached() {
        let tags = policy.guardrail_tags.join("`, `");
        let message = format!(
            "every launch needs a guardrail; give a metric one of the tags `{tags}`, or name it with the launch"
        );
        return Err(refused(policy, &message));
    }
    Ok(())
}

impl Edit {
    /// Refuses a launch in an environment whose policy is out of use. Where there never was one, what is built in holds.
    pub(super) fn refuse_archived_policy(&self, environment: &str) -> Result<()> {
        match self.catalogue().policies.get(environment) {
            Some(stored) if stored.archived => {
                let message = "it is archived, and a launch begins only under a policy in use; make it again with CreatePolicy";
                Err(refused(&stored.document, message))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a launch that begins without a ramp at more than its policy's first step.
    pub(super) fn allow_at_once(&self, percentage: f64) -> Result<()> {
        let policy = self.policy().policy;
        let steps = policy.held_back(0.0, policy.steps(0.0, percentage));
        let first = steps.first().map_or(percentage, |step| step.percentage);
        if percentage <= first {
            return Ok(());
        }
        let message = format!(
            "a launch begins at {first} %, not at {percentage} %; begin lower and raise it with SetRollout"
        );
        Err(refused(&policy, &message))
    }

    /// The policy's steps to a percentage for what has shown nothing here. Where guardrails are there each needs evidence, and a
    /// policy without a ramp has no step at which that could be had.
    pub(super) fn steps_unseen(&self, what: &str, unit_type: &str, percentage: f64) -> Result<Vec<Step>> {
        let policy = self.policy().policy;
        let mut steps = policy.steps(0.0, percentage);
        let metrics = self.catalogue().pin_metrics(&policy, unit_type);
        let attached = metrics.iter().filter(|pinned| {
            pinned.metric.action != Action::Report
                && GuardrailChoice::default().attaches(&policy, &pinned.metric)
        });
        let attached: Vec<&str> = attached.map(|pinned| pinned.metric.key.as_str()).collect();
        if attached.is_empty() {
            return Ok(steps);
        }
        if policy.ramp.is_empty() {
            let message = format!(
                "{what} has shown nothing here, and is shipped only once it is shown safe for `{}`; apply it as running and \
                 decide it then, or give the policy a ramp",
                attached.join("`, `")
            );
            return Err(refused(&policy, &message));
        }
        for step in &mut steps {
            step.needs = Needs::Evidence;
        }
        Ok(steps)
    }

    /// Refuses unless the policy lists the principal among those who may.
    pub(super) fn check_listed(&self, list: fn(&Policy) -> &[String], what: &str) -> Result<()> {
        let policy = self.policy().policy;
        if is_listed(list(&policy), self.actor()) {
            return Ok(());
        }
        Err(refused(&policy, &format!("`{}` may not {what}", self.actor())))
    }
}

fn refused(policy: &Policy, message: &str) -> Error {
    let message = format!("policy `{}`: {message}", policy.key);
    let reasons = vec![Reason::of_launch(ReasonCode::Policy, message)];
    Error::Refused { decision: DecisionKind::Block, reasons }
}
