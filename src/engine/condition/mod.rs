//! Conditions parsed once, and tested against users.

mod compare;
mod found;
mod subject;

use super::bucketing;
use super::form::Ruleset;
use crate::domain::bucket_set::BUCKETS;
use crate::domain::condition::{self, Operator, Subject};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use compare::Comparison;
use found::Found;
use subject::Source;
pub(super) use subject::UnitRef;

/// A condition that is parsed and ready.
#[derive(Debug)]
pub(super) enum Condition {
    /// A gate, segment or holdout passes, or does not.
    Nested {
        /// Where it is among the compiled ones; none for one that is not there, which nobody passes.
        spec: Option<usize>,
        passes: bool,
    },
    /// The unit's bucket is one of these.
    Bucket { salt: String, unit: UnitRef, accepted: Box<[bool]> },
    /// Something known of the user compares in some way.
    Compare { source: Source, comparison: Comparison },
}

impl Condition {
    /// Parses a condition; none when it is not a valid one. `place` finds a gate, segment or holdout by name.
    pub(super) fn compile(
        condition: &condition::Condition,
        ruleset: &Ruleset,
        place: impl Fn(&str) -> Option<usize>,
    ) -> Option<Self> {
        let nested = |name: &str| {
            let spec = place(name);
            let passes = match condition.operator {
                Operator::Passes => true,
                Operator::Fails => false,
                _ => return None,
            };
            Some(Self::Nested { spec, passes })
        };
        let source = match &condition.subject {
            Subject::Gate(key) => return nested(key),
            Subject::Segment(key) => return nested(&super::form::segment_name(key)),
            Subject::Bucket(draw) => {
                let comparison = Comparison::compile(condition, ruleset)?;
                let accepted = (0..BUCKETS).map(|bucket| comparison.holds(&Found::Number(bucket as f64)));
                let unit = UnitRef::new(&draw.unit_type);
                return Some(Self::Bucket { salt: draw.salt.clone(), unit, accepted: accepted.collect() });
            }
            subject => Source::compile(subject)?,
        };
        Some(Self::Compare { source, comparison: Comparison::compile(condition, ruleset)? })
    }

    /// Whether it is about a gate, segment or holdout.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self, Self::Nested { .. })
    }

    /// Whether the user meets it. `nested` evaluates a gate, segment or holdout.
    pub(super) fn holds(
        &self,
        user: &User,
        now: Timestamp,
        nested: impl FnOnce(usize) -> bool,
    ) -> bool {
        match self {
            Self::Nested { spec, passes } => spec.is_some_and(nested) == *passes,
            Self::Bucket { salt, unit, accepted } => {
                let bucket = bucketing::bucket(salt, unit.of(user).unwrap_or_default());
                let bucket = usize::try_from(bucket).unwrap_or(usize::MAX);
                accepted.get(bucket).copied().unwrap_or(false)
            }
            Self::Compare { source, comparison } => comparison.holds(&source.find(user, now)),
        }
    }
}

#[cfg(test)]
mod tests;
