//! The exact e-process for two proportions that come in blocks: nothing in it is asymptotic, at any number of units (Turner,
//! Ly, Grünwald 2024, "Generic e-variables for exact sequential k-sample tests that allow for optional stopping").

use super::combination::{Weighted, ln_weighted_mean};

/// Units of both arms that came together, and how many of them had a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Units of the control.
    pub control: u64,
    /// Successes among them, at most as many.
    pub control_successes: u64,
    /// Units of the treatment.
    pub treatment: u64,
    /// Successes among them, at most as many.
    pub treatment_successes: u64,
}

/// What is taken for the common proportion before the first block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// The proportion, in (0, 1).
    pub proportion: f64,
    /// How many units it counts for, above 0.
    pub units: f64,
}

/// ln of the e-value for a fall by one of the shares `drops`, each in (0, 1) and with the same weight; 0 without units.
///
/// For each drop d and block, θ_T = (1 − d)θ_C with the mean over the block's units at the pooled proportion so far; the
/// bet pays Π θ_a^y(1 − θ_a)^(n−y)/θ₀^y(1 − θ₀)^(n−y) against θ₀, that mean. A drop for which θ_C would reach 1 does not
/// bet on the block.
#[must_use]
pub fn ln_e(blocks: &[Block], drops: &[f64], prior: Prior) -> f64 {
    let of_drop = |drop: f64| {
        let (mut successes, mut units) = (prior.proportion * prior.units, prior.units);
        let mut ln_e = 0.0;
        for block in blocks {
            ln_e += ln_payment(block, successes / units, drop);
            successes += (block.control_successes + block.treatment_successes) as f64;
            units += (block.control + block.treatment) as f64;
        }
        Weighted { weight: 1.0, ln_e }
    };
    let bets: Vec<Weighted> = drops.iter().map(|drop| of_drop(*drop)).collect();
    ln_weighted_mean(&bets)
}

fn ln_payment(block: &Block, pooled: f64, drop: f64) -> f64 {
    let (control, treatment) = (block.control as f64, block.treatment as f64);
    let in_control = pooled * (control + treatment) / (control + treatment * (1.0 - drop));
    let in_treatment = in_control * (1.0 - drop);
    if !(in_control > 0.0 && in_control < 1.0 && pooled < 1.0) {
        return 0.0;
    }
    let of_arm = |units: u64, successes: u64, share: f64| {
        let (successes, failures) = (successes as f64, units.saturating_sub(successes) as f64);
        successes * (share / pooled).ln() + failures * (libm::log1p(-share) - libm::log1p(-pooled))
    };
    of_arm(block.control, block.control_successes, in_control)
        + of_arm(block.treatment, block.treatment_successes, in_treatment)
}
