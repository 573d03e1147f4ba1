//! Bounds of what a metric's events may look like before its numbers are not believed.

use serde::{Deserialize, Serialize};

use crate::domain::violation::Checks;

/// Bounds of one metric; each that is not set has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audits {
    /// Least volume, as a share of its own recent mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_volume: Option<f64>,
    /// Largest volume, in times its own recent mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_volume: Option<f64>,
    /// Largest share of events without a value, where values are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_without_value: Option<f64>,
    /// Largest share of events without a unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_without_unit: Option<f64>,
    /// Least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_value: Option<f64>,
    /// Greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_value: Option<f64>,
    /// Largest share of repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duplicates: Option<f64>,
    /// Largest share of events that come before their time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_skewed: Option<f64>,
    /// Least share of exposed units with any event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_joined: Option<f64>,
    /// Largest share of units seen in two arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_two_arms: Option<f64>,
}

impl Audits {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self, checks: &mut Checks, field: &str) {
        let shares = [
            ("min_volume", self.min_volume),
            ("max_without_value", self.max_without_value),
            ("max_without_unit", self.max_without_unit),
            ("max_duplicates", self.max_duplicates),
            ("max_skewed", self.max_skewed),
            ("min_joined", self.min_joined),
            ("max_in_two_arms", self.max_in_two_arms),
        ];
        for (name, share) in shares {
            let fits = share.is_none_or(|share| (0.0..=1.0).contains(&share));
            checks.require(fits, format!("{field}.{name}"), "must be from 0 to 1");
        }
        let fits = self.max_volume.is_none_or(|times| times >= 1.0 && times.is_finite());
        checks.require(fits, format!("{field}.max_volume"), "must be at least 1");
        for (name, value) in [("min_value", self.min_value), ("max_value", self.max_value)] {
            checks.require(value.is_none_or(f64::is_finite), format!("{field}.{name}"), "must be a number");
        }
    }
}
