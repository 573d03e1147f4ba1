//! Quantiles of events, as robust to units with many events as the ratio metrics are.
//!
//! Decisions do not use them: they test the share of events above a frozen value, see [`tail`].

use super::estimate::Estimate;
use super::joint_moments::PairMoments;
use super::normal;
use super::order;
use super::undefined::Undefined;

/// Level of the interval that the standard error is read from.
const OUTER_LEVEL: f64 = 0.95;

/// One arm's quantile, with the outer interval that takes the place of a density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Which quantile, in (0, 1).
    pub share: f64,
    /// Its estimate.
    pub value: f64,
    /// Lower end of its 95 % interval as if events were independent.
    pub low: f64,
    /// Upper end of that.
    pub high: f64,
    /// Number of events.
    pub events: u64,
    /// Number of events the interval was read for; fewer than there are where it comes from a coarser grid.
    pub interval_events: u64,
    /// Each unit's number of events at or below the estimate, and number of events; none where every event is a unit of its
    /// own.
    pub clusters: Option<PairMoments>,
}

impl Quantile {
    /// The quantile of the events of several units.
    ///
    /// The outer interval has the ranks n(ν ± z√(ν(1 − ν)/n)), rounded outwards.
    pub fn of_units(units: &[Vec<f64>], share: f64) -> Result<Self, Undefined> {
        let mut sorted: Vec<f64> = units.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let events = sorted.len() as u64;
        let n = events as f64;
        if !is_wide_enough(n, share) {
            return Err(Undefined::TooFewEvents);
        }
        let reach = outer_deviate() * (share * (1.0 - share) / n).sqrt();
        let at = |share: f64| order::quantile(&sorted, share, order::Rule::InvertedCdf);
        // The order statistic of rank r is the inverse of the distribution at r/n.
        let ends = (at(share), at((n * (share - reach)).floor() / n), at((n * (share + reach)).ceil() / n));
        let (Some(value), Some(low), Some(high)) = ends else {
            return Err(Undefined::TooFewEvents);
        };
        let mut clusters = PairMoments::default();
        for unit in units.iter().filter(|unit| !unit.is_empty()) {
            let below = unit.iter().filter(|event| **event <= value).count();
            clusters.add(below as f64, unit.len() as f64);
        }
        Ok(Self { share, value, low, high, events, interval_events: events, clusters: Some(clusters) })
    }

    /// The estimate with its variance per event: n((q_U − q_L)/(2z))², times how much more the share below the estimate
    /// varies over units than over independent events, Var(Ī)/(ν(1 − ν)/n) (Deng, Knoblich, Lu 2018, section 4).
    pub fn estimate(&self) -> Result<Estimate, Undefined> {
        let n = self.events as f64;
        let interval_n = self.interval_events as f64;
        if !is_wide_enough(n.min(interval_n), self.share) {
            return Err(Undefined::TooFewEvents);
        }
        let spread = (self.high - self.low) / (2.0 * outer_deviate());
        let independent = interval_n / n * (n - 1.0) * spread * spread;
        let inflation = match &self.clusters {
            Some(clusters) => {
                Estimate::of_ratio(clusters)?.squared_error() * n / (self.share * (1.0 - self.share))
            }
            None => 1.0,
        };
        Estimate::new(self.events, self.value, independent * inflation)
    }
}

/// What a unit adds to the tail-share ratio: its number of events above `threshold`, and its number of events.
///
/// The quantile ν rises exactly when the share of events above its frozen baseline rises over 1 − ν (Woodruff 1952), and a
/// share of events is a ratio of sums over units: see [`Estimate::of_ratio`].
#[must_use]
pub fn tail(events: &[f64], threshold: f64) -> (f64, f64) {
    let above = events.iter().filter(|event| **event > threshold).count();
    (above as f64, events.len() as f64)
}

/// Whether the outer ranks lie among the events: n > z²ν/(1 − ν), and the same from below.
fn is_wide_enough(n: f64, share: f64) -> bool {
    let odds = share / (1.0 - share);
    share > 0.0 && share < 1.0 && n > outer_deviate().powi(2) * odds.max(1.0 / odds)
}

fn outer_deviate() -> f64 {
    -normal::quantile((1.0 - OUTER_LEVEL) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units with one event each, at 1, 2, 3, …
    fn single(count: u32) -> Vec<Vec<f64>> {
        (1..=count).map(|event| vec![f64::from(event)]).collect()
    }

    #[test]
    fn the_median_of_many_units_has_the_spread_of_its_density() {
        let found = Quantile::of_units(&single(10_000), 0.5).unwrap();
        assert!((found.value - 5_000.0).abs() < 1e-9);
        // Uniform events on (0, 10,000): √(¼/n)·10,000.
        let standard_error = found.estimate().unwrap().squared_error().sqrt();
        assert!((standard_error / 50.0 - 1.0).abs() < 0.02, "{standard_error}");
    }

    #[test]
    fn events_of_one_unit_that_are_alike_count_once() {
        let apart = Quantile::of_units(&single(4_000), 0.9).unwrap().estimate().unwrap();
        let alike: Vec<Vec<f64>> = (1..=4_000).map(|unit| vec![f64::from(unit); 9]).collect();
        let alike = Quantile::of_units(&alike, 0.9).unwrap().estimate().unwrap();
        assert!((alike.squared_error() / apart.squared_error() - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_quantile_beyond_the_events_is_undefined() {
        assert_eq!(Quantile::of_units(&single(380), 0.99), Err(Undefined::TooFewEvents));
        assert!(Quantile::of_units(&single(381), 0.99).is_ok());
        assert_eq!(Quantile::of_units(&single(380), 0.01), Err(Undefined::TooFewEvents));
        assert_eq!(Quantile::of_units(&[], 0.5), Err(Undefined::TooFewEvents));
        assert_eq!(Quantile::of_units(&single(380), f64::NAN), Err(Undefined::TooFewEvents));
    }

    #[test]
    fn a_quantile_rises_when_the_share_above_its_baseline_does() {
        assert_eq!(tail(&[1.0, 5.0, 5.5, 9.0], 5.0), (2.0, 4.0));
        assert_eq!(tail(&[], 5.0), (0.0, 0.0));
    }
}
