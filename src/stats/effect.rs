//! The difference of two means with its fixed-horizon interval.

use super::moments::Moments;
use super::student;

/// A difference of means, treatment minus control, with an interval for one planned look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The difference.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// Why an effect or its interval is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undefined {
    /// An arm has fewer than two units.
    TooFewUnits,
    /// Every unit of an arm has the same value.
    NoVariance,
}

/// Welch's interval at `level` in (0, 1) (Welch 1947): Δ ± t(ν)·√(s_T²/n_T + s_C²/n_C).
pub fn welch(control: &Moments, treatment: &Moments, level: f64) -> Result<Effect, Undefined> {
    let (control_mean, control_part, control_freedom) = parts(control)?;
    let (treatment_mean, treatment_part, treatment_freedom) = parts(treatment)?;
    if control_part <= 0.0 || treatment_part <= 0.0 {
        return Err(Undefined::NoVariance);
    }
    let variance = control_part + treatment_part;
    let freedom = variance * variance
        / (control_part * control_part / control_freedom
            + treatment_part * treatment_part / treatment_freedom);
    let standard_error = variance.sqrt();
    let reach = student::quantile(0.5 + level / 2.0, freedom) * standard_error;
    let estimate = treatment_mean - control_mean;
    Ok(Effect { estimate, low: estimate - reach, high: estimate + reach, standard_error })
}

/// Mean, variance of the mean, and degrees of freedom of one arm.
fn parts(arm: &Moments) -> Result<(f64, f64, f64), Undefined> {
    let (Some(mean), Some(variance)) = (arm.mean(), arm.variance()) else {
        return Err(Undefined::TooFewUnits);
    };
    let n = arm.n as f64;
    Ok((mean, variance / n, n - 1.0))
}
