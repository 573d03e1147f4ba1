//! The sample-ratio test that holds at every look: did the arms get the units that they were to get?

use super::combination::ln_sum_exp;

/// Concentrations of the Dirichlet mixture: a low one finds large deviations early, a high one small ones.
pub const CONCENTRATIONS: [f64; 2] = [100.0, 10_000.0];

/// How many units an arm got, and which share of them it was to get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dealt {
    /// Units.
    pub units: u64,
    /// Share among all that are compared, in (0, 1); the shares sum to 1.
    pub share: f64,
}

/// ln of the e-value against the shares over several stretches of constant allocation, each with all its arms: the mean over
/// [`CONCENTRATIONS`] of the products over the stretches.
#[must_use]
pub fn ln_e(stretches: &[Vec<Dealt>]) -> f64 {
    let of = |concentration: f64| -> f64 {
        stretches.iter().map(|arms| ln_bayes_factor(arms, concentration)).sum()
    };
    ln_sum_exp(CONCENTRATIONS.into_iter().map(of)) - (CONCENTRATIONS.len() as f64).ln()
}

/// ln of the Bayes factor of a Dirichlet-multinomial against the multinomial of the shares (Lindon and Malek 2022):
/// ln B(Cπ + x) − ln B(Cπ) − Σ xᵢ ln πᵢ. It depends on the counts so far and not on the order in which they came. Arms
/// that were to get nothing are left out; 0 without units.
#[must_use]
pub fn ln_bayes_factor(arms: &[Dealt], concentration: f64) -> f64 {
    let dealt = || arms.iter().filter(|arm| arm.share > 0.0);
    let total: f64 = dealt().map(|arm| arm.units as f64).sum();
    let of_arm = |arm: &Dealt| {
        let (units, prior) = (arm.units as f64, concentration * arm.share);
        ln_rising(prior, units) - units * arm.share.ln()
    };
    dealt().map(of_arm).sum::<f64>() - ln_rising(concentration, total)
}

/// ln Γ(a + n)/Γ(a).
fn ln_rising(a: f64, n: f64) -> f64 {
    libm::lgamma(a + n) - libm::lgamma(a)
}
