//! A whole configuration as one text that people read, change and keep under version control.

mod difference;
mod place;
mod section;
mod yaml;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Shelf};
use super::config::DynamicConfig;
use super::experiment::Experiment;
use super::gate::Gate;
use super::holdout::Holdout;
use super::layer::Layer;
use super::metric::Metric;
use super::policy::Policy;
use super::segment::Segment;
use super::stored::Stored;
use super::time::Timestamp;
use super::violation::{Checks, Invalid, Violation};
use super::webhook::Webhook;

pub use difference::{Action, Difference, difference};
pub use section::Section;
pub use yaml::located;

/// All documents in use, without what the service itself keeps of them: revisions, launches, latches, decisions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Metrics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Segments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Gates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Dynamic configs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<DynamicConfig>,
    /// Layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// Experiments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<Experiment>,
    /// Holdouts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holdouts: Vec<Holdout>,
    /// Webhooks; the texts of their secrets are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
}

/// A document that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDocument {
    /// Its kind.
    pub kind: &'static str,
    /// Its key.
    pub key: String,
    /// Its place in its section, from 0.
    pub index: usize,
    /// What is wrong, with paths in the configuration.
    pub invalid: Invalid,
}

impl Configuration {
    /// The documents of a catalogue that are in use, in the order of their keys.
    #[must_use]
    pub fn of(catalogue: &Catalogue) -> Self {
        fn in_use<T: Section>(shelf: &Shelf<T>) -> Vec<T> {
            shelf.values().filter(|stored| !stored.archived).map(|stored| stored.document.shown()).collect()
        }
        Self {
            metrics: in_use(&catalogue.metrics),
            policies: in_use(&catalogue.policies),
            segments: in_use(&catalogue.segments),
            gates: in_use(&catalogue.gates),
            configs: in_use(&catalogue.configs),
            layers: in_use(&catalogue.layers),
            experiments: in_use(&catalogue.experiments),
            holdouts: in_use(&catalogue.holdouts),
            webhooks: in_use(&catalogue.webhooks),
        }
    }

    /// The documents as if they had been stored at `now`, each for the first time.
    #[must_use]
    pub fn catalogue(&self, now: Timestamp) -> Catalogue {
        fn shelf<T: Section>(section: &[T], now: Timestamp) -> Shelf<T> {
            let stored = |document: &T| Arc::new(Stored::new(document.clone(), now));
            section.iter().map(|document| (document.key().to_owned(), stored(document))).collect()
        }
        Catalogue {
            metrics: shelf(&self.metrics, now),
            policies: shelf(&self.policies, now),
            segments: shelf(&self.segments, now),
            gates: shelf(&self.gates, now),
            configs: shelf(&self.configs, now),
            layers: shelf(&self.layers, now),
            experiments: shelf(&self.experiments, now),
            holdouts: shelf(&self.holdouts, now),
            webhooks: shelf(&self.webhooks, now),
            ..Catalogue::default()
        }
    }

    /// Checks each document for itself. Paths begin with the section, for example `gates[0].rules[1].percentage`.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        for document in self.invalid_documents() {
            checks.absorb(Err(document.invalid));
        }
        self.check_keys::<Metric>(&mut checks);
        self.check_keys::<Policy>(&mut checks);
        self.check_keys::<Segment>(&mut checks);
        self.check_keys::<Gate>(&mut checks);
        self.check_keys::<DynamicConfig>(&mut checks);
        self.check_keys::<Layer>(&mut checks);
        self.check_keys::<Experiment>(&mut checks);
        self.check_keys::<Holdout>(&mut checks);
        self.check_keys::<Webhook>(&mut checks);
        checks.finish()
    }

    /// The documents that are not valid.
    #[must_use]
    pub fn invalid_documents(&self) -> Vec<InvalidDocument> {
        let mut found = Vec::new();
        found.extend(self.invalid_of::<Metric>());
        found.extend(self.invalid_of::<Policy>());
        found.extend(self.invalid_of::<Segment>());
        found.extend(self.invalid_of::<Gate>());
        found.extend(self.invalid_of::<DynamicConfig>());
        found.extend(self.invalid_of::<Layer>());
        found.extend(self.invalid_of::<Experiment>());
        found.extend(self.invalid_of::<Holdout>());
        found.extend(self.invalid_of::<Webhook>());
        found
    }

    /// The same in the order of the keys.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        fn sort<T: Section>(section: &mut [T]) {
            section.sort_by(|one, other| one.key().cmp(other.key()));
        }
        sort(&mut self.metrics);
        sort(&mut self.policies);
        sort(&mut self.segments);
        sort(&mut self.gates);
        sort(&mut self.configs);
        sort(&mut self.layers);
        sort(&mut self.experiments);
        sort(&mut self.holdouts);
        sort(&mut self.webhooks);
        self
    }

    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let lists = [self.metrics.len(), self.segments.len(), self.gates.len(), self.configs.len()];
        let others = [self.layers.len(), self.experiments.len(), self.holdouts.len()];
        let rest = [self.policies.len(), self.webhooks.len()];
        lists.iter().chain(&others).chain(&rest).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the document of a kind and key out.
    pub fn leave_out(&mut self, kind: &str, key: &str) {
        fn leave_out<T: Section>(configuration: &mut Configuration, kind: &str, key: &str) {
            if kind == T::KIND {
                T::section_mut(configuration).retain(|document| document.key() != key);
            }
        }
        leave_out::<Metric>(self, kind, key);
        leave_out::<Policy>(self, kind, key);
        leave_out::<Segment>(self, kind, key);
        leave_out::<Gate>(self, kind, key);
        leave_out::<DynamicConfig>(self, kind, key);
        leave_out::<Layer>(self, kind, key);
        leave_out::<Experiment>(self, kind, key);
        leave_out::<Holdout>(self, kind, key);
        leave_out::<Webhook>(self, kind, key);
    }

    fn invalid_of<T: Section>(&self) -> Vec<InvalidDocument> {
        let sections = T::section(self).iter().enumerate();
        let invalid = sections.filter_map(|(index, document)| {
            let invalid = document.check().err()?;
            let kind = T::KIND;
            let path = |violation: Violation| Violation {
                field: in_section::<T>(index, &violation.field),
                message: violation.message,
            };
            let invalid = Invalid(invalid.0.into_iter().map(path).collect());
            Some(InvalidDocument { kind, key: document.key().to_owned(), index, invalid })
        });
        invalid.collect()
    }

    fn check_keys<T: Section>(&self, checks: &mut Checks) {
        let mut keys = BTreeSet::new();
        for (index, document) in T::section(self).iter().enumerate() {
            let is_new = keys.insert(document.key());
            checks.require(is_new, format!("{}[{index}].key", T::NAME), "must be unique within its section");
        }
    }
}

/// The path in the configuration of a field of one document, for example `gate.rules[0].percentage`.
#[must_use]
pub fn in_section<T: Section>(index: usize, field: &str) -> String {
    let inner = field.strip_prefix(T::KIND).unwrap_or(field);
    format!("{}[{index}]{inner}", T::NAME)
}
