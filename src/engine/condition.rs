//! Conditions parsed once, and tested against users.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::domain::condition::{Condition, Operator, parse_version};
use crate::domain::user::User;

/// A condition whose values are parsed.
#[derive(Debug)]
pub(super) struct AttributeTest {
    attribute: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Any(HashSet<String>),
    None(HashSet<String>),
    Number(f64, Accept),
    Version(Vec<u64>, Accept),
}

/// Which orderings of the attribute against the value are accepted.
#[derive(Clone, Copy, Debug)]
struct Accept {
    ordering: Ordering,
    equal: bool,
}

impl Accept {
    fn accepts(self, ordering: Ordering) -> bool {
        ordering == self.ordering || (self.equal && ordering == Ordering::Equal)
    }
}

impl AttributeTest {
    /// Parses a condition; none when it is not a valid one.
    pub(super) fn compile(condition: &Condition) -> Option<Self> {
        let lowered = || condition.values.iter().map(|value| value.to_lowercase()).collect();
        let number = |ordering, equal| {
            let value = condition.single()?.parse().ok()?;
            Some(Test::Number(value, Accept { ordering, equal }))
        };
        let version = |ordering, equal| {
            let value = parse_version(condition.single()?)?;
            Some(Test::Version(value, Accept { ordering, equal }))
        };
        let test = match condition.operator {
            Operator::Any => Test::Any(lowered()),
            Operator::None => Test::None(lowered()),
            Operator::Gt => number(Ordering::Greater, false)?,
            Operator::Gte => number(Ordering::Greater, true)?,
            Operator::Lt => number(Ordering::Less, false)?,
            Operator::Lte => number(Ordering::Less, true)?,
            Operator::VersionGt => version(Ordering::Greater, false)?,
            Operator::VersionGte => version(Ordering::Greater, true)?,
            Operator::VersionLt => version(Ordering::Less, false)?,
            Operator::VersionLte => version(Ordering::Less, true)?,
        };
        Some(Self { attribute: condition.attribute.clone(), test })
    }

    /// Whether the user meets it.
    pub(super) fn holds(&self, user: &User) -> bool {
        let Some(text) = user.attribute(&self.attribute) else {
            return matches!(self.test, Test::None(_));
        };
        match &self.test {
            Test::Any(values) => values.contains(&text.to_lowercase()),
            Test::None(values) => !values.contains(&text.to_lowercase()),
            Test::Number(value, accept) => {
                let found = text.trim().parse::<f64>().ok();
                found
                    .and_then(|found| found.partial_cmp(value))
                    .is_some_and(|ordering| accept.accepts(ordering))
            }
            Test::Version(value, accept) => {
                parse_version(&text).is_some_and(|found| accept.accepts(compare_versions(&found, value)))
            }
        }
    }
}

/// Compares versions number by number; missing numbers are 0.
fn compare_versions(a: &[u64], b: &[u64]) -> Ordering {
    let at = |version: &[u64], index: usize| version.get(index).copied().unwrap_or(0);
    (0..a.len().max(b.len()))
        .map(|index| at(a, index).cmp(&at(b, index)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}
