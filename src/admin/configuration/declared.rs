//! How one document becomes what a configuration says, by the same functions as by hand.

use crate::admin::documents::Administered;
use crate::admin::edit::Edit;
use crate::admin::experiments::target;
use crate::admin::layers::check_member;
use crate::admin::rollouts::Rollout;
use crate::admin::ruled::Ruled;
use crate::admin::runs::Outcome;
use crate::analysis::decision::DecisionAction;
use crate::domain::config::DynamicConfig;
use crate::domain::configuration::Section;
use crate::domain::experiment::{Experiment, Status};
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::{GuardrailChoice, Step};
use crate::domain::layer::Layer;
use crate::domain::metric::Metric;
use crate::domain::policy::Policy;
use crate::domain::rule::Rule;
use crate::domain::segment::Segment;
use crate::domain::stored::Stored;
use crate::domain::webhook::Webhook;
use crate::error::{Error, Result};

/// A document that a configuration declares.
pub(super) trait Declared: Administered + Section {
    /// The document with what is the service's own to say as it is stored.
    #[must_use]
    fn settled(self, _edit: &Edit, _before: Option<&Self>) -> Self {
        self
    }

    /// Makes the document, or changes the stored one. It may take several steps, and leaves the last one open.
    fn bring(&self, edit: &mut Edit, stored: Option<&Stored<Self>>) -> Result<()> {
        match stored {
            None => edit.create(self.clone()),
            Some(stored) => edit.update(self.clone(), stored.revision),
        }
    }
}

impl Declared for Metric {}
impl Declared for Policy {}
impl Declared for Segment {}
impl Declared for Layer {}
impl Declared for Holdout {}

/// A secret that is not given again stays.
impl Declared for Webhook {
    fn settled(self, _: &Edit, before: Option<&Self>) -> Self {
        self.with_secret_of(before)
    }
}

impl Declared for Gate {
    fn settled(mut self, edit: &Edit, before: Option<&Self>) -> Self {
        settle_rules(edit, &mut self, before);
        self
    }

    fn bring(&self, edit: &mut Edit, stored: Option<&Stored<Self>>) -> Result<()> {
        bring_rules(edit, self, stored)
    }
}

impl Declared for DynamicConfig {
    fn settled(mut self, edit: &Edit, before: Option<&Self>) -> Self {
        settle_rules(edit, &mut self, before);
        self
    }

    fn bring(&self, edit: &mut Edit, stored: Option<&Stored<Self>>) -> Result<()> {
        bring_rules(edit, self, stored)
    }
}

/// Where the policy has planned the steps to what the configuration says, the launch is on its way there.
fn settle_rules<T: Ruled>(edit: &Edit, document: &mut T, before: Option<&T>) {
    let key = document.key().to_owned();
    for rule in document.rules_mut() {
        let in_force = before.and_then(|before| before.rules().iter().find(|other| other.id == rule.id));
        let launch = edit.catalogue().live_launch(&T::target(&key, &rule.id));
        if let (Some(in_force), Some(launch)) = (in_force, launch) {
            let ends_at = launch.steps.last().map(|step| step.percentage);
            if launch.policy.policy.plans_steps() && ends_at == Some(rule.percentage) {
                rule.percentage = in_force.percentage;
            }
        }
    }
}

/// Percentages of rules that stay are changed as by hand: what is lowered first, what is raised last.
fn bring_rules<T: Ruled>(edit: &mut Edit, wanted: &T, stored: Option<&Stored<T>>) -> Result<()> {
    let Some(stored) = stored else {
        return bring_new(edit, wanted);
    };
    let before = &stored.document;
    let was = |rule: &Rule| {
        let before = before.rules().iter().find(|before| before.id == rule.id);
        before.map(|before| before.percentage)
    };
    for rule in wanted.rules().iter().filter(|rule| was(rule).is_some_and(|was| rule.percentage < was)) {
        set_rollout::<T>(edit, wanted.key(), rule)?;
    }
    let mut document = wanted.clone();
    for rule in document.rules_mut() {
        if let Some(was) = was(rule).filter(|was| *was < rule.percentage) {
            rule.percentage = was;
        }
    }
    let lowered = edit.in_use::<T>(wanted.key())?;
    if lowered.document != document {
        edit.update(document, lowered.revision)?;
        edit.next_step();
    }
    for rule in wanted.rules().iter().filter(|rule| was(rule).is_some_and(|was| rule.percentage > was)) {
        set_rollout::<T>(edit, wanted.key(), rule)?;
    }
    Ok(())
}

/// A new document. Where the policy plans steps, its rules begin at 0 percent and are raised as by hand.
fn bring_new<T: Ruled>(edit: &mut Edit, wanted: &T) -> Result<()> {
    if !edit.policy().policy.plans_steps() || !wanted.is_enabled() {
        return edit.create(wanted.clone());
    }
    let mut closed = wanted.clone();
    closed.rules_mut().iter_mut().for_each(|rule| rule.percentage = 0.0);
    edit.create(closed)?;
    edit.next_step();
    for rule in wanted.rules().iter().filter(|rule| rule.percentage > 0.0) {
        set_rollout::<T>(edit, wanted.key(), rule)?;
    }
    Ok(())
}

fn set_rollout<T: Ruled>(edit: &mut Edit, key: &str, rule: &Rule) -> Result<()> {
    edit.set_rollout::<T>(Rollout {
        key: key.to_owned(),
        rule: rule.id.clone(),
        field: "gate.rules",
        steps: vec![Step::at_once(rule.percentage)],
        names_steps: false,
        choice: GuardrailChoice::default(),
        rollback_to: None,
        revision: None,
    })?;
    edit.next_step();
    Ok(())
}

/// Groups that the guard has stopped stay stopped, and buckets that were given stay, whether the configuration names them or
/// not. Its status changes as by hand.
impl Declared for Experiment {
    fn settled(mut self, _: &Edit, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self };
        self.stopped_groups.extend(before.stopped_groups.iter().cloned());
        // How many get a shipped group is a matter of its launch.
        if let (Status::Decided { group: was, percentage: shipped }, Status::Decided { group, percentage }) =
            (&before.status, &mut self.status)
            && was == group
        {
            *percentage = *shipped;
        }
        #[expect(clippy::float_cmp, reason = "the same number is the same share")]
        let same_share = self.allocation == before.allocation;
        if self.buckets.is_none() && same_share {
            self.buckets.clone_from(&before.buckets);
        }
        self
    }

    fn bring(&self, edit: &mut Edit, stored: Option<&Stored<Self>>) -> Result<()> {
        let was = match stored {
            None => {
                edit.create(self.clone())?;
                edit.next_step();
                Status::Draft
            }
            Some(stored) => {
                let before = &stored.document;
                let (status, stopped_groups) = (before.status.clone(), before.stopped_groups.clone());
                let document = Self { status, stopped_groups, ..self.clone() };
                if document != *before {
                    edit.update(document, stored.revision)?;
                    edit.next_step();
                }
                before.status.clone()
            }
        };
        let revision = edit.in_use::<Self>(&self.key)?.revision;
        match (&was, &self.status) {
            (was, is) if was == is => {}
            (Status::Draft, Status::Running) => {
                edit.start_experiment(&self.key, revision, GuardrailChoice::default())?;
            }
            (Status::Running, Status::Decided { group, .. }) => {
                edit.decide_experiment(&self.key, revision, Outcome::Ship(group.clone()))?;
            }
            (Status::Running, Status::Abandoned) => {
                edit.decide_experiment(&self.key, revision, Outcome::Abandon(None))?;
            }
            // It ran elsewhere. Nobody here has got anything of it before.
            (Status::Draft, ended) if stored.is_none() => bring_ended(edit, self, ended)?,
            (was, is) => {
                let message = format!("experiment `{}` is {was}, and can not become {is}", self.key);
                return Err(Error::WrongState(message));
            }
        }
        edit.next_step();
        stop_groups(edit, self)
    }
}

/// Turns off the groups that are stopped in the configuration and not yet here.
fn stop_groups(edit: &mut Edit, wanted: &Experiment) -> Result<()> {
    let stored = edit.in_use::<Experiment>(&wanted.key)?;
    let new: Vec<&String> = wanted.stopped_groups.difference(&stored.document.stopped_groups).collect();
    if new.is_empty() {
        return Ok(());
    }
    let is_treatment = |name: &String| wanted.group(name).is_some() && *name != wanted.control_group;
    if !new.iter().all(|name| is_treatment(name)) {
        let message = "must be names of groups other than the control";
        return Err(Error::field("experiment.stopped_groups", message));
    }
    if let Some(launch) = edit.catalogue().live_launch(&target(&wanted.key)).cloned() {
        edit.change_launch(&launch, DecisionAction::StopArm, "groups were stopped", |launch, now| {
            for name in &new {
                launch.stop_arm(name, now);
            }
        });
    }
    let mut stopped = stored.document.clone();
    stopped.stopped_groups.extend(new.into_iter().cloned());
    edit.put(stored.changed(stopped, edit.now()));
    Ok(())
}

/// An experiment that is new here and has ended elsewhere. A group that was shipped there is a launch here, by the steps that
/// the policy plans for any other; where guardrails are there, each of these needs evidence, as shipping by hand does.
fn bring_ended(edit: &mut Edit, experiment: &Experiment, status: &Status) -> Result<()> {
    let stored = edit.in_use::<Experiment>(&experiment.key)?;
    let status = match status {
        Status::Decided { group, percentage } => {
            if experiment.group(group).is_none() {
                return Err(Error::field("experiment.status.group", "must be the name of one of the groups"));
            }
            let steps = if *group == experiment.control_group {
                Vec::new()
            } else {
                let what = format!("group `{group}` of experiment `{}`", experiment.key);
                edit.steps_unseen(&what, &experiment.unit_type, *percentage)?
            };
            Status::Decided { group: group.clone(), percentage: edit.ship(experiment, group, steps)? }
        }
        status => status.clone(),
    };
    let ended = Experiment { status, ..stored.document.clone() };
    check_member(edit, &ended)?;
    edit.put(stored.changed(ended, edit.now()));
    Ok(())
}
