//! A whole configuration: exported, compared with what is in force, and applied in one change.

mod declared;

use std::collections::BTreeSet;

use super::edit::Edit;
use super::{Admin, Principal};
use crate::domain::config::DynamicConfig;
use crate::domain::configuration::{Configuration, Difference, Section, difference, in_section};
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::layer::Layer;
use crate::domain::metric::Metric;
use crate::domain::policy::Policy;
use crate::domain::segment::Segment;
use crate::domain::stored::Document;
use crate::domain::violation::{Invalid, Violation};
use crate::domain::webhook::Webhook;
use crate::error::{Error, Result};
use crate::store::change::Write;
use declared::Declared;

/// What it takes to make a configuration that of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationPlan {
    /// Revision of the configuration that it was made from.
    pub revision: i64,
    /// What changes, in the order in which it is done.
    pub changes: Vec<PlannedChange>,
    /// How many documents stay as they are.
    pub unchanged: usize,
}

/// One document that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// The document.
    pub difference: Difference,
    /// What becomes of launches and latches with it.
    pub effects: Vec<String>,
    /// Why it can not be done now, if it can not.
    pub refusal: Option<String>,
}

/// A configuration that somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The documents.
    pub configuration: Configuration,
    /// Documents that are not in it are archived; else they stay.
    pub prune: bool,
}

impl Admin {
    /// All documents in use, and the revision of the configuration.
    #[must_use]
    pub fn export_configuration(&self) -> (Configuration, i64) {
        let in_force = self.live.in_force();
        (Configuration::of(&in_force.catalogue), in_force.catalogue.revision)
    }

    /// What would change. Nothing does; what the guard or a rule of the house refuses is said with the change.
    pub async fn plan_configuration(&self, actor: &Principal, wanted: &Wanted) -> Result<ConfigurationPlan> {
        let mut edit = self.edit(actor, "plan_configuration").await;
        let plan = Making::new(&mut edit, true).everything(wanted)?;
        // Where a change is refused, others may well refer to what it would have made.
        if plan.changes.iter().all(|change| change.refusal.is_none()) {
            super::references::check(&edit)?;
        }
        Ok(plan)
    }

    /// Makes all changes, or none. Refuses with a conflict where the configuration is not that of the plan any more.
    pub async fn apply_configuration(
        &self,
        actor: &Principal,
        wanted: &Wanted,
        revision: i64,
    ) -> Result<ConfigurationPlan> {
        let mut edit = self.edit(actor, "apply_configuration").await;
        let found = edit.catalogue().revision;
        if found != revision {
            let (kind, key) = ("the configuration", "all".to_owned());
            return Err(Error::Conflict { kind, key, given: revision, found });
        }
        let mut plan = Making::new(&mut edit, false).everything(wanted)?;
        if !edit.is_empty() {
            plan.revision = edit.commit().await?.catalogue.revision;
        }
        Ok(plan)
    }
}

/// Changes being made, one document a step.
struct Making<'e> {
    edit: &'e mut Edit,
    /// Refusals are noted, and the rest goes on.
    is_trial: bool,
    changes: Vec<PlannedChange>,
    unchanged: usize,
}

impl<'e> Making<'e> {
    fn new(edit: &'e mut Edit, is_trial: bool) -> Self {
        Self { edit, is_trial, changes: Vec::new(), unchanged: 0 }
    }

    /// What others refer to is made before them, and archived after them.
    fn everything(mut self, wanted: &Wanted) -> Result<ConfigurationPlan> {
        let Wanted { configuration, prune } = wanted;
        self.bring_all::<Metric>(configuration)?;
        self.bring_all::<Policy>(configuration)?;
        self.bring_all::<Segment>(configuration)?;
        self.bring_all::<Gate>(configuration)?;
        self.bring_all::<DynamicConfig>(configuration)?;
        self.bring_all::<Layer>(configuration)?;
        self.bring_all::<Experiment>(configuration)?;
        self.bring_all::<Holdout>(configuration)?;
        self.bring_all::<Webhook>(configuration)?;
        if *prune {
            self.prune_all::<Webhook>(configuration)?;
            self.prune_all::<Holdout>(configuration)?;
            self.prune_all::<Experiment>(configuration)?;
            self.prune_all::<Layer>(configuration)?;
            self.prune_all::<DynamicConfig>(configuration)?;
            self.prune_all::<Gate>(configuration)?;
            self.prune_all::<Segment>(configuration)?;
            self.prune_all::<Policy>(configuration)?;
            self.prune_all::<Metric>(configuration)?;
        }
        let revision = self.edit.catalogue().revision;
        Ok(ConfigurationPlan { revision, changes: self.changes, unchanged: self.unchanged })
    }

    fn bring_all<T: Declared>(&mut self, configuration: &Configuration) -> Result<()> {
        for (index, document) in T::section(configuration).iter().enumerate() {
            let stored =
                T::shelf(self.edit.catalogue()).get(document.key()).filter(|stored| !stored.archived);
            let stored = stored.cloned();
            let before = stored.as_deref().map(|stored| &stored.document);
            let wanted = document.clone().settled(self.edit, before);
            match difference(before, Some(&wanted)).map_err(Error::internal)? {
                None => self.unchanged += 1,
                Some(difference) => {
                    self.edit.pending.set_place(Some(in_section::<T>(index, "")));
                    let mark = self.edit.mark();
                    let outcome = wanted.bring(self.edit, stored.as_deref());
                    let outcome = outcome.map_err(|error| in_place::<T>(index, error));
                    self.note(difference, outcome, mark)?;
                }
            }
        }
        Ok(())
    }

    fn prune_all<T: Declared>(&mut self, configuration: &Configuration) -> Result<()> {
        let in_use = T::shelf(self.edit.catalogue()).values().filter(|stored| !stored.archived);
        let kept: BTreeSet<&str> = T::section(configuration).iter().map(Document::key).collect();
        let gone: Vec<_> = in_use.filter(|stored| !kept.contains(stored.document.key())).cloned().collect();
        self.edit.pending.set_place(None);
        for stored in gone {
            if let Some(difference) = difference(Some(&stored.document), None).map_err(Error::internal)? {
                let mark = self.edit.mark();
                let outcome = self.edit.archive::<T>(stored.document.key(), stored.revision);
                self.note(difference, outcome, mark)?;
            }
        }
        Ok(())
    }

    /// Ends the step of a document whose writes begin at `mark`. In a trial a refusal is part of the answer; what is wrong
    /// with the text never is.
    fn note(&mut self, difference: Difference, outcome: Result<()>, mark: usize) -> Result<()> {
        let refusal = match outcome {
            Ok(()) => None,
            Err(error @ (Error::Refused { .. } | Error::WrongState(_) | Error::AlreadyExists { .. }))
                if self.is_trial =>
            {
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        let effects = match refusal {
            Some(_) => {
                self.edit.undo_step();
                Vec::new()
            }
            None => self.edit.since(mark).iter().filter_map(|write| effect(self.edit, write)).collect(),
        };
        self.edit.next_step();
        self.changes.push(PlannedChange { difference, effects, refusal });
        Ok(())
    }
}

/// What a write does besides changing the document.
fn effect(edit: &Edit, write: &Write) -> Option<String> {
    match write {
        Write::Launch(launch) => {
            let what = match (launch.is_live(), edit.is_launched(launch)) {
                (true, false) => format!("begins at {} %", launch.percentage()),
                (true, true) => format!("goes on at {} %", launch.percentage()),
                (false, _) => "ends".to_owned(),
            };
            Some(format!("the launch of {} {what}", launch.target))
        }
        Write::Latch(latch) => Some(format!("a latch closes on {}: {}", latch.target, latch.cause)),
        _ => None,
    }
}

/// The same error with paths in the configuration.
fn in_place<T: Section>(index: usize, error: Error) -> Error {
    let Error::Invalid(Invalid(violations)) = error else { return error };
    let place = |violation: Violation| Violation {
        field: in_section::<T>(index, &violation.field),
        message: violation.message,
    };
    Error::Invalid(Invalid(violations.into_iter().map(place).collect()))
}
