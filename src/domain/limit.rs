//! An absolute limit: a level that a metric must not cross, whatever it is compared with.

use serde::{Deserialize, Serialize};

use super::time::DAY_MS;
use super::violation::Checks;

/// How long a limit is watched once everyone has the treatment, where it does not say.
pub const DEFAULT_LIMIT_WINDOW_MS: i64 = 7 * DAY_MS;
/// Units before a limit counts, where it does not say.
pub const DEFAULT_LIMIT_UNITS: u64 = 100;

/// A level that the metric's value per unit must not cross in the bad direction once everyone has the treatment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The level, above 0.
    pub level: f64,
    /// How long it is watched once everyone has the treatment, in milliseconds.
    #[serde(default = "default_window_ms")]
    pub window_ms: i64,
    /// Units before it counts.
    #[serde(default = "default_units")]
    pub min_units: u64,
}

fn default_window_ms() -> i64 {
    DEFAULT_LIMIT_WINDOW_MS
}

fn default_units() -> u64 {
    DEFAULT_LIMIT_UNITS
}

impl Limit {
    /// Notes what is wrong with it; `field` is its path.
    pub fn check(&self, checks: &mut Checks, field: &str) {
        let level = self.level > 0.0 && self.level.is_finite();
        checks.require(level, format!("{field}.level"), format!("must be above 0, is {}", self.level));
        let window = (1..=365 * DAY_MS).contains(&self.window_ms);
        checks.require(window, format!("{field}.window"), "must be from 1 ms to 365 days");
        checks.require(
            (30..=1_000_000_000).contains(&self.min_units),
            format!("{field}.min_units"),
            format!("must be from 30 to 1,000,000,000, is {}", self.min_units),
        );
    }
}
