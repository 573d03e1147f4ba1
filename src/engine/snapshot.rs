//! The compiled configuration: every entity lowered to one rule form, ready to evaluate.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::bucketing;
use super::condition::AttributeTest;
use super::reason::Reason;
use crate::domain::launch::LaunchId;
use crate::domain::user::User;

/// Everything that evaluation reads. It is swapped whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) revision: i64,
    pub(super) gates: HashMap<String, Spec>,
    pub(super) experiments: HashMap<String, Spec>,
}

impl Snapshot {
    /// Revision of the configuration it was compiled from.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }
}

/// One entity: the first rule that matches decides.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) unit_type: String,
    pub(super) salt: String,
    pub(super) rules: Vec<Rule>,
    /// The reason when no rule matches.
    pub(super) fallback: Reason,
}

/// One rule: it matches when all conditions hold, and then decides alone.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) outcome: Outcome,
    pub(super) reason: Reason,
    pub(super) watch: Option<Watch>,
}

/// What a rule gives.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Yes to the units within the percentage, no to the others.
    Percentage(f64),
    /// No, or no group.
    Nothing,
    /// A group of an experiment.
    Group(ServableGroup),
}

/// A group's name and what its units get.
#[derive(Debug)]
pub(super) struct ServableGroup {
    pub(super) name: String,
    pub(super) parameters: BTreeMap<String, Value>,
}

/// The launch that watches a rule.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) launch: LaunchId,
    pub(super) epoch: u32,
    pub(super) arms: WatchedArms,
}

/// Which arm a unit is in, and whether the guard has turned that arm off.
#[derive(Debug)]
pub(super) enum WatchedArms {
    /// Treatment within the percentage, else control. Once reverted, by the percentage that was in force before.
    ByPercentage { percentage: f64, reverted: bool },
    /// A group of an experiment.
    Group { arm: String, reverted: bool },
}

/// A test that is parsed and ready.
#[derive(Debug)]
pub(super) enum Condition {
    /// The unit is held out.
    HeldOut(Arc<Slice>),
    /// The unit's bucket is below the bound.
    BucketBelow { salt: String, bound: u64 },
    /// The unit's bucket is at or above the bound.
    BucketFrom { salt: String, bound: u64 },
    /// An attribute of the user.
    Attribute(AttributeTest),
    /// Not all of these attributes' tests hold.
    NotAll(Vec<AttributeTest>),
}

/// A share of the units of one type, under a salt of its own.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) unit_type: String,
    pub(super) salt: String,
    pub(super) percentage: f64,
}

impl Slice {
    /// The rule part of a slice's hash.
    const RULE: &'static str = "holdout";

    pub(super) fn contains(&self, user: &User) -> bool {
        user.unit(&self.unit_type)
            .is_some_and(|unit| bucketing::passes(&self.salt, Self::RULE, unit, self.percentage))
    }
}
