//! A metric: a number per unit, computed from stored events.

use serde::{Deserialize, Serialize};

use super::key::{MAX_NAME_BYTES, check_document};
use super::limit::Limit;
use super::stored::Document;
use super::time::DAY_MS;
use super::violation::{Checks, Invalid};

/// The tag that makes a metric a guardrail.
pub const GUARDRAIL_TAG: &str = "guardrail";
/// Relative harm that must be excluded before a metric counts as safe, where the metric does not say.
pub const DEFAULT_SHIP_MARGIN: f64 = 0.02;
/// Age at which numbers turn stale, where the metric does not say.
pub const DEFAULT_FRESHNESS_MS: i64 = 300_000;
/// Units in the smaller arm before evidence counts, where the metric does not say.
pub const DEFAULT_MIN_UNITS: u64 = 100;
/// Longest window and freshness.
pub const MAX_WINDOW_MS: i64 = 365 * DAY_MS;

/// A metric as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Unique name.
    pub key: String,
    /// What it measures.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How a unit's events become its number.
    pub kind: MetricKind,
    /// Name of the event it is made from; empty for active days.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// Which way is good.
    pub direction: Direction,
    /// Relative harm that is tolerated, in [0, 1).
    #[serde(default)]
    pub margin: f64,
    /// Relative harm that must be excluded before it counts as safe, in (margin, 1).
    #[serde(default = "default_ship_margin")]
    pub ship_margin: f64,
    /// Weight among the guardrails of a launch, in (0, 1000].
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// How long after first exposure a unit's events count, in milliseconds; none means as long as its epoch lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<i64>,
    /// Age in milliseconds at which its numbers turn stale.
    #[serde(default = "default_freshness_ms")]
    pub freshness_ms: i64,
    /// Units in the smaller arm before evidence counts.
    #[serde(default = "default_min_units")]
    pub min_units: u64,
    /// A level that it must not cross once everyone has the treatment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

fn default_ship_margin() -> f64 {
    DEFAULT_SHIP_MARGIN
}

fn default_weight() -> f64 {
    1.0
}

fn default_freshness_ms() -> i64 {
    DEFAULT_FRESHNESS_MS
}

fn default_min_units() -> u64 {
    DEFAULT_MIN_UNITS
}

/// How a unit's events become its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// 1 for a unit with at least one event, else 0.
    Conversion,
    /// How many events.
    Count,
    /// Sum of the events' values.
    Sum,
    /// On how many UTC days the unit did anything, exposures included.
    ActiveDays,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A fall is harm.
    HigherIsBetter,
    /// A rise is harm.
    LowerIsBetter,
}

impl Document for Metric {
    const KIND: &'static str = "metric";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "metric", &self.key, prose, &self.owner, &self.tags);
        if self.kind == MetricKind::ActiveDays {
            checks.require(
                self.event.is_empty(),
                "metric.event",
                "must be empty: active days count any activity",
            );
        } else {
            let fits = !self.event.is_empty() && self.event.len() <= MAX_NAME_BYTES;
            checks.require(fits, "metric.event", format!("must be 1 to {MAX_NAME_BYTES} bytes"));
        }
        check_margins(&mut checks, "metric.margin", self.margin, "metric.ship_margin", self.ship_margin);
        check_weight(&mut checks, "metric.weight", self.weight);
        let window = self.window_ms.is_none_or(|window| (1..=MAX_WINDOW_MS).contains(&window));
        checks.require(window, "metric.window", "must be from 1 ms to 365 days");
        checks.require(
            (1_000..=30 * DAY_MS).contains(&self.freshness_ms),
            "metric.freshness",
            "must be from 1 s to 30 days",
        );
        checks.require(
            (30..=1_000_000_000).contains(&self.min_units),
            "metric.min_units",
            format!("must be from 30 to 1,000,000,000, is {}", self.min_units),
        );
        if let Some(limit) = &self.limit {
            limit.check(&mut checks, "metric.limit");
        }
        checks.finish()
    }
}

impl Metric {
    /// Whether it must not get worse.
    #[must_use]
    pub fn is_guardrail(&self) -> bool {
        self.tags.iter().any(|tag| tag == GUARDRAIL_TAG)
    }
}

/// Notes a violation unless `margin` is in [0, 1) and `ship_margin` in (margin, 1).
pub fn check_margins(checks: &mut Checks, field: &str, margin: f64, ship_field: &str, ship_margin: f64) {
    checks.require(
        (0.0..1.0).contains(&margin),
        field,
        format!("must be at least 0 and below 1, is {margin}"),
    );
    checks.require(
        ship_margin > margin && ship_margin < 1.0,
        ship_field,
        format!("must be above the margin and below 1, is {ship_margin}"),
    );
}

/// Notes a violation unless `weight` is in (0, 1000].
pub fn check_weight(checks: &mut Checks, field: &str, weight: f64) {
    let fits = weight > 0.0 && weight <= 1_000.0;
    checks.require(fits, field, format!("must be above 0 and at most 1,000, is {weight}"));
}
