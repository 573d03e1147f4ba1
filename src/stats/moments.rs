//! Count, sum and centred squares of one value of each unit, and what follows from them.
//!
//! Squares are taken about the mean and merged as such (Chan, Golub, LeVeque 1979; Welford 1962), so that nothing is lost
//! to a mean that is large beside the spread.

use serde::{Deserialize, Serialize};

use super::long_sum::LongSum;

/// A spread of fewer units in the last place of the mean than this is rounding, and no spread.
const ROUNDING_OF_VALUES: f64 = 2.0 * f64::EPSILON;

/// What is kept of one value of each unit of an arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Number of units.
    pub n: u64,
    sum: LongSum,
    squares: f64,
    /// Number of units with a value other than zero.
    pub nonzero: u64,
}

/// Plain sums over units, of their values or of how far these lie above a pivot, as a database adds them up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RawSums {
    /// Number of units.
    pub n: u64,
    /// Σ (y − pivot).
    pub sum: f64,
    /// Σ (y − pivot)².
    pub sum_squares: f64,
    /// Number of units with a value other than zero (of y itself, not of the difference).
    pub nonzero: u64,
}

impl RawSums {
    /// The moments behind sums about `pivot`; 0 for sums of the values themselves.
    ///
    /// Σ(y − ȳ)² = Σ(y − p)² − (Σ(y − p))²/n. The sums hold some sixteen digits, so a spread below about a
    /// hundred-millionth of the distance from pivot to mean cannot be had from them. A difference within their rounding is
    /// taken as 0: digits that are no more than chance must not pass for a small spread, which would make any difference
    /// of means look large.
    #[must_use]
    pub fn about(self, pivot: f64) -> Moments {
        if self.n == 0 {
            return Moments::default();
        }
        let n = self.n as f64;
        let product = self.sum * self.sum;
        let of_mean = if product.is_finite() { product / n } else { self.sum / n * self.sum };
        let centred = self.sum_squares - of_mean;
        let rounding = 4.0 * f64::EPSILON * n.sqrt() * self.sum_squares;
        let squares = if !centred.is_finite() {
            f64::INFINITY
        } else if centred > rounding {
            centred
        } else {
            0.0
        };
        Moments { n: self.n, sum: LongSum::product(n, pivot).plus(self.sum), squares, nonzero: self.nonzero }
    }
}

impl Moments {
    /// The moments behind a mean and an unbiased variance per unit, as published tables give them.
    #[must_use]
    pub fn from_mean_and_variance(n: u64, mean: f64, variance: f64, nonzero: u64) -> Self {
        let freedom = n.saturating_sub(1) as f64;
        Self { n, sum: LongSum::product(n as f64, mean), squares: (variance * freedom).max(0.0), nonzero }
    }

    /// Adds one unit's value.
    pub fn add(&mut self, value: f64) {
        let one = LongSum::default().plus(value);
        *self = self.merged(Self { n: 1, sum: one, squares: 0.0, nonzero: u64::from(value != 0.0) });
    }

    /// The moments of both sets of units together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let distance = self.distance(&other);
        Self {
            n: self.n.saturating_add(other.n),
            sum: self.sum.merged(other.sum),
            squares: self.squares + other.squares + between(self.n, other.n) * distance * distance,
            nonzero: self.nonzero.saturating_add(other.nonzero),
        }
    }

    /// Sum of the units' values, infinite where it overflows.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// Σ (y − ȳ)², at least 0; infinite or not a number where it overflows.
    #[must_use]
    pub fn centred_squares(&self) -> f64 {
        self.squares
    }

    /// Σ y², for those who want plain sums; it holds the spread no better than they do.
    #[must_use]
    pub fn sum_squares(&self) -> f64 {
        let mean = self.mean().unwrap_or(0.0);
        self.squares + mean * self.sum()
    }

    /// Mean per unit; none without units.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum() / self.n as f64)
    }

    /// By how much the mean exceeds another's, in more digits than the two means have; none where either has no units.
    #[must_use]
    pub fn mean_above(&self, other: &Self) -> Option<f64> {
        (self.n > 0 && other.n > 0).then(|| other.distance(self))
    }

    /// Unbiased variance per unit, s² = Σ (y − ȳ)²/(n − 1), at least 0; none with fewer than two units, infinite where the
    /// squares overflow.
    ///
    /// A spread within the rounding of the values themselves is 0.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let n = self.n as f64;
        let rounding = ROUNDING_OF_VALUES * self.sum() / n;
        let spread = if !self.squares.is_finite() {
            f64::INFINITY
        } else if self.squares > n * rounding * rounding {
            self.squares
        } else {
            0.0
        };
        (self.n > 1).then(|| spread / (n - 1.0))
    }

    /// What rounding took from the mean, to be added to it where means are compared; 0 without units.
    pub(super) fn mean_rest(&self) -> f64 {
        self.mean().map_or(0.0, |mean| self.sum.mean_above(self.n as f64, mean))
    }

    /// How far the mean of `other` lies above this one; 0 where either has no units.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        if self.n == 0 || other.n == 0 {
            return 0.0;
        }
        let pivot = self.sum() / self.n as f64;
        other.sum.mean_above(other.n as f64, pivot) - self.sum.mean_above(self.n as f64, pivot)
    }
}

/// How heavily the distance of two means counts in the squares and products of both sets: n₁n₂/(n₁ + n₂).
pub(super) fn between(n: u64, other: u64) -> f64 {
    if n == 0 || other == 0 {
        return 0.0;
    }
    let (n, other) = (n as f64, other as f64);
    n * (other / (n + other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = f64>) -> Moments {
        let mut moments = Moments::default();
        values.for_each(|value| moments.add(value));
        moments
    }

    /// What a database would add up about `pivot`.
    fn raw(values: impl Iterator<Item = f64>, pivot: f64) -> Moments {
        let sums = values.fold(RawSums::default(), |sums, value| RawSums {
            n: sums.n + 1,
            sum: sums.sum + (value - pivot),
            sum_squares: sums.sum_squares + (value - pivot).powi(2),
            nonzero: sums.nonzero + u64::from(value != 0.0),
        });
        sums.about(pivot)
    }

    fn near(found: f64, expected: f64, relative: f64) -> bool {
        (found - expected).abs() <= relative * expected.abs()
    }

    #[test]
    fn the_variance_of_few_values_is_exact() {
        assert!(near(of([1.0, 2.0, 4.0, 5.0].into_iter()).variance().unwrap(), 10.0 / 3.0, 1e-15));
        assert_eq!(of([1.0].into_iter()).variance(), None);
        assert_eq!(of([7.0, 7.0].into_iter()).variance(), Some(0.0));
        assert_eq!(of([].into_iter()).mean(), None);
    }

    #[test]
    fn a_constant_has_no_variance() {
        for value in [0.1, 1.0 / 3.0, 1e-7, 123_456.789, 1e150] {
            assert_eq!(of(std::iter::repeat_n(value, 1_000)).variance(), Some(0.0), "{value}");
            let variance = raw(std::iter::repeat_n(value, 1_000), 0.0).variance().unwrap();
            assert!(variance <= 1e-12 * value * value, "{value}: {variance}");
        }
    }

    #[test]
    fn a_small_spread_far_from_zero_is_kept() {
        let expected = 250.0 / 999.0;
        for distance in [1_000.0, 1e9, 1e12, 1e15] {
            let moments = of((0..1_000).map(|unit| distance + f64::from(unit % 2)));
            assert!(near(moments.variance().unwrap(), expected, 1e-12), "{distance}: {moments:?}");
        }
    }

    #[test]
    fn a_thousand_million_units_about_a_million_million_keep_mean_and_spread() {
        let block = |first: f64| of((0..1_000).map(|unit| 1e12 + first + f64::from(unit % 4)));
        // Doubling twenty times: 1,000 units become 1,048,576,000.
        let grown = |first: f64| (0..20).fold(block(first), |whole, _| whole.merged(whole));
        let (control, treatment) = (grown(0.0), grown(0.001));
        assert_eq!(control.n, 1_048_576_000);
        assert!(near(control.variance().unwrap(), 1.25, 1e-8));
        let difference = treatment.mean_above(&control).unwrap();
        // 10¹² + 0.001 itself is held to a ten-thousandth.
        let held = of([1e12 + 0.001].into_iter()).mean_above(&of([1e12].into_iter())).unwrap();
        assert!((difference - held).abs() < 3e-4, "{difference} and {held}");
    }

    #[test]
    fn raw_sums_do_not_make_up_a_spread_that_they_cannot_hold() {
        let far = |distance: f64, pivot| raw((0..1_000).map(|unit| distance + f64::from(unit % 2)), pivot);
        let expected = 250.0 / 999.0;
        assert!(near(far(1_000.0, 0.0).variance().unwrap(), expected, 1e-6));
        assert_eq!(far(1e9, 0.0).variance(), Some(0.0));
        assert!(near(far(1e12, 1e12).variance().unwrap(), expected, 1e-12));
        assert!(near(far(1e12, 1e12).mean().unwrap(), 1e12 + 0.5, 1e-15));
    }

    #[test]
    fn one_unit_in_many_still_counts() {
        let ones =
            |ones: f64| RawSums { n: 100_000_000, sum: ones, sum_squares: ones, nonzero: 1 }.about(0.0);
        for moments in [ones(1.0), ones(99_999_999.0)] {
            assert!(near(moments.variance().unwrap(), 1e-8, 1e-6));
        }
    }

    #[test]
    fn squares_that_overflow_have_an_infinite_variance() {
        assert_eq!(of([1e200, -1e200, 1e200].into_iter()).variance(), Some(f64::INFINITY));
        assert_eq!(raw([1e200, -1e200, 1e200].into_iter(), 0.0).variance(), Some(f64::INFINITY));
    }

    #[test]
    fn published_means_and_variances_are_taken_over() {
        let moments = Moments::from_mean_and_variance(30, 10.0, 4.0, 30);
        assert_eq!((moments.mean(), moments.variance()), (Some(10.0), Some(4.0)));
        assert!(near(moments.sum_squares(), 3_116.0, 1e-15));
    }
}
