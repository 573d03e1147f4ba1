//! A sum with twice the digits of one float, so that many large values keep what tells them apart.

use serde::{Deserialize, Serialize};

/// The unevaluated sum of two floats, the second no more than half a unit in the last place of the first, and 0 where the
/// first is no longer finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LongSum {
    high: f64,
    low: f64,
}

impl LongSum {
    /// The product of two floats, without rounding: what the first product loses, the fused one gives back (Dekker 1971).
    #[must_use]
    pub fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: if high.is_finite() { a.mul_add(b, -high) } else { 0.0 } }
    }

    /// The sum and a further value.
    #[must_use]
    pub fn plus(self, value: f64) -> Self {
        self.merged(Self { high: value, low: 0.0 })
    }

    /// Both sums together. The rounding of the larger parts is found by taking them apart again (Knuth, The Art of
    /// Computer Programming, volume 2, theorem B of 4.2.2).
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let high = self.high + other.high;
        if !high.is_finite() {
            return Self { high, low: 0.0 };
        }
        let part = high - self.high;
        let rounding = (self.high - (high - part)) + (other.high - part);
        let low = rounding + self.low + other.low;
        let total = high + low;
        Self { high: total, low: low - (total - high) }
    }

    /// The sum as one float, infinite where it overflowed.
    #[must_use]
    pub fn value(self) -> f64 {
        self.high
    }

    /// How far the mean of `n` values with this sum lies above `pivot`, with all the digits that remain when both are
    /// large and near each other.
    #[must_use]
    pub fn mean_above(self, n: f64, pivot: f64) -> f64 {
        ((-n).mul_add(pivot, self.high) + self.low) / n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_float_drops_is_kept() {
        let sum = [1e16, 1.0, 1.0, 1.0, -1e16].iter().fold(LongSum::default(), |sum, value| sum.plus(*value));
        assert!((sum.value() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_mean_is_told_from_a_pivot_next_to_it() {
        let sum = (0..1_000_000).fold(LongSum::default(), |sum, unit| sum.plus(1e12 + f64::from(unit % 2)));
        assert!((sum.mean_above(1e6, 1e12) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_sum_that_overflows_is_infinite() {
        let sum = LongSum::default().plus(1e308).plus(1e308).plus(-1.0);
        assert_eq!(sum, LongSum { high: f64::INFINITY, low: 0.0 });
        assert_eq!(LongSum::product(1e200, -1e200), LongSum { high: f64::NEG_INFINITY, low: 0.0 });
    }
}
