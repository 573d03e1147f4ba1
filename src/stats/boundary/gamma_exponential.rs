//! The gamma mixture, for sums with exponential tails on the right (Howard et al. 2021, proposition 9).

use statrs::function::gamma::checked_gamma_lr;

use super::{best_precision, crossing};

/// The library adds up some √(70·shape) terms, and no end of them once a shape swallows the 1 that is added to it.
const MOST_SHAPE: f64 = 1e8;

/// The mixture of one scale c of the tails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaExponential {
    precision: f64,
    scale: f64,
}

impl GammaExponential {
    /// The mixture of tails with scale `scale` > 0 whose boundary at `alpha` in (0, ½) is tightest near `v` > 0.
    #[must_use]
    pub fn tightest_at(v: f64, alpha: f64, scale: f64) -> Self {
        Self { precision: best_precision(v, 2.0 * alpha), scale }
    }

    /// ln of the mixture at a sum.
    ///
    /// With ρ′ = ρ/c², a = (v + ρ)/c² and x = (cs + v + ρ)/c²: ρ′ ln ρ′ − ln Γ(ρ′)P(ρ′, ρ′) + ln Γ(a)P(a, x) − a ln x +
    /// x − ρ′, where P is the regularised lower incomplete gamma function.
    #[must_use]
    pub fn ln_value(&self, sum: f64, v: f64) -> f64 {
        let square = self.scale * self.scale;
        let start = self.precision / square;
        let shape = (v + self.precision) / square;
        let place = (self.scale * sum + v + self.precision) / square;
        ln_lower_gamma(shape, place) - shape * place.ln() + (place - start)
            - (ln_lower_gamma(start, start) - start * start.ln())
    }

    /// The boundary at `v`; none where it is beyond all numbers, or where v + ρ is more than 10⁸ c².
    #[must_use]
    pub fn bound(&self, v: f64, alpha: f64) -> Option<f64> {
        crossing(alpha, |sum| self.ln_value(sum, v))
    }
}

/// ln of the lower incomplete gamma function; not a number where it would take too long.
fn ln_lower_gamma(shape: f64, place: f64) -> f64 {
    if shape > MOST_SHAPE {
        return f64::NAN;
    }
    libm::lgamma(shape) + checked_gamma_lr(shape, place).unwrap_or(f64::NAN).ln()
}
