//! How one document becomes what a configuration says, by the same functions as by hand.

use crate::admin::documents::Administered;
use crate::admin::edit::Edit;
use crate::admin::experiments::target;
use crate::admin::layers::check_member;
use crate::admin::rollouts::{self, Rollout};
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
impl Declared for DynamicConfig {}
impl Declared for Layer {}
impl Declared for Holdout {}

/// A secret that is not given again stays.
impl Declared for Webhook {
    fn settled(self, _: &Edit, before: Option<&Self>) -> Self {
        self.with_secret_of(before)
    }
}

/// Percentages of rules that stay are changed as by hand: what is lowered first, what is raised last.
impl Declared for Gate {
    /// Where the policy has planned the steps to what the configuration says, the launch is on its way there.
    fn settled(mut self, edit: &Edit, before: Option<&Self>) -> Self {
        for rule in &mut self.rules {
            let in_force = before.and_then(|before| before.rule(&rule.id));
            let launch = edit.catalogue().live_launch(&rollouts::target(&self.key, &rule.id));
            if let (Some(in_force), Some(launch)) = (in_force, launch) {
                let ends_at = launch.steps.last().map(|step| step.percentage);
                if launch.policy.policy.plans_steps() && ends_at == Some(rule.percentage) {
                    rule.percentage = in_force.percentage;
                }
            }
        }
        self
    }

    fn bring(&self, edit: &mut Edit, stored: Option<&Stored<Self>>) -> Result<()> {
        let Some(stored) = stored else {
            return bring_new(edit, self);
        };
        let before = &stored.document;
        let changed = |rule: &&Rule, is_raised: bool| {
            let was = before.rule(&rule.id).map(|before| before.percentage);
            was.is_some_and(|was| if is_raised { rule.percentage > was } else { rule.percentage < was })
        };
        for rule in self.rules.iter().filter(|rule| changed(rule, false)) {
            set_rollout(edit, self, rule)?;
        }
        let mut document = self.clone();
        for rule in &mut document.rules {
            if let Some(was) = before.rule(&rule.id).filter(|was| was.percentage < rule.percentage) {
                rule.percentage = was.percentage;
            }
        }
        let lowered = edit.in_use::<Self>(&self.key)?;
        if lowered.document != document {
            edit.update(document, lowered.revision)?;
            edit.next_step();
        }
        for rule in self.rules.iter().filter(|rule| changed(rule, true)) {
            set_rollout(edit, self, rule)?;
        }
        Ok(())
    }
}

/// A new gate. Where the policy plans steps, its rules begin at 0 percent and are raised as by hand.
fn bring_new(edit: &mut Edit, gate: &Gate) -> Result<()> {
    if !edit.policy().policy.plans_steps() || !gate.enabled {
        return edit.create(gate.clone());
    }
    let mut closed = gate.clone();
    closed.rules.iter_mut().for_each(|rule| rule.percentage = 0.0);
    edit.create(closed)?;
    edit.next_step();
    for rule in gate.rules.iter().filter(|rule| rule.percentage > 0.0) {
        set_rollout(edit, gate, rule)?;
    }
    Ok(())
}

fn set_rollout(edit: &mut Edit, gate: &Gate, rule: &Rule) -> Result<()> {
    edit.set_rollout(Rollout {
        gate: gate.key.clone(),
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
                edit.start_experiment(&self.key, revision, GuardrailChoice::default())?
            }
            (Status::Running, Status::Decided { group }) => {
                edit.decide_experiment(&self.key, revision, Outcome::Ship(group.clone()))?;
            }
            (Status::Running, Status::Abandoned) => {
                edit.decide_experiment(&self.key, revision, Outcome::Abandon)?;
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

/// An experiment that is new here and has ended elsewhere.
fn bring_ended(edit: &mut Edit, experiment: &Experiment, status: &Status) -> Result<()> {
    if let Status::Decided { group } = status
        && experiment.group(group).is_none()
    {
        return Err(Error::field("experiment.status.group", "must be the name of one of the groups"));
    }
    let stored = edit.in_use::<Experiment>(&experiment.key)?;
    let ended = Experiment { status: status.clone(), ..stored.document.clone() };
    check_member(edit, &ended)?;
    edit.put(stored.changed(ended, edit.now()));
    Ok(())
}
