//! A metric: a number per unit, computed from stored events.

pub mod audits;
pub mod filter;
pub mod kind;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::audits::Audits;
use self::filter::{Filter, check_filters};
pub use self::kind::MetricKind;
use self::kind::{Part, Returned, StateChange, Tail};
use super::event::MAX_VALUE;
use super::key::{MAX_NAME_BYTES, check_document, check_key, check_length};
use super::limit::Limit;
use super::stored::Document;
use super::time::DAY_MS;
use super::user::canonical_unit_type;
use super::violation::{Checks, Invalid};

/// The tag that makes a metric a guardrail.
pub const GUARDRAIL_TAG: &str = "guardrail";
/// Relative harm that must be excluded before a metric counts as safe, where the metric does not say.
pub const DEFAULT_SHIP_MARGIN: f64 = 0.02;
/// Age at which numbers turn stale, where the metric does not say.
pub const DEFAULT_FRESHNESS_MS: i64 = 300_000;
/// Units in the smaller arm before evidence counts, where the metric does not say.
pub const DEFAULT_MIN_UNITS: u64 = 100;
/// Keys of the free metrics, and their days.
const FREE: [(&str, i64); 4] = [("dau", 1), ("l7", 7), ("l14", 14), ("l28", 28)];
/// Longest window and freshness.
pub const MAX_WINDOW_MS: i64 = 365 * DAY_MS;
/// How long before a launch the values lie that a quantile's threshold is taken from, where its document has none.
pub const BASELINE_MS: i64 = 28 * DAY_MS;
/// Fewer of these values make no threshold.
pub const BASELINE_VALUES: usize = 200;

/// A metric as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Unique name.
    pub key: String,
    /// What people call it; empty where the key is good enough.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
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
    /// Name of the event it is made from; empty where any activity counts, and for a ratio, whose parts name theirs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// The type of the units that it is a number of; empty where any launch has it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit_type: String,
    /// Only events that pass all of them count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// What a ratio adds up above the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerator: Option<Part>,
    /// What a ratio adds up below the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<Part>,
    /// Between which days a unit is to return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Returned>,
    /// Where the tail of a quantile begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
    /// Which change of activity is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateChange>,
    /// A unit's number beyond this counts as this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<f64>,
    /// How long before its first exposure a unit's covariate reaches back, in milliseconds; none without a covariate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate_ms: Option<i64>,
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
    /// Its events are so rare that their absence says nothing of whether data come in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rare: bool,
    /// What its harm calls for, where it is a guardrail.
    #[serde(default, skip_serializing_if = "Action::is_default")]
    pub action: Action,
    /// Bounds of what its events may look like.
    #[serde(default, skip_serializing_if = "Audits::is_default")]
    pub audits: Audits,
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

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A fall is harm.
    HigherIsBetter,
    /// A rise is harm.
    LowerIsBetter,
}

/// What the harm of a guardrail calls for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The treatment goes off.
    #[default]
    RollBack,
    /// No further step is taken.
    Hold,
    /// It is told, and nothing else.
    Report,
}

impl Action {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
        check_length(&mut checks, "metric.name", &self.name, MAX_NAME_BYTES);
        if !self.unit_type.is_empty() {
            check_key(&mut checks, "metric.unit_type", &self.unit_type);
        }
        self.check_kind(&mut checks);
        check_filters(&mut checks, "metric.filters", &self.filters);
        self.audits.check(&mut checks, "metric.audits");
        let cap = self.cap.is_none_or(|cap| cap > 0.0 && cap <= MAX_VALUE);
        checks.require(cap, "metric.cap", format!("must be above 0 and at most {MAX_VALUE:e}"));
        let covariate = self.covariate_ms.is_none_or(|back| (1..=MAX_WINDOW_MS).contains(&back));
        checks.require(covariate, "metric.covariate", "must be from 1 ms to 365 days");
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
    /// A metric of a kind with every default.
    #[must_use]
    pub fn of(key: &str, kind: MetricKind, event: &str) -> Self {
        Self {
            key: key.to_owned(),
            name: String::new(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            kind,
            event: event.to_owned(),
            unit_type: String::new(),
            filters: Vec::new(),
            numerator: None,
            denominator: None,
            returned: None,
            tail: None,
            state: None,
            cap: None,
            covariate_ms: None,
            direction: Direction::HigherIsBetter,
            margin: 0.0,
            ship_margin: DEFAULT_SHIP_MARGIN,
            weight: 1.0,
            window_ms: None,
            freshness_ms: DEFAULT_FRESHNESS_MS,
            min_units: DEFAULT_MIN_UNITS,
            rare: false,
            action: Action::RollBack,
            audits: Audits::default(),
            limit: None,
        }
    }

    /// The metrics that every launch has without anyone writing them: on how many UTC days a unit was active within 1, 7,
    /// 14 and 28 days from its first exposure.
    pub fn free() -> impl Iterator<Item = Self> {
        FREE.iter().map(|(key, days)| Self {
            description: format!("Active days within {days} days from the first exposure."),
            window_ms: Some(days * DAY_MS),
            ..Self::of(key, MetricKind::ActiveDays, "")
        })
    }

    /// Whether launches of units of a type have it.
    #[must_use]
    pub fn is_of(&self, unit_type: &str) -> bool {
        self.unit_type.is_empty() || canonical_unit_type(&self.unit_type) == canonical_unit_type(unit_type)
    }

    /// Whether its harm turns the treatment off, where it is a guardrail.
    #[must_use]
    pub fn rolls_back(&self) -> bool {
        self.action == Action::RollBack
    }

    /// Names of the events it is made from; none where any activity counts.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        let parts = self.numerator.iter().chain(&self.denominator).map(|part| part.event.as_str());
        std::iter::once(self.event.as_str()).chain(parts).filter(|name| !name.is_empty())
    }

    /// Whether values of the events of a name are added up.
    #[must_use]
    pub fn uses_values_of(&self, name: &str) -> bool {
        let own = self.event == name
            && matches!(self.kind, MetricKind::Sum | MetricKind::Mean | MetricKind::Quantile);
        let mut parts = self.numerator.iter().chain(&self.denominator);
        own || parts.any(|part| part.event == name && part.kind == MetricKind::Sum)
    }

    /// How long before a unit's first exposure what it did bears on its number, in milliseconds.
    #[must_use]
    pub fn reach_back_ms(&self) -> i64 {
        // Whether a unit was ever seen is asked of as long as any window may be.
        let of_state = self.state.map_or(0, |_| MAX_WINDOW_MS);
        self.covariate_ms.unwrap_or(0).max(of_state)
    }

    /// Whether the threshold of its tail is taken from what is stored.
    #[must_use]
    pub fn needs_baseline(&self) -> bool {
        self.tail.is_some_and(|tail| tail.threshold.is_none())
    }

    /// All filters, those of a ratio's parts included.
    pub fn all_filters(&self) -> impl Iterator<Item = &Filter> {
        let parts = self.numerator.iter().chain(&self.denominator).flat_map(|part| &part.filters);
        self.filters.iter().chain(parts)
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
