//! Normal mixtures, for sums with increments as those of a normal or smaller (Howard et al. 2021, propositions 4 and 6).

use std::f64::consts::LN_2;

use super::{best_precision, crossing};
use crate::stats::normal;

/// A mixture over effects of both signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSidedNormal {
    precision: f64,
}

/// A mixture over effects of one sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneSidedNormal {
    precision: f64,
}

impl TwoSidedNormal {
    /// The mixture whose boundary at `alpha` in (0, 1) is tightest at `v` > 0.
    #[must_use]
    pub fn tightest_at(v: f64, alpha: f64) -> Self {
        Self { precision: best_precision(v, alpha) }
    }

    /// ln of the mixture at a sum: ½ ln(ρ/(v + ρ)) + s²/(2(v + ρ)).
    #[must_use]
    pub fn ln_value(&self, sum: f64, v: f64) -> f64 {
        let total = v + self.precision;
        0.5 * (self.precision / total).ln() + sum * sum / (2.0 * total)
    }

    /// The boundary at `v`: √((v + ρ)(ln(1 + v/ρ) + 2 ln 1/alpha)).
    #[must_use]
    pub fn bound(&self, v: f64, alpha: f64) -> f64 {
        ((v + self.precision) * (libm::log1p(v / self.precision) - 2.0 * alpha.ln())).sqrt()
    }
}

impl OneSidedNormal {
    /// The mixture whose boundary at `alpha` in (0, ½) is tightest at `v` > 0.
    #[must_use]
    pub fn tightest_at(v: f64, alpha: f64) -> Self {
        Self { precision: best_precision(v, 2.0 * alpha) }
    }

    /// ln of the mixture at a sum: ½ ln(4ρ/(v + ρ)) + s²/(2(v + ρ)) + ln Φ(s/√(v + ρ)).
    #[must_use]
    pub fn ln_value(&self, sum: f64, v: f64) -> f64 {
        let total = v + self.precision;
        LN_2 + 0.5 * (self.precision / total).ln() + normal::ln_scaled_cdf(sum / total.sqrt())
    }

    /// The boundary at `v`; none where it is beyond all numbers.
    #[must_use]
    pub fn bound(&self, v: f64, alpha: f64) -> Option<f64> {
        crossing(alpha, |sum| self.ln_value(sum, v))
    }
}
