//! The compiled configuration: every entity in the one rule form, ready to evaluate.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucketing::Prefix;
use super::condition::{Condition, UnitRef};
use super::evaluate::Entity;
use super::form::{self, SpecKind};
use super::reason::Reason;

/// Everything that evaluation reads. It is swapped whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) revision: i64,
    pub(super) specs: Vec<Spec>,
    /// Places of gates, segments and holdouts.
    pub(super) gates: HashMap<String, usize>,
    /// Places of dynamic configs and experiments.
    pub(super) configs: HashMap<String, usize>,
    /// Places of layers.
    pub(super) layers: HashMap<String, usize>,
}

/// One entity, compiled.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) form: Arc<form::Spec>,
    pub(super) unit: UnitRef,
    /// Empty where the entity is faulty.
    pub(super) rules: Vec<Rule>,
    /// Why it can not be evaluated.
    pub(super) fault: Option<String>,
}

/// What is compiled of a rule. Its form is at the same place in the form of its entity.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) unit: UnitRef,
    /// What is hashed before the unit's id.
    pub(super) prefix: Prefix,
    pub(super) conditions: Vec<Condition>,
    /// Place of the experiment that decides for matching units.
    pub(super) delegate: Option<usize>,
}

impl Snapshot {
    /// Kinds and names of the entities that could not be compiled, each with the cause.
    pub fn faulty(&self) -> impl Iterator<Item = (SpecKind, &str, &str)> {
        self.specs
            .iter()
            .filter_map(|spec| Some((spec.form.kind, spec.name.as_str(), spec.fault.as_deref()?)))
    }

    /// Whether a key names an entity of a kind.
    #[must_use]
    pub fn contains(&self, entity: Entity, key: &str) -> bool {
        self.find(entity, key).is_some()
    }

    /// Revision of the configuration it was compiled from.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }
}

impl Spec {
    /// The reason when no rule matches.
    pub(super) fn fallback(&self) -> Reason {
        if self.fault.is_some() { Reason::Faulty } else { self.form.fallback }
    }
}
