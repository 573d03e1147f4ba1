//! What a cell holds: sums over units of their values and of the products of these.

use serde::{Deserialize, Serialize};

use crate::stats::exact_sum::ExactSum;
use crate::stats::joint_moments::{PairMoments, RatioPairMoments};
use crate::stats::moments::{Moments, RawSums};
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// Most values of one unit.
pub(super) const MAX_VALUES: usize = 4;

/// The values of one unit; those beyond its shape are 0.
pub(super) type Values = [f64; MAX_VALUES];

/// What a unit's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// None: units are only counted.
    Counted,
    /// One value.
    Mean,
    /// Numerator and denominator.
    Ratio,
    /// One value and its covariate.
    Adjusted,
    /// Numerator and denominator, and those of the covariate.
    AdjustedRatio,
}

impl Shape {
    fn values(self) -> usize {
        match self {
            Self::Counted => 0,
            Self::Mean => 1,
            Self::Ratio | Self::Adjusted => 2,
            Self::AdjustedRatio => MAX_VALUES,
        }
    }
}

/// Sums over units, or what a bucket changed of them. Units may lose what they had.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Units.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub units: i64,
    /// Units whose first value is other than zero.
    #[serde(rename = "z", default, skip_serializing_if = "is_zero")]
    pub nonzero: i64,
    /// Σ of each value.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<ExactSum>,
    /// Σ of the products of two values, a value with itself and those after it, in order.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    products: Vec<ExactSum>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Sums {
    /// Adds a unit (`sign` 1) or takes it away (`sign` −1).
    pub(super) fn add_unit(&mut self, values: &Values, shape: Shape, sign: f64) {
        let count = if sign > 0.0 { 1 } else { -1 };
        self.units += count;
        self.nonzero += if values[0] == 0.0 { 0 } else { count };
        let values = values.get(..shape.values()).unwrap_or_default();
        self.values.resize(values.len(), ExactSum::default());
        self.products.resize(values.len() * (values.len() + 1) / 2, ExactSum::default());
        for (sum, value) in self.values.iter_mut().zip(values) {
            sum.add(sign * value);
        }
        let pairs = values
            .iter()
            .enumerate()
            .flat_map(|(index, one)| values.iter().skip(index).map(move |other| (*one, *other)));
        for (sum, (one, other)) in self.products.iter_mut().zip(pairs) {
            sum.add_product(sign * one, other);
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        self.units += other.units;
        self.nonzero += other.nonzero;
        for (mine, others) in [(&mut self.values, &other.values), (&mut self.products, &other.products)] {
            mine.resize(mine.len().max(others.len()), ExactSum::default());
            mine.iter_mut().zip(others).for_each(|(sum, more)| sum.add_sum(more));
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut sums = self.values.iter().chain(&self.products);
        self.units == 0 && self.nonzero == 0 && sums.all(ExactSum::is_zero)
    }

    /// The largest relative difference of any sum to another's; infinite where counts differ.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        if self.units != other.units || self.nonzero != other.nonzero {
            return f64::INFINITY;
        }
        let none = ExactSum::default();
        let pairs = |mine: &'_ [ExactSum], others: &'_ [ExactSum]| {
            (0..mine.len().max(others.len())).fold(0.0_f64, |most, index| {
                let a = mine.get(index).unwrap_or(&none).value();
                let b = others.get(index).unwrap_or(&none).value();
                let difference = (a - b).abs() / a.abs().max(b.abs()).max(f64::MIN_POSITIVE);
                if difference.is_nan() { f64::INFINITY } else { most.max(difference) }
            })
        };
        pairs(&self.values, &other.values).max(pairs(&self.products, &other.products))
    }

    /// The moments of the units.
    ///
    /// # Errors
    /// Where a count is below zero or a sum overflowed: such sums are no numbers to judge by.
    pub fn outcome(&self, shape: Shape) -> Result<Outcome, Undefined> {
        let is_finite = self.values.iter().chain(&self.products).all(|sum| sum.value().is_finite());
        if self.units < 0 || self.nonzero < 0 || !is_finite {
            return Err(Undefined::TooLarge);
        }
        Ok(match shape {
            Shape::Counted | Shape::Mean => Outcome::Mean(self.moments(0)),
            Shape::Ratio => Outcome::Ratio(self.pair(0, 1)),
            Shape::Adjusted => Outcome::Adjusted(self.pair(0, 1)),
            Shape::AdjustedRatio => {
                let freedom = (self.units as f64 - 1.0).max(1.0);
                let cross =
                    [[0, 2], [0, 3], [1, 2], [1, 3]].map(|[a, b]| self.centred_products(a, b) / freedom);
                let [ac, ad, bc, bd] = cross;
                let (outcome, covariate) = (self.pair(0, 1), self.pair(2, 3));
                Outcome::AdjustedRatio(RatioPairMoments::from_parts(outcome, covariate, [[ac, ad], [bc, bd]]))
            }
        })
    }

    fn moments(&self, index: usize) -> Moments {
        let (raw, pivot) = self.raw(index);
        raw.about(pivot)
    }

    fn pair(&self, one: usize, other: usize) -> PairMoments {
        let (first, second) = (self.raw(one), self.raw(other));
        PairMoments::from_sums(first, second, self.products_about(one, other, first.1, second.1))
    }

    /// Sums about the mean, taken from the exact ones, so that a mean far from 0 costs no digits.
    fn raw(&self, index: usize) -> (RawSums, f64) {
        let n = self.units.unsigned_abs();
        let mut sum = self.values.get(index).cloned().unwrap_or_default();
        let pivot = if n == 0 { 0.0 } else { sum.value() / n as f64 };
        sum.add_product(-pivot, n as f64);
        let sum_squares = self.products_about(index, index, pivot, pivot).max(0.0);
        let nonzero = if index == 0 { self.nonzero.unsigned_abs() } else { 0 };
        (RawSums { n, sum: sum.value(), sum_squares, nonzero }, pivot)
    }

    /// Σ (a − p)(b − q) = Σ ab − p Σ b − q Σ a + n p q.
    fn products_about(&self, one: usize, other: usize, p: f64, q: f64) -> f64 {
        let count = self.values.len();
        if one >= count || other >= count {
            return 0.0;
        }
        let place = one * count - one * one.saturating_sub(1) / 2 + other - one;
        let mut products = self.products.get(place).cloned().unwrap_or_default();
        if let (Some(a), Some(b)) = (self.values.get(one), self.values.get(other)) {
            products.add_multiple(b, -p);
            products.add_multiple(a, -q);
        }
        let n = self.units as f64;
        let mut shift = ExactSum::default();
        shift.add_product(p, q);
        products.add_multiple(&shift, n);
        products.value()
    }

    fn centred_products(&self, one: usize, other: usize) -> f64 {
        let ((first, p), (second, q)) = (self.raw(one), self.raw(other));
        let n = (self.units as f64).max(1.0);
        self.products_about(one, other, p, q) - first.sum * second.sum / n
    }
}
