//! How a unit's events become its number.

use serde::{Deserialize, Serialize};

use super::Metric;
use super::filter::{Filter, check_filters};
use crate::domain::event::MAX_VALUE;
use crate::domain::key::MAX_NAME_BYTES;
use crate::domain::violation::Checks;

/// Latest day on which a unit may be asked to return, and longest window of a change of activity.
pub const MAX_DAYS: u32 = 365;

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
    /// Mean of the events' values over all events: a ratio of their sum to their number, with its spread over units.
    Mean,
    /// A ratio of two sums over units.
    Ratio,
    /// 1 for a unit that returned between two days after its first exposure, else 0. It counts once the last is over.
    Retention,
    /// A quantile, as the share of what lies beyond a frozen threshold.
    Quantile,
    /// 1 for a unit whose activity changed, else 0. It counts once the days after its first exposure are over.
    StateChange,
}

/// One part of a ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Name of the event.
    pub event: String,
    /// Conversion, count or sum.
    #[serde(default = "count")]
    pub kind: MetricKind,
    /// Only events that pass all of them count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

fn count() -> MetricKind {
    MetricKind::Count
}

/// Between which days a unit is to return; the day of the first exposure is day 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// The first day that counts, from 1.
    pub from_day: u32,
    /// The last day that counts.
    pub to_day: u32,
}

/// Where the tail of a quantile begins, and what is counted in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// The quantile, above 0 and below 1.
    pub quantile: f64,
    /// The value of the quantile before the launch; none: taken from what is stored when the launch begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Which side counts.
    #[serde(default)]
    pub side: Side,
    /// Share of what.
    #[serde(default)]
    pub of: Of,
}

/// A side of a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Values above it.
    #[default]
    Above,
    /// Values below it.
    Below,
}

/// What a share is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Of all events with a value, clustered by unit.
    #[default]
    Events,
    /// Of all units, by the sum of their values.
    Units,
}

/// A change of activity around the first exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// Which change.
    pub to: Activity,
    /// How many UTC days before and after the day of the first exposure are looked at.
    pub days: u32,
}

/// What became of a unit's activity: in the days before its first exposure, and in those after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Active before, and not after.
    Churned,
    /// Not active before, but earlier, and active after.
    Resurrected,
    /// Active neither before nor after.
    Stale,
    /// Never active before, and active after.
    New,
}

impl Metric {
    /// Notes a violation for each field that the kind needs and has not, or has and does not need.
    pub(super) fn check_kind(&self, checks: &mut Checks) {
        let kind = self.kind;
        let any_activity = matches!(kind, MetricKind::ActiveDays | MetricKind::StateChange);
        if any_activity {
            let message = "must be empty: active days and changes of activity count any activity";
            checks.require(self.event.is_empty(), "metric.event", message);
        } else if kind == MetricKind::Ratio {
            checks.require(
                self.event.is_empty(),
                "metric.event",
                "must be empty: a ratio's parts name theirs",
            );
        } else if kind != MetricKind::Retention || !self.event.is_empty() {
            check_event(checks, "metric.event", &self.event);
        }
        let fits = self.filters.is_empty() || !self.event.is_empty();
        checks.require(fits, "metric.filters", "must be empty where the metric names no event");
        let parts = [("metric.numerator", &self.numerator), ("metric.denominator", &self.denominator)];
        for (field, part) in parts {
            match part {
                Some(part) if kind == MetricKind::Ratio => part.check(checks, field),
                Some(_) => checks.require(false, field, "must not be set: the metric is no ratio"),
                None => checks.require(kind != MetricKind::Ratio, field, "must be set for a ratio"),
            }
        }
        let set = [
            ("metric.returned", self.returned.is_some(), MetricKind::Retention, "a retention"),
            ("metric.tail", self.tail.is_some(), MetricKind::Quantile, "a quantile"),
            ("metric.state", self.state.is_some(), MetricKind::StateChange, "a change of activity"),
        ];
        for (field, is_set, owner, name) in set {
            checks.require(
                is_set == (kind == owner),
                field,
                format!("must be set for {name}, and only there"),
            );
        }
        self.check_figures(checks);
        let has_end = matches!(kind, MetricKind::Retention | MetricKind::StateChange);
        checks.require(
            !has_end || self.window_ms.is_none(),
            "metric.window",
            "must not be set: the metric has days of its own",
        );
        checks.require(
            !has_end || self.covariate_ms.is_none(),
            "metric.covariate",
            "must not be set: nobody can return before the first exposure",
        );
        let capped = matches!(kind, MetricKind::Count | MetricKind::Sum | MetricKind::ActiveDays);
        checks.require(
            capped || self.cap.is_none(),
            "metric.cap",
            "must not be set: only counts, sums and days have one",
        );
    }

    fn check_figures(&self, checks: &mut Checks) {
        if let Some(Returned { from_day, to_day }) = self.returned {
            let fits = (1..=MAX_DAYS).contains(&from_day) && (from_day..=MAX_DAYS).contains(&to_day);
            checks.require(
                fits,
                "metric.returned",
                format!("must be days from 1 to {MAX_DAYS}, the first first"),
            );
        }
        if let Some(state) = self.state {
            let fits = (1..=MAX_DAYS).contains(&state.days);
            checks.require(fits, "metric.state.days", format!("must be from 1 to {MAX_DAYS}"));
        }
        if let Some(tail) = self.tail {
            let fits = tail.quantile > 0.0 && tail.quantile < 1.0;
            checks.require(fits, "metric.tail.quantile", "must be above 0 and below 1");
            let fits = tail.threshold.is_none_or(|threshold| threshold.abs() <= MAX_VALUE);
            checks.require(
                fits,
                "metric.tail.threshold",
                format!("must be from -{MAX_VALUE:e} to {MAX_VALUE:e}"),
            );
        }
    }
}

impl Part {
    fn check(&self, checks: &mut Checks, field: &str) {
        check_event(checks, &format!("{field}.event"), &self.event);
        let fits = matches!(self.kind, MetricKind::Conversion | MetricKind::Count | MetricKind::Sum);
        checks.require(fits, format!("{field}.kind"), "must be conversion, count or sum");
        check_filters(checks, &format!("{field}.filters"), &self.filters);
    }
}

fn check_event(checks: &mut Checks, field: &str, event: &str) {
    let fits = !event.is_empty() && event.len() <= MAX_NAME_BYTES;
    checks.require(fits, field, format!("must be 1 to {MAX_NAME_BYTES} bytes"));
}
