//! Uniform boundaries for sums: a sum whose squared increments add up to v crosses one, ever, with probability at most
//! alpha (Howard, Ramdas, McAuliffe, Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences").
//!
//! Each mixture is given by the v at which its boundary is to be tightest.

mod beta_binomial;
mod gamma_exponential;
mod normal;
mod stitching;

pub use beta_binomial::{BetaBinomial, proportion_interval};
pub use gamma_exponential::GammaExponential;
pub use normal::{OneSidedNormal, TwoSidedNormal};
pub use stitching::{double_stitching, poly_stitching};

use super::root;

/// The smallest sum at which the logarithm of a mixture reaches ln 1/alpha; none where no sum does.
fn crossing(alpha: f64, ln_mixture: impl Fn(f64) -> f64) -> Option<f64> {
    let level = -alpha.ln();
    let crosses = |sum: f64| ln_mixture(sum) >= level;
    root::reach(1.0, crosses).map(|high| root::first_true(0.0, high, crosses))
}

/// The precision of a normal mixture whose two-sided boundary at `alpha` is tightest at `v` (Howard et al. 2021, section
/// 3.5, with the closed form in place of Lambert's function).
fn best_precision(v: f64, alpha: f64) -> f64 {
    let level = -2.0 * alpha.ln();
    v / (level + libm::log1p(level))
}
