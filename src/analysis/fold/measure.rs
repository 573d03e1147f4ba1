//! A metric as units are folded by it.

use std::borrow::Cow;

use super::definition::Definition;
use super::sums::Shape;
use crate::domain::launch::Launch;
use crate::domain::metric::kind::{Of, Returned, StateChange};
use crate::domain::metric::{Metric, MetricKind};
use crate::domain::time::DAY_MS;

/// A metric as units are folded by it.
#[derive(Clone, Debug)]
pub struct Measure<'m> {
    /// The metric.
    pub metric: Cow<'m, Metric>,
    /// Where the tail of a quantile begins; none for other metrics, and while it is not known.
    pub threshold: Option<f64>,
}

impl<'m> Measure<'m> {
    /// All of a launch, under a definition.
    #[must_use]
    pub fn all(launch: &'m Launch, definition: &Definition) -> Vec<Self> {
        launch.metrics.iter().map(|pinned| Self::new(Cow::Borrowed(&pinned.metric), definition)).collect()
    }

    /// One metric, with the threshold that was frozen where its document has none.
    #[must_use]
    pub fn new(metric: Cow<'m, Metric>, definition: &Definition) -> Self {
        let written = metric.tail.and_then(|tail| tail.threshold);
        let threshold = written.or_else(|| definition.thresholds.get(&metric.key).copied());
        Self { metric, threshold }
    }

    /// Whether nobody knows where its tail begins.
    #[must_use]
    pub fn has_no_baseline(&self) -> bool {
        self.metric.needs_baseline() && self.threshold.is_none()
    }

    /// What it keeps of a unit.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let of_events = self.metric.tail.is_some_and(|tail| tail.of == Of::Events);
        let ratio = match self.metric.kind {
            MetricKind::Mean | MetricKind::Ratio => true,
            MetricKind::Quantile => of_events,
            _ => false,
        };
        match (ratio, self.metric.covariate_ms.is_some()) {
            (false, false) => Shape::Mean,
            (true, false) => Shape::Ratio,
            (false, true) => Shape::Adjusted,
            (true, true) => Shape::AdjustedRatio,
        }
    }

    /// Whether the days of any activity count.
    #[must_use]
    pub fn needs_days(&self) -> bool {
        match self.metric.kind {
            MetricKind::ActiveDays | MetricKind::StateChange => true,
            MetricKind::Retention => self.metric.event.is_empty(),
            _ => false,
        }
    }

    /// How long after its first exposure a unit is watched, in milliseconds; none where that is open.
    #[must_use]
    pub fn watched_ms(&self) -> Option<i64> {
        let days = |days: u32| i64::from(days).saturating_add(1).saturating_mul(DAY_MS);
        match (self.metric.returned, self.metric.state) {
            (Some(Returned { to_day, .. }), _) => Some(days(to_day)),
            (_, Some(StateChange { days: after, .. })) => Some(days(after)),
            _ => self.metric.window_ms,
        }
    }
}
