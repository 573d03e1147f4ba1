//! Running totals of one unit's events.

use super::measure::Measure;
use super::sums::Values;
use crate::analysis::history::Deed;
use crate::domain::metric::filter::Filter;
use crate::domain::metric::kind::{Of, Part, Side, Tail};
use crate::domain::metric::{Metric, MetricKind};

/// What of an event is added up.
#[derive(Clone, Copy, Debug)]
enum What {
    /// 1, once.
    Any,
    /// 1.
    Each,
    /// Its value; nothing without one.
    Value,
    /// 1 where it has a value.
    Valued,
    /// 1 where its value lies beyond a threshold.
    Beyond(f64, Side),
}

/// A total of one kind over the events of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track<'m> {
    event: &'m str,
    filters: &'m [Filter],
    what: What,
}

/// The totals of a metric made from events, and what becomes of them.
#[derive(Clone, Debug)]
pub(super) struct Tracks<'m> {
    first: Track<'m>,
    second: Option<Track<'m>>,
    cap: f64,
    beyond: Option<(f64, Side)>,
}

impl<'m> Tracks<'m> {
    /// Of a metric made from events; none where it is not, or where its threshold is not known.
    pub(super) fn of(measure: &'m Measure<'_>) -> Option<Self> {
        let metric: &'m Metric = &measure.metric;
        let own = |what| Track { event: &metric.event, filters: &metric.filters, what };
        let (first, second, beyond) = match metric.kind {
            MetricKind::Conversion => (own(What::Any), None, None),
            MetricKind::Count => (own(What::Each), None, None),
            MetricKind::Sum => (own(What::Value), None, None),
            MetricKind::Mean => (own(What::Value), Some(own(What::Valued)), None),
            MetricKind::Ratio => {
                let (above, below) = (metric.numerator.as_ref()?, metric.denominator.as_ref()?);
                (Track::of_part(above), Some(Track::of_part(below)), None)
            }
            MetricKind::Quantile => {
                let (Tail { side, of, .. }, threshold) = (metric.tail?, measure.threshold?);
                match of {
                    Of::Events => (own(What::Beyond(threshold, side)), Some(own(What::Valued)), None),
                    Of::Units => (own(What::Value), None, Some((threshold, side))),
                }
            }
            MetricKind::ActiveDays | MetricKind::Retention | MetricKind::StateChange => return None,
        };
        Some(Self { first, second, cap: metric.cap.unwrap_or(f64::INFINITY), beyond })
    }

    /// Adds an event; says whether it counts.
    pub(super) fn add(&self, totals: &mut [f64; 2], deed: &Deed) -> bool {
        let [first, second] = totals;
        let counts = self.first.add(first, deed);
        let counts_below = self.second.is_some_and(|track| track.add(second, deed));
        counts || counts_below
    }

    /// The unit's values at these totals: numerator and denominator.
    pub(super) fn values(&self, totals: [f64; 2]) -> [f64; 2] {
        let [first, second] = totals;
        match self.beyond {
            Some((threshold, side)) => [share(is_beyond(first, threshold, side)), 0.0],
            None => [first.min(self.cap), second],
        }
    }

    /// Whether two values of a unit are followed.
    pub(super) fn is_ratio(&self) -> bool {
        self.second.is_some()
    }
}

impl<'m> Track<'m> {
    fn of_part(part: &'m Part) -> Self {
        let what = match part.kind {
            MetricKind::Conversion => What::Any,
            MetricKind::Sum => What::Value,
            _ => What::Each,
        };
        Self { event: &part.event, filters: &part.filters, what }
    }

    fn add(&self, total: &mut f64, deed: &Deed) -> bool {
        let passes = |filter: &Filter| filter.passes(&deed.properties, &deed.attributes);
        if deed.name != self.event || !self.filters.iter().all(passes) {
            return false;
        }
        match self.what {
            What::Any => *total = 1.0,
            What::Each => *total += 1.0,
            What::Value => *total += deed.value.unwrap_or(0.0),
            What::Valued => *total += share(deed.value.is_some()),
            What::Beyond(threshold, side) => {
                *total += share(deed.value.is_some_and(|value| is_beyond(value, threshold, side)));
            }
        }
        true
    }
}

/// A unit's values with those of its covariate behind them.
pub(super) fn with_covariate(values: [f64; 2], covariate: Option<[f64; 2]>, is_ratio: bool) -> Values {
    let [first, second] = values;
    match (covariate, is_ratio) {
        (None, _) => [first, second, 0.0, 0.0],
        (Some([before, _]), false) => [first, before, 0.0, 0.0],
        (Some([above, below]), true) => [first, second, above, below],
    }
}

pub(super) fn share(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn is_beyond(value: f64, threshold: f64, side: Side) -> bool {
    match side {
        Side::Above => value > threshold,
        Side::Below => value < threshold,
    }
}
