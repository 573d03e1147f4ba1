//! Which events count for a metric.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::key::check_length;
use crate::domain::user::MAX_ATTRIBUTE_BYTES;
use crate::domain::violation::Checks;

/// Most filters of one list.
pub const MAX_FILTERS: usize = 20;
/// Most values of one filter.
pub const MAX_FILTER_VALUES: usize = 1_000;

/// A test of something that came with an event. Only texts are compared, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What is tested.
    pub of: FilterSubject,
    /// Name of the property or attribute.
    pub name: String,
    /// How it is tested.
    pub operator: FilterOperator,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What a filter tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterSubject {
    /// A property of the event.
    Property,
    /// A public attribute of the user, as sent with the event.
    Attribute,
}

/// How a filter tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterOperator {
    /// Equals one of the values.
    Any,
    /// Equals none of the values; holds for what is missing.
    None,
    /// Is there.
    Present,
    /// Is not there.
    Absent,
}

impl Filter {
    /// Whether an event with these properties and attributes passes.
    #[must_use]
    pub fn passes(
        &self,
        properties: &BTreeMap<String, String>,
        attributes: &BTreeMap<String, String>,
    ) -> bool {
        let found = match self.of {
            FilterSubject::Property => properties.get(&self.name),
            FilterSubject::Attribute => attributes.get(&self.name),
        };
        match self.operator {
            FilterOperator::Any => found.is_some_and(|found| self.values.contains(found)),
            FilterOperator::None => !found.is_some_and(|found| self.values.contains(found)),
            FilterOperator::Present => found.is_some(),
            FilterOperator::Absent => found.is_none(),
        }
    }
}

/// Notes a violation for each filter that is not well formed.
pub(super) fn check_filters(checks: &mut Checks, field: &str, filters: &[Filter]) {
    let count = filters.len();
    checks.require(count <= MAX_FILTERS, field, format!("must have at most {MAX_FILTERS}, has {count}"));
    for (index, filter) in filters.iter().take(MAX_FILTERS).enumerate() {
        let path = format!("{field}[{index}]");
        check_length(checks, &format!("{path}.name"), &filter.name, MAX_ATTRIBUTE_BYTES);
        checks.require(!filter.name.is_empty(), format!("{path}.name"), "must not be empty");
        let compares = matches!(filter.operator, FilterOperator::Any | FilterOperator::None);
        let fits = if compares {
            (1..=MAX_FILTER_VALUES).contains(&filter.values.len())
        } else {
            filter.values.is_empty()
        };
        let message =
            format!("must be 1 to {MAX_FILTER_VALUES} for any and none, and none for present and absent");
        checks.require(fits, format!("{path}.values"), message);
        for value in filter.values.iter().take(MAX_FILTER_VALUES) {
            check_length(checks, &format!("{path}.values"), value, MAX_ATTRIBUTE_BYTES);
        }
    }
}
