//! Moments of several values of each unit: a ratio's numerator and denominator, an outcome and its covariate, or all four.

use serde::{Deserialize, Serialize};

use super::moments::{Moments, RawSums, between};

/// Moments of two values of each unit, with their centred products.
///
/// The two are a ratio's numerator and denominator, or an outcome and its covariate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairMoments {
    /// The numerator or the outcome.
    pub first: Moments,
    /// The denominator or the covariate.
    pub second: Moments,
    products: f64,
}

/// Moments of a ratio and of the ratio that is its covariate: four values of each unit, with all centred products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RatioPairMoments {
    /// Numerator and denominator of the outcome.
    pub outcome: PairMoments,
    /// Numerator and denominator of the covariate.
    pub covariate: PairMoments,
    cross: [[f64; 2]; 2],
}

impl PairMoments {
    /// The moments behind plain sums about a pivot each; `sum_products` is Σ (a − p)(b − q). See [`RawSums::about`].
    #[must_use]
    pub fn from_sums(first: (RawSums, f64), second: (RawSums, f64), sum_products: f64) -> Self {
        let ((a, p), (b, q)) = (first, second);
        let products = if a.n == 0 { 0.0 } else { sum_products - a.sum * b.sum / a.n as f64 };
        Self { first: a.about(p), second: b.about(q), products }
    }

    /// Number of units.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.first.n
    }

    /// Adds one unit's two values.
    pub fn add(&mut self, first: f64, second: f64) {
        let mut one = Self::default();
        one.first.add(first);
        one.second.add(second);
        *self = self.merged(one);
    }

    /// The moments of both sets of units together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let weight = between(self.n(), other.n());
        let distances = self.distances(&other);
        Self {
            first: self.first.merged(other.first),
            second: self.second.merged(other.second),
            products: self.products + other.products + weight * distances[0] * distances[1],
        }
    }

    /// Both variances and the covariance per unit, (s₁², s₂², s₁₂) with s₁₂ = Σ (a − ā)(b − b̄)/(n − 1); none with fewer
    /// than two units.
    #[must_use]
    pub fn covariances(&self) -> Option<(f64, f64, f64)> {
        let covariance = self.products / (self.n() as f64 - 1.0);
        Some((self.first.variance()?, self.second.variance()?, covariance))
    }

    fn distances(&self, other: &Self) -> [f64; 2] {
        [self.first.distance(&other.first), self.second.distance(&other.second)]
    }
}

impl RatioPairMoments {
    /// The moments behind those of the two ratios and the covariances of their parts per unit: rows are numerator and
    /// denominator of the outcome, columns those of the covariate.
    #[must_use]
    pub fn from_parts(
        outcome: PairMoments,
        covariate: PairMoments,
        cross_covariances: [[f64; 2]; 2],
    ) -> Self {
        let freedom = outcome.n().saturating_sub(1) as f64;
        let cross = cross_covariances.map(|row| row.map(|covariance| covariance * freedom));
        Self { outcome, covariate, cross }
    }

    /// Adds one unit's values: numerator and denominator of the outcome, then of the covariate.
    pub fn add(&mut self, outcome: (f64, f64), covariate: (f64, f64)) {
        let mut one = Self::default();
        one.outcome.add(outcome.0, outcome.1);
        one.covariate.add(covariate.0, covariate.1);
        *self = self.merged(one);
    }

    /// The moments of both sets of units together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let weight = between(self.outcome.n(), other.outcome.n());
        let rows = self.outcome.distances(&other.outcome);
        let columns = self.covariate.distances(&other.covariate);
        let between = rows.map(|row| columns.map(|column| weight * row * column));
        Self {
            outcome: self.outcome.merged(other.outcome),
            covariate: self.covariate.merged(other.covariate),
            cross: sum(sum(self.cross, other.cross), between),
        }
    }

    /// Covariances per unit of the outcome's parts (rows) with the covariate's (columns); none with fewer than two units.
    #[must_use]
    pub fn cross_covariances(&self) -> Option<[[f64; 2]; 2]> {
        let n = self.outcome.n();
        (n > 1).then(|| self.cross.map(|row| row.map(|products| products / (n as f64 - 1.0))))
    }
}

fn sum(one: [[f64; 2]; 2], other: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let rows = |one: [f64; 2], other: [f64; 2]| [one[0] + other[0], one[1] + other[1]];
    [rows(one[0], other[0]), rows(one[1], other[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f64; 4]; 5] = [
        [1.0, 2.0, 0.0, 1.0],
        [4.0, 3.0, 2.0, 2.0],
        [0.0, 1.0, 1.0, 4.0],
        [7.0, 5.0, 3.0, 2.0],
        [3.0, 3.0, 2.0, 1.0],
    ];

    /// The covariance by its definition.
    fn covariance(one: usize, other: usize) -> f64 {
        let mean = |column: usize| ROWS.iter().map(|row| row[column]).sum::<f64>() / 5.0;
        ROWS.iter().map(|row| (row[one] - mean(one)) * (row[other] - mean(other))).sum::<f64>() / 4.0
    }

    #[test]
    fn covariances_are_those_of_their_definition_wherever_the_values_lie() {
        for offset in [0.0, 1e6, -1e9] {
            let mut moments = RatioPairMoments::default();
            for row in ROWS {
                moments.add((row[0] + offset, row[1]), (row[2], row[3] - offset));
            }
            let cross = moments.cross_covariances().unwrap();
            for (one, row) in cross.iter().enumerate() {
                for (other, found) in row.iter().enumerate() {
                    assert!((found - covariance(one, other + 2)).abs() < 1e-12, "{one} {other} at {offset}");
                }
            }
            let (first, second, product) = moments.outcome.covariances().unwrap();
            assert!((first - covariance(0, 0)).abs() < 1e-12 && (second - covariance(1, 1)).abs() < 1e-12);
            assert!((product - covariance(0, 1)).abs() < 1e-12);
        }
    }

    #[test]
    fn plain_sums_give_the_same_moments() {
        let mut added = PairMoments::default();
        let raw = |column: usize| RawSums {
            n: 5,
            sum: ROWS.iter().map(|row| row[column]).sum(),
            sum_squares: ROWS.iter().map(|row| row[column].powi(2)).sum(),
            nonzero: ROWS.iter().filter(|row| row[column] != 0.0).count() as u64,
        };
        for row in ROWS {
            added.add(row[0], row[1]);
        }
        let products = ROWS.iter().map(|row| row[0] * row[1]).sum();
        let found = PairMoments::from_sums((raw(0), 0.0), (raw(1), 0.0), products);
        let (expected, found) = (added.covariances().unwrap(), found.covariances().unwrap());
        assert!(
            (expected.0 - found.0).abs() + (expected.1 - found.1).abs() + (expected.2 - found.2).abs()
                < 1e-12
        );
    }

    #[test]
    fn a_single_unit_has_no_covariance() {
        let mut moments = RatioPairMoments::default();
        moments.add((1.0, 2.0), (3.0, 4.0));
        assert_eq!(moments.cross_covariances(), None);
        assert_eq!(moments.outcome.covariances(), None);
    }
}
