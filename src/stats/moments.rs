//! Sums over the units of one arm, and what follows from them.

use serde::{Deserialize, Serialize};

/// Sums over the units of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Number of units.
    pub n: u64,
    /// Sum of the units' values.
    pub sum: f64,
    /// Sum of the squares of the units' values.
    pub sum_squares: f64,
    /// Number of units with a value other than zero.
    pub nonzero: u64,
}

impl Moments {
    /// Adds one unit's value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        self.sum += value;
        self.sum_squares += value * value;
        self.nonzero += u64::from(value != 0.0);
    }

    /// The moments of both sets of units together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            sum_squares: self.sum_squares + other.sum_squares,
            nonzero: self.nonzero + other.nonzero,
        }
    }

    /// Mean per unit; none without units.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }

    /// Unbiased variance per unit, at least 0; none with fewer than two units, infinite where the sums overflow.
    ///
    /// s² = (Σy² − (Σy)²/n) / (n − 1). A difference within the rounding of the sums is taken as 0: digits that are no
    /// more than chance must not pass for a small spread, which would make any difference of means look large.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let n = self.n as f64;
        let centred = self.sum_squares - self.sum * self.sum / n;
        let rounding = 4.0 * f64::EPSILON * n.sqrt() * self.sum_squares;
        let spread = if centred.is_nan() {
            f64::INFINITY
        } else if centred > rounding {
            centred
        } else {
            0.0
        };
        (self.n > 1).then(|| spread / (n - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = f64>) -> Moments {
        let mut moments = Moments::default();
        values.for_each(|value| moments.add(value));
        moments
    }

    #[test]
    fn the_variance_of_few_values_is_exact() {
        assert_eq!(of([1.0, 2.0, 4.0, 5.0].into_iter()).variance(), Some(10.0 / 3.0));
        assert_eq!(of([1.0].into_iter()).variance(), None);
        assert_eq!(of([7.0, 7.0].into_iter()).variance(), Some(0.0));
    }

    #[test]
    fn a_constant_has_no_variance_to_speak_of() {
        for value in [0.1, 1.0 / 3.0, 1e-7, 123_456.789, 1e150] {
            let variance = of(std::iter::repeat_n(value, 1_000)).variance().unwrap();
            assert!(variance <= 1e-12 * value * value, "{value}: {variance}");
        }
    }

    #[test]
    fn a_spread_that_the_sums_cannot_hold_is_not_made_up() {
        let far = |distance: f64| of((0..1_000).map(|unit| distance + f64::from(unit % 2)));
        let expected = 250.0 / 999.0;
        assert!((far(1_000.0).variance().unwrap() - expected).abs() < 1e-6);
        assert_eq!(far(1e9).variance(), Some(0.0));
    }

    #[test]
    fn one_unit_in_many_still_counts() {
        let rare = Moments { n: 100_000_000, sum: 1.0, sum_squares: 1.0, nonzero: 1 };
        let common =
            Moments { n: 100_000_000, sum: 99_999_999.0, sum_squares: 99_999_999.0, nonzero: 99_999_999 };
        for moments in [rare, common] {
            assert!((moments.variance().unwrap() / 1e-8 - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn sums_that_overflow_have_an_infinite_variance() {
        assert_eq!(of([1e200, -1e200, 1e200].into_iter()).variance(), Some(f64::INFINITY));
    }
}
