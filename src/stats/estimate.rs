//! What one arm shows of a metric: its value, and the variance per unit behind it.

use super::joint_moments::PairMoments;
use super::moments::Moments;
use super::undefined::Undefined;

/// A linearised variance below this share of its terms is what rounding left of zero.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// One arm's value of a metric. Its squared standard error is the variance per unit over the number of units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    n: u64,
    value: f64,
    /// What rounding took from the value.
    rest: f64,
    variance: f64,
}

impl Estimate {
    /// An estimate from a value, a variance per unit (at least 0), and the number of units behind them, at least 2.
    pub fn new(n: u64, value: f64, variance: f64) -> Result<Self, Undefined> {
        if n < 2 {
            return Err(Undefined::TooFewUnits);
        }
        if !value.is_finite() || !variance.is_finite() {
            return Err(Undefined::TooLarge);
        }
        Ok(Self { n, value, rest: 0.0, variance: variance.max(0.0) })
    }

    /// The mean, with the unbiased variance of a unit.
    pub fn of_mean(moments: &Moments) -> Result<Self, Undefined> {
        let (mean, variance) = moments.mean().zip(moments.variance()).ok_or(Undefined::TooFewUnits)?;
        Ok(Self { rest: moments.mean_rest(), ..Self::new(moments.n, mean, variance)? })
    }

    /// The share of `units` that are `successes`, with the variance p(1 − p) of a unit.
    pub fn of_proportion(successes: u64, units: u64) -> Result<Self, Undefined> {
        if successes > units {
            return Err(Undefined::NoSuchCounts);
        }
        let share = successes as f64 / units as f64;
        Self::new(units, share, share * (1.0 - share))
    }

    /// The ratio R of two sums, with the variance of a unit by the delta method at the unit: (s_N² − 2R s_ND + R² s_D²)/D̄²
    /// (Deng, Knoblich, Lu 2018, "Applying the delta method in metric analytics", section 3).
    pub fn of_ratio(moments: &PairMoments) -> Result<Self, Undefined> {
        let (numerator, denominator, covariance) = moments.covariances().ok_or(Undefined::TooFewUnits)?;
        let (n, scale) = (moments.n(), moments.second.mean().unwrap_or(0.0));
        if scale == 0.0 {
            return Err(Undefined::NoDenominator);
        }
        let ratio = moments.first.sum() / moments.second.sum();
        let terms = [numerator, -2.0 * ratio * covariance, ratio * ratio * denominator];
        let variance: f64 = terms.iter().sum();
        let size: f64 = terms.iter().map(|term| term.abs()).sum();
        let variance = if variance > ROUNDING * size { variance } else { variance.min(0.0) };
        Self::new(n, ratio, variance / (scale * scale))
    }

    /// Number of units.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The metric's value.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Variance per unit, at least 0.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Variance of the value: the squared standard error.
    #[must_use]
    pub fn squared_error(&self) -> f64 {
        self.variance / self.n as f64
    }

    /// By how much the value exceeds another's, with the digits that rounding took from both.
    #[must_use]
    pub fn above(&self, other: &Self) -> f64 {
        (self.value - other.value) + (self.rest - other.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_has_the_spread_of_its_residuals() {
        let rows = [(1.0, 2.0), (3.0, 4.0), (0.0, 1.0), (5.0, 5.0)];
        let mut moments = PairMoments::default();
        for (numerator, denominator) in rows {
            moments.add(numerator, denominator);
        }
        let found = Estimate::of_ratio(&moments).unwrap();
        assert!((found.value() - 0.75).abs() < 1e-15);
        // The residuals N − RD have mean zero.
        let residuals = rows.map(|(numerator, denominator)| (numerator - 0.75 * denominator) / 3.0);
        let variance = residuals.iter().map(|residual| residual * residual).sum::<f64>() / 3.0;
        assert!((found.variance() - variance).abs() < 1e-15);
    }

    #[test]
    fn units_that_all_have_the_same_ratio_have_no_variance() {
        let mut moments = PairMoments::default();
        for unit in 1..50 {
            moments.add(f64::from(unit) / 3.0, f64::from(unit));
        }
        let variance = Estimate::of_ratio(&moments).unwrap().variance();
        assert!(variance.total_cmp(&0.0).is_eq(), "{variance}");
    }

    #[test]
    fn what_cannot_be_had_says_why() {
        let mut moments = PairMoments::default();
        assert_eq!(Estimate::of_ratio(&moments), Err(Undefined::TooFewUnits));
        moments.add(1.0, 0.0);
        moments.add(2.0, 0.0);
        assert_eq!(Estimate::of_ratio(&moments), Err(Undefined::NoDenominator));
        assert_eq!(Estimate::of_mean(&Moments::default()), Err(Undefined::TooFewUnits));
        assert_eq!(Estimate::of_proportion(3, 2), Err(Undefined::NoSuchCounts));
        assert_eq!(Estimate::of_proportion(0, 0), Err(Undefined::TooFewUnits));
        let huge = Moments::from_mean_and_variance(10, 1e300, f64::INFINITY, 10);
        assert_eq!(Estimate::of_mean(&huge), Err(Undefined::TooLarge));
    }
}
