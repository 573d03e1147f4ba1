//! A test of one attribute of a user, as people write it.

use serde::{Deserialize, Serialize};

use super::key::{MAX_LIST, check_length};
use super::user::MAX_ATTRIBUTE_BYTES;
use super::violation::{Checks, Invalid};

/// Most conditions of one rule.
pub const MAX_CONDITIONS: usize = 100;

/// A test of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `user_id`, `country`, `browser`, `app_version`, or the name of a custom attribute.
    pub attribute: String,
    /// How the attribute is compared.
    pub operator: Operator,
    /// What it is compared with.
    pub values: Vec<String>,
}

/// How an attribute is compared. A missing attribute fails every operator but [`Operator::None`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Equals one of the values, ignoring case.
    Any,
    /// Equals none of the values, ignoring case.
    None,
    /// Greater, as numbers.
    Gt,
    /// Greater or equal, as numbers.
    Gte,
    /// Less, as numbers.
    Lt,
    /// Less or equal, as numbers.
    Lte,
    /// Later, as dotted versions.
    VersionGt,
    /// The same or later, as dotted versions.
    VersionGte,
    /// Earlier, as dotted versions.
    VersionLt,
    /// The same or earlier, as dotted versions.
    VersionLte,
}

impl Condition {
    /// Checks the condition; `field` is its path.
    pub fn check(&self, field: &str) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        checks.require(!self.attribute.is_empty(), format!("{field}.attribute"), "must not be empty");
        check_length(&mut checks, &format!("{field}.attribute"), &self.attribute, MAX_ATTRIBUTE_BYTES);
        let values = format!("{field}.values");
        checks.require(
            self.values.len() <= MAX_LIST,
            &values,
            format!("must have at most {MAX_LIST} entries"),
        );
        for (index, value) in self.values.iter().take(MAX_LIST).enumerate() {
            check_length(&mut checks, &format!("{values}[{index}]"), value, MAX_ATTRIBUTE_BYTES);
        }
        match self.operator {
            Operator::Any | Operator::None => {
                checks.require(!self.values.is_empty(), &values, "must have at least one entry");
            }
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                let number = self.single().and_then(|value| value.parse::<f64>().ok());
                checks.require(
                    number.is_some_and(f64::is_finite),
                    &values,
                    "must be exactly one finite number",
                );
            }
            Operator::VersionGt | Operator::VersionGte | Operator::VersionLt | Operator::VersionLte => {
                let version = self.single().and_then(parse_version);
                checks.require(version.is_some(), &values, "must be exactly one version such as 2.10.1");
            }
        }
        checks.finish()
    }

    /// The value, when there is exactly one.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        match self.values.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// Checks a rule's conditions; `field` is the path of the list.
pub fn check_conditions(checks: &mut Checks, field: &str, conditions: &[Condition]) {
    checks.require(
        conditions.len() <= MAX_CONDITIONS,
        field,
        format!("must have at most {MAX_CONDITIONS} entries"),
    );
    for (index, condition) in conditions.iter().take(MAX_CONDITIONS).enumerate() {
        checks.absorb(condition.check(&format!("{field}[{index}]")));
    }
}

/// The numbers of a dotted version; what follows the first `-` is ignored.
#[must_use]
pub fn parse_version(text: &str) -> Option<Vec<u64>> {
    let numbers = text.split('-').next()?;
    numbers.split('.').map(|part| part.parse().ok()).collect()
}
