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

    /// Unbiased variance per unit, at least 0; none with fewer than two units.
    ///
    /// s² = (Σy² − (Σy)²/n) / (n − 1). A negative result can only come from rounding and is taken as 0.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let n = self.n as f64;
        (self.n > 1).then(|| ((self.sum_squares - self.sum * self.sum / n) / (n - 1.0)).max(0.0))
    }
}
