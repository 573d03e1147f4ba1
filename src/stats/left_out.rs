//! Moments without what came between two earlier states of the same units: the sums less the difference of the sums.
//!
//! Sums are taken about the means of the whole, so that their differences keep their digits.

use super::joint_moments::{PairMoments, RatioPairMoments};
use super::moments::{Moments, RawSums};

/// The moments of one value without what came between `before` and `after`. Units of whom only the value changed meanwhile
/// stay, without the change.
#[must_use]
pub(super) fn moments(whole: &Moments, before: &Moments, after: &Moments) -> Moments {
    let pivot = Pivot::of(whole);
    pivot.left(before, after).about(pivot.place)
}

/// The same of two values.
#[must_use]
pub(super) fn pair(whole: &PairMoments, before: &PairMoments, after: &PairMoments) -> PairMoments {
    let (first, second) = (Pivot::of(&whole.first), Pivot::of(&whole.second));
    let products = |pair: &PairMoments| {
        let (_, _, covariance) = pair.covariances().unwrap_or_default();
        let n = pair.n() as f64;
        covariance * (n - 1.0).max(0.0) + n * first.distance(&pair.first) * second.distance(&pair.second)
    };
    PairMoments::from_sums(
        (first.left(&before.first, &after.first), first.place),
        (second.left(&before.second, &after.second), second.place),
        products(whole) - (products(after) - products(before)),
    )
}

/// The same of two ratios.
#[must_use]
pub(super) fn ratio_pair(
    whole: &RatioPairMoments,
    before: &RatioPairMoments,
    after: &RatioPairMoments,
) -> RatioPairMoments {
    let outcome = pair(&whole.outcome, &before.outcome, &after.outcome);
    let covariate = pair(&whole.covariate, &before.covariate, &after.covariate);
    let parts = |pair: &PairMoments| [pair.first, pair.second];
    let pivots = |whole: &PairMoments| parts(whole).map(|moments| (moments, moments.mean().unwrap_or(0.0)));
    let (rows, columns) = (pivots(&whole.outcome), pivots(&whole.covariate));
    let distances = |pivots: &[(Moments, f64); 2], pair: &PairMoments| {
        let [one, other] = parts(pair);
        let [(first, _), (second, _)] = pivots;
        [one.mean_above(first).unwrap_or(0.0), other.mean_above(second).unwrap_or(0.0)]
    };
    let products = |state: &RatioPairMoments| {
        let n = state.outcome.n() as f64;
        let (up, across) = (distances(&rows, &state.outcome), distances(&columns, &state.covariate));
        let cross = state.cross_covariances().unwrap_or_default();
        let centred = cross.map(|row| row.map(|covariance| covariance * (n - 1.0).max(0.0)));
        add(centred, up.map(|up| across.map(|across| n * up * across)))
    };
    let left = add(products(whole), add(products(before), scaled(products(after), -1.0)));
    // From products about the pivots to those about the means of what is left.
    let n = outcome.n() as f64;
    let (up, across) = (distances(&rows, &outcome), distances(&columns, &covariate));
    let between = up.map(|up| across.map(|across| -n * up * across));
    let cross = scaled(add(left, between), 1.0 / (n - 1.0).max(1.0));
    RatioPairMoments::from_parts(outcome, covariate, cross)
}

fn add(mut one: [[f64; 2]; 2], other: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    for (value, more) in one.as_flattened_mut().iter_mut().zip(other.as_flattened()) {
        *value += more;
    }
    one
}

fn scaled(table: [[f64; 2]; 2], factor: f64) -> [[f64; 2]; 2] {
    table.map(|row| row.map(|value| value * factor))
}

/// The mean of the whole, about which sums are taken.
struct Pivot<'w> {
    whole: &'w Moments,
    place: f64,
}

impl<'w> Pivot<'w> {
    fn of(whole: &'w Moments) -> Self {
        Self { whole, place: whole.mean().unwrap_or(0.0) }
    }

    fn distance(&self, moments: &Moments) -> f64 {
        moments.mean_above(self.whole).unwrap_or(0.0)
    }

    fn sums(&self, moments: &Moments) -> (f64, f64) {
        let (n, distance) = (moments.n as f64, self.distance(moments));
        (n * distance, moments.centred_squares() + n * distance * distance)
    }

    fn left(&self, before: &Moments, after: &Moments) -> RawSums {
        let less = |all: u64, before: u64, after: u64| all.saturating_sub(after.saturating_sub(before));
        let [all, early, late] = [self.whole, before, after].map(|moments| self.sums(moments));
        RawSums {
            n: less(self.whole.n, before.n, after.n),
            sum: all.0 - (late.0 - early.0),
            sum_squares: all.1 - (late.1 - early.1),
            nonzero: less(self.whole.nonzero, before.nonzero, after.nonzero),
        }
    }
}
