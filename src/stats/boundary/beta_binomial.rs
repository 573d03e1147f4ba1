//! The beta mixture, for sums of increments between −g and h (Howard et al. 2021, propositions 7 and 8).

use statrs::function::beta::checked_beta_reg;

use super::best_precision;
use crate::stats::root;

/// The mixture of one range of the increments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaBinomial {
    below: f64,
    above: f64,
    precision: f64,
    one_sided: bool,
}

impl BetaBinomial {
    /// The mixture for increments from −`below` to `above`, both above 0, whose boundary at `alpha` is tightest near `v` > 0:
    /// over effects of one sign (`alpha` in (0, ½)) or of both (`alpha` in (0, 1)).
    #[must_use]
    pub fn tightest_at(v: f64, alpha: f64, (below, above): (f64, f64), one_sided: bool) -> Self {
        let level = if one_sided { 2.0 * alpha } else { alpha };
        // Both parameters of the beta distribution must stay above 0.
        let precision = (best_precision(v, level) - below * above).max(1e-3 * below * above);
        Self { below, above, precision, one_sided }
    }

    /// ln of the mixture at a sum in [−v/h, v/g].
    ///
    /// ln B_x((r + v − gs)/(g(g + h)), (r + v + hs)/(h(g + h))) − ln B_x(r/(g(g + h)), r/(h(g + h))) + v/(gh) ln(g + h) −
    /// (v + hs)/(h(g + h)) ln g − (v − gs)/(g(g + h)) ln h, with x = h/(g + h) for one side and the whole beta function
    /// for both.
    #[must_use]
    pub fn ln_value(&self, sum: f64, v: f64) -> f64 {
        let (g, h, r) = (self.below, self.above, self.precision);
        let (down, up) = (g * (g + h), h * (g + h));
        v / (g * h) * (g + h).ln() - (v + h * sum) / up * g.ln() - (v - g * sum) / down * h.ln()
            + self.ln_beta((r + v - g * sum) / down, (r + v + h * sum) / up)
            - self.ln_beta(r / down, r / up)
    }

    /// ln of the beta function, or of its part below x.
    fn ln_beta(&self, a: f64, b: f64) -> f64 {
        let whole = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
        let x = self.above / (self.below + self.above);
        let part = if self.one_sided { checked_beta_reg(a, b, x).unwrap_or(f64::NAN) } else { 1.0 };
        whole + part.ln()
    }
}

/// Ends of the interval for a proportion that holds at every look: those shares against which the two-sided mixture, tightest
/// near `tightest` trials, does not reach 1/`alpha`. (0, 1) without trials.
#[must_use]
pub fn proportion_interval(successes: u64, trials: u64, alpha: f64, tightest: f64) -> (f64, f64) {
    let (successes, trials) = (successes.min(trials) as f64, trials as f64);
    if trials <= 0.0 {
        return (0.0, 1.0);
    }
    let (found, level) = (successes / trials, -alpha.ln());
    let refuted = |share: f64| {
        let spread = share * (1.0 - share);
        let mixture = BetaBinomial::tightest_at(spread * tightest, 0.05, (share, 1.0 - share), false);
        // Towards 0 and 1 the mixture grows without bound as long as something speaks against them.
        let ln_value = mixture.ln_value(successes - trials * share, spread * trials);
        spread <= 0.0 || ln_value.is_nan() || ln_value >= level
    };
    let low = if successes > 0.0 { root::first_true(0.0, found, |share| !refuted(share)) } else { 0.0 };
    let high = if successes < trials { root::first_true(found, 1.0, refuted) } else { 1.0 };
    (low, high)
}
