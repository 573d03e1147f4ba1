//! Sums of floats and of their products without any rounding, so that what is added and taken away again leaves nothing.

use serde::{Deserialize, Serialize};

use super::long_sum::LongSum;

/// An exact sum: floats that do not overlap, the least first, whose sum it is (Shewchuk, Adaptive Precision Floating-Point
/// Arithmetic, 1997, theorem 10). Two or three of them hold what comes in practice.
///
/// It does not depend on the order of what is added. Beyond what a float can hold it is one float that is not finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExactSum(Vec<f64>);

impl ExactSum {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let mut carried = value;
        let mut kept = 0;
        for index in 0..self.0.len() {
            let Some(part) = self.0.get(index).copied() else {
                break;
            };
            let (sum, rest) = two_sum(carried, part);
            if rest != 0.0
                && let Some(place) = self.0.get_mut(kept)
            {
                *place = rest;
                kept += 1;
            }
            carried = sum;
        }
        self.0.truncate(kept);
        if carried != 0.0 {
            self.0.push(carried);
        }
        if !carried.is_finite() {
            self.0 = vec![carried];
        }
    }

    /// Adds the product of two values. What the product loses, the fused one gives back (Dekker 1971); products below
    /// 1e-290 may lose their last digits.
    pub fn add_product(&mut self, a: f64, b: f64) {
        let product = a * b;
        self.add(product);
        if product.is_finite() {
            self.add(a.mul_add(b, -product));
        }
    }

    /// Adds another sum.
    pub fn add_sum(&mut self, other: &Self) {
        other.0.iter().for_each(|part| self.add(*part));
    }

    /// Adds another sum so many times.
    pub fn add_multiple(&mut self, other: &Self, factor: f64) {
        other.0.iter().for_each(|part| self.add_product(*part, factor));
    }

    /// The sum as one float; not finite where it overflowed.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.iter().fold(0.0, |sum, part| sum + part)
    }

    /// The sum with twice the digits of one float.
    #[must_use]
    pub fn long(&self) -> LongSum {
        self.0.iter().fold(LongSum::default(), |sum, part| sum.plus(*part))
    }

    /// Whether it is exactly 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
}

/// The sum of two floats and what it lost (Knuth, The Art of Computer Programming, volume 2, theorem B of 4.2.2).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    if !sum.is_finite() {
        return (sum, 0.0);
    }
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let mut sum = ExactSum::default();
        sum.add_product(0.1, 0.1);
        let before = sum.clone();
        sum.add_product(1e15, 1e15);
        sum.add_product(1e15 + 3.0, 7.0);
        sum.add_product(-1e15, 1e15);
        sum.add_product(-1e15 - 3.0, 7.0);
        assert_eq!(sum.value().to_bits(), before.value().to_bits());
        sum.add_product(-0.1, 0.1);
        assert!(sum.is_zero());
    }

    #[test]
    fn a_sum_that_overflows_is_not_finite() {
        let mut sum = ExactSum::default();
        [1e308, 1e308, 1.0, -1e308].into_iter().for_each(|value| sum.add(value));
        assert!(!sum.value().is_finite());
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(values in prop::collection::vec(-1e15..1e15_f64, 0..40), turned in 0..40_usize) {
            let of = |values: &[f64]| values.iter().fold(ExactSum::default(), |mut sum, value| {
                sum.add_product(*value, *value);
                sum
            });
            let mut others = values.clone();
            others.reverse();
            others.rotate_left(turned.min(values.len()));
            let (mut one, other) = (of(&values), of(&others));
            one.add_multiple(&other, -1.0);
            prop_assert!(one.is_zero());
        }
    }
}
