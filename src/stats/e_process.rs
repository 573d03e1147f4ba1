//! The mixture e-process on score and information: evidence that holds at every look.
//!
//! Each epoch gives a score S = U·L/se² and an information I = U²/se², where L is how much worse the treatment is than
//! the margin allows and U is the metric's scale. Epochs add. Under the hypothesis of no harm, exp(δS − δ²I/2) is
//! asymptotically a supermartingale for every δ > 0 (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021;
//! Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024), and so is any mixture over δ fixed in advance.

use std::f64::consts::LN_2;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::combination::ln_sum_exp;
use super::normal;
use super::outcome::{Counts, Outcome, estimates};
use super::undefined::Undefined;
use crate::domain::metric::Direction;

/// An epoch counts once its smaller arm has this many units.
pub const MIN_EPOCH_UNITS: u64 = 30;
/// Expected units with a value other than zero in the smaller arm before evidence counts.
pub const MIN_EXPECTED_NONZERO: f64 = 10.0;
/// The scale is no less than the spread of a unit over this.
const SPREADS_IN_SCALE: f64 = 20.0;
/// Effect sizes of the mixture, as shares of the scale, each with [`POINT_WEIGHT`].
const POINTS: [f64; 7] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64];
const POINT_WEIGHT: f64 = 0.12;
/// Standard deviation of the half-normal part of the mixture, as a share of the scale.
const HALF_NORMAL_SCALE: f64 = 0.01;
const HALF_NORMAL_WEIGHT: f64 = 0.16;

/// Score and information of one or more epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// S = Σ U·L/se²; positive when it points to what is tested for.
    pub score: f64,
    /// I = Σ U²/se², at least 0.
    pub information: f64,
}

impl Add for Evidence {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { score: self.score + other.score, information: self.information + other.information }
    }
}

/// What is tested for: a difference beyond a relative margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    /// The treatment is worse than the control by more than this share.
    Harm(f64),
    /// The treatment is not worse than the control by as much as this share.
    Safety(f64),
}

/// Evidence from one epoch, or why there is none.
///
/// L = k·θ_C − θ_T with k = 1 − m where higher is better, L = θ_T − k·θ_C with k = 1 + m where lower is better (m taken
/// of |θ_C|), and the opposite sign for safety. se² is the larger of the unpooled v_T/n_T + k²v_C/n_C and the pooled v(1/n_T + k²/n_C), so
/// that a small arm without a single event is judged by the spread of both; where no arm has a spread of its own, that of
/// the two merged.
pub fn epoch_evidence(
    control: &Outcome,
    treatment: &Outcome,
    direction: Direction,
    test: Test,
    scale: f64,
) -> Result<Evidence, Undefined> {
    if control.n().min(treatment.n()) < MIN_EPOCH_UNITS {
        return Err(Undefined::TooFewInEpoch);
    }
    let [control, treatment, both] = estimates(control, treatment)?;
    let (control_n, treatment_n) = (control.n() as f64, treatment.n() as f64);
    let (sign, margin) = match test {
        Test::Harm(margin) => (1.0, margin),
        Test::Safety(margin) => (-1.0, margin),
    };
    // A share of the control's size: below zero, "5 % worse" is further from zero, not nearer to it.
    let share = margin * control.value().signum();
    let (tolerated, worse) = match direction {
        Direction::HigherIsBetter => (-share, -1.0),
        Direction::LowerIsBetter => (share, 1.0),
    };
    let loss = sign * worse * (treatment.above(&control) - tolerated * control.value());
    let k = 1.0 + tolerated;
    let unpooled = treatment.squared_error() + k * k * control.squared_error();
    let pooled_variance = ((treatment_n - 1.0) * treatment.variance()
        + (control_n - 1.0) * control.variance())
        / (treatment_n + control_n - 2.0);
    let pooled = pooled_variance * (1.0 / treatment_n + k * k / control_n);
    let within = unpooled.max(pooled);
    let squared_error = if within > 0.0 {
        within
    } else {
        // All units of one arm do it and none of the other: the spread of both together is what chance would deal.
        both.variance() * (1.0 / treatment_n + k * k / control_n)
    };
    if squared_error <= 0.0 {
        return Err(Undefined::NoVariance);
    }
    let evidence =
        Evidence { score: scale * loss / squared_error, information: scale * scale / squared_error };
    let finite = evidence.score.is_finite() && evidence.information.is_finite();
    if finite { Ok(evidence) } else { Err(Undefined::TooLarge) }
}

/// Whether enough was seen for evidence to count: the smaller arm has `min_units` units, and by the share of both arms
/// together it is expected to have ten with a value other than zero. Expected, not observed, so that a metric which
/// breaks down altogether in one arm is not passed over.
#[must_use]
pub fn burn_in_done(control: Counts, treatment: Counts, min_units: u64) -> bool {
    let (both, smaller) = (control + treatment, control.units.min(treatment.units));
    smaller >= min_units.max(1)
        && smaller as f64 * both.nonzero as f64 / both.units as f64 >= MIN_EXPECTED_NONZERO
}

/// The scale of a metric without history: the control's mean, or where that is zero the mean of both arms, so that an error
/// which only the treatment has is weighed against its own size; and no less than a twentieth of the spread, so that effects
/// on a metric whose mean is near to zero are not taken for many times its size.
pub fn first_scale(control: &Outcome, treatment: &Outcome) -> Result<f64, Undefined> {
    let [control, _, both] = estimates(control, treatment)?;
    let size = if control.value() == 0.0 { both.value().abs() } else { control.value().abs() };
    let scale = size.max(both.variance().sqrt() / SPREADS_IN_SCALE);
    if scale > 0.0 { Ok(scale) } else { Err(Undefined::NoVariance) }
}

/// ln of the e-value of the mixture of seven effect sizes and one half-normal; finite for every finite evidence.
///
/// E = Σ_j 0.12·exp(δ_j S − δ_j² I/2) + 0.16·2(1+r)^−½·exp(z²r/(2(1+r)))·Φ(z√(r/(1+r))), r = 0.01²·I, z = S/√I.
#[must_use]
pub fn ln_e(evidence: Evidence) -> f64 {
    let Evidence { score, information } = evidence;
    if information <= 0.0 {
        return 0.0;
    }
    let points = POINTS.map(|delta| POINT_WEIGHT.ln() + delta * score - delta * delta * information / 2.0);
    let r = HALF_NORMAL_SCALE * HALF_NORMAL_SCALE * information;
    // z·√(r/(1+r)), without a quotient that could overflow.
    let shrunk = HALF_NORMAL_SCALE * score / (1.0 + r).sqrt();
    let half_normal = HALF_NORMAL_WEIGHT.ln() + LN_2 - 0.5 * libm::log1p(r) + normal::ln_scaled_cdf(shrunk);
    ln_sum_exp(points.into_iter().chain([half_normal]))
}
