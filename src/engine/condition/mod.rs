//! Conditions parsed once, and tested against users.

mod compare;
mod country;
mod found;
mod subject;
mod user_agent;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::bucketing::Prefix;
use super::form::Ruleset;
use crate::domain::bucket_set::{BUCKETS, BucketSet};
use crate::domain::condition::{self, Operator, Subject, UserAgentField};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use compare::Comparison;
use found::Found;
use subject::Source;
pub(super) use subject::UnitRef;

/// The user's public values of some attributes. What is asked for and not given follows from the address or the user agent,
/// as it does in conditions.
pub(super) fn kept_attributes(user: &User, names: &[String]) -> BTreeMap<String, String> {
    let mut kept = user.named_attributes(names);
    for name in names.iter().filter(|name| !user.private.contains_key(*name)) {
        if !kept.contains_key(name)
            && let Some(value) = derived(user, name)
        {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

fn derived(user: &User, name: &str) -> Option<String> {
    match name {
        "country" => country::of(&user.ip).map(str::to_owned),
        "browser_name" => user_agent::read(&user.user_agent, UserAgentField::BrowserName),
        "os_name" => user_agent::read(&user.user_agent, UserAgentField::OsName),
        _ => None,
    }
}

/// A condition that is parsed and ready.
#[derive(Debug)]
pub(super) struct Condition(Test);

#[derive(Debug)]
enum Test {
    /// A gate, segment or holdout passes, or does not.
    Nested {
        /// Where it is among the compiled ones; none for one that is not there, which nobody passes.
        spec: Option<usize>,
        passes: bool,
    },
    /// The unit's bucket is one of these.
    Bucket { prefix: Prefix, unit: UnitRef, accepted: Box<[bool]> },
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
            Some(Self(Test::Nested { spec, passes }))
        };
        let source = match &condition.subject {
            Subject::Gate(key) => return nested(key),
            Subject::Segment(key) => return nested(&super::form::segment_name(key)),
            Subject::Bucket(draw) => {
                let any = condition.operator == Operator::Any;
                let accepted = if any || condition.operator == Operator::None {
                    // Layers have long lists of buckets, which need not be compared one by one.
                    let listed = BucketSet::of(condition.values.iter().filter_map(Value::as_i64));
                    (0..BUCKETS).map(|bucket| listed.contains(bucket) == any).collect()
                } else {
                    let comparison = Comparison::compile(condition, ruleset)?;
                    (0..BUCKETS).map(|bucket| comparison.holds(&Found::Number(bucket as f64))).collect()
                };
                let unit = UnitRef::new(&draw.unit_type);
                let prefix = Prefix::of_buckets(&draw.salt);
                return Some(Self(Test::Bucket { prefix, unit, accepted }));
            }
            subject => Source::compile(subject)?,
        };
        Some(Self(Test::Compare { source, comparison: Comparison::compile(condition, ruleset)? }))
    }

    /// Whether it is about a gate, segment or holdout.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self.0, Test::Nested { .. })
    }

    /// The text it is compared by; none for what is missing. `nested` evaluates a gate, segment or holdout.
    pub(super) fn found(
        &self,
        user: &User,
        now: Timestamp,
        nested: impl FnOnce(usize) -> bool,
    ) -> Option<String> {
        match &self.0 {
            Test::Nested { spec, .. } => spec.map(nested).map(|passes| passes.to_string()),
            Test::Bucket { prefix, unit, .. } => {
                Some(prefix.bucket(unit.of(user).unwrap_or_default()).to_string())
            }
            Test::Compare { source, .. } => source.find(user, now).text().map(Cow::into_owned),
        }
    }

    /// Whether the user meets it. `nested` evaluates a gate, segment or holdout.
    pub(super) fn holds(&self, user: &User, now: Timestamp, nested: impl FnOnce(usize) -> bool) -> bool {
        match &self.0 {
            Test::Nested { spec, passes } => spec.is_some_and(nested) == *passes,
            Test::Bucket { prefix, unit, accepted } => {
                let bucket = prefix.bucket(unit.of(user).unwrap_or_default());
                let bucket = usize::try_from(bucket).unwrap_or(usize::MAX);
                accepted.get(bucket).copied().unwrap_or(false)
            }
            Test::Compare { source, comparison } => comparison.holds(&source.find(user, now)),
        }
    }
}

#[cfg(test)]
mod tests;
