//! The effect of a treatment for one planned look: absolute or relative, with intervals and p-values.

use super::estimate::Estimate;
use super::student;
use super::undefined::Undefined;

/// A relative effect is shown where the control lies this many standard errors away from zero.
const CLEAR_OF_ZERO: f64 = 10.0;

/// An estimate of what a treatment changes, with what its intervals and p-values follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Treatment minus control, or that as a share of the control's size.
    pub estimate: f64,
    /// Its standard error, above 0.
    pub standard_error: f64,
    /// Degrees of freedom of Student's t; infinite for the normal.
    pub freedom: f64,
}

/// Which effects speak against the hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// Those of either sign.
    TwoSided,
    /// Those below the hypothesis.
    Less,
    /// Those above the hypothesis.
    Greater,
}

/// A range of values; its ends may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Effect {
    /// Treatment minus control (Welch 1947): se² = s_T²/n_T + s_C²/n_C, with the degrees of freedom of Satterthwaite.
    pub fn absolute(control: &Estimate, treatment: &Estimate) -> Result<Self, Undefined> {
        Self::new(treatment.above(control), &[control, treatment])
    }

    /// (T − C)/|C|, so that the sign survives a control below zero. By the delta method, with arms independent:
    /// v_T/C² + v_C T²/C⁴ (Deng, Knoblich, Lu 2018). The degrees of freedom are those of the difference.
    ///
    /// Where the control is near zero the ratio is far from normal, and should not be shown: see [`Self::shown_relative`].
    pub fn relative(control: &Estimate, treatment: &Estimate) -> Result<Self, Undefined> {
        let absolute = Self::absolute(control, treatment)?;
        let size = control.value().abs();
        if size == 0.0 {
            return Err(Undefined::ControlIsZero);
        }
        let ratio = treatment.value() / size;
        let squared_error = treatment.squared_error() + ratio * ratio * control.squared_error();
        Self { estimate: absolute.estimate / size, standard_error: squared_error.sqrt() / size, ..absolute }
            .checked()
    }

    /// The relative effect, where the control is clear of zero by ten standard errors.
    pub fn shown_relative(control: &Estimate, treatment: &Estimate) -> Result<Self, Undefined> {
        let relative = Self::relative(control, treatment)?;
        if control.value().abs() < CLEAR_OF_ZERO * control.squared_error().sqrt() {
            return Err(Undefined::ControlNearZero);
        }
        Ok(relative)
    }

    /// This effect as a share of the size of the control that it is of, where that is clear of zero; `control` may know more
    /// units than the effect. By the delta method, as [`Self::relative`].
    pub fn as_share_of(&self, control: &Estimate) -> Result<Self, Undefined> {
        let (size, of_control) = (control.value().abs(), control.squared_error());
        if size == 0.0 {
            return Err(Undefined::ControlIsZero);
        }
        if size < CLEAR_OF_ZERO * of_control.sqrt() {
            return Err(Undefined::ControlNearZero);
        }
        let ratio = (control.value() + self.estimate) / size;
        // v_T + R² v_C with v_T = se² − v_C.
        let squared_error = self.standard_error.powi(2) + (ratio * ratio - 1.0) * of_control;
        Self { estimate: self.estimate / size, standard_error: squared_error.max(0.0).sqrt() / size, ..*self }
            .checked()
    }

    /// The same effect judged by the normal distribution, as for counts whose variance follows from their mean.
    #[must_use]
    pub fn by_normal(self) -> Self {
        Self { freedom: f64::INFINITY, ..self }
    }

    /// The interval at `level` in (0, 1): around the estimate, or from one infinite end to the bound in the direction that
    /// does not speak for the alternative.
    #[must_use]
    pub fn interval(&self, alternative: Alternative, level: f64) -> Interval {
        let tails = if alternative == Alternative::TwoSided { 2.0 } else { 1.0 };
        let reach = student::upper_quantile((1.0 - level) / tails, self.freedom) * self.standard_error;
        let (low, high) = (self.estimate - reach, self.estimate + reach);
        match alternative {
            Alternative::TwoSided => Interval { low, high },
            Alternative::Less => Interval { low: f64::NEG_INFINITY, high },
            Alternative::Greater => Interval { low, high: f64::INFINITY },
        }
    }

    /// ln of the p-value against an effect of `null`: finite where the p-value itself would be too small for a float.
    #[must_use]
    pub fn ln_p(&self, alternative: Alternative, null: f64) -> f64 {
        let t = (self.estimate - null) / self.standard_error;
        match alternative {
            Alternative::TwoSided => {
                (student::ln_sf(t.abs(), self.freedom) + std::f64::consts::LN_2).min(0.0)
            }
            Alternative::Less => student::ln_sf(-t, self.freedom),
            Alternative::Greater => student::ln_sf(t, self.freedom),
        }
    }

    /// An effect whose squared error is the sum of the arms' own.
    pub(super) fn new(estimate: f64, arms: &[&Estimate; 2]) -> Result<Self, Undefined> {
        let [first, second] = arms.map(Estimate::squared_error);
        if first <= 0.0 || second <= 0.0 {
            return Err(Undefined::NoVariance);
        }
        let (total, share) = (first + second, first / (first + second));
        let [first_freedom, second_freedom] = arms.map(|arm| arm.n() as f64 - 1.0);
        let freedom = 1.0 / (share * share / first_freedom + (1.0 - share).powi(2) / second_freedom);
        Self { estimate, standard_error: total.sqrt(), freedom }.checked()
    }

    /// An effect that overflowed nowhere.
    pub(super) fn checked(self) -> Result<Self, Undefined> {
        let sound = self.estimate.is_finite() && self.standard_error.is_finite() && self.freedom > 0.0;
        if !sound {
            return Err(Undefined::TooLarge);
        }
        if self.standard_error > 0.0 { Ok(self) } else { Err(Undefined::NoVariance) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::moments::Moments;

    fn arm(n: u64, mean: f64, variance: f64) -> Estimate {
        Estimate::new(n, mean, variance).unwrap()
    }

    #[test]
    fn a_p_value_far_below_the_smallest_float_keeps_its_logarithm() {
        let effect = Effect::absolute(&arm(100_000_000, 10.0, 1.0), &arm(100_000_000, 9.9, 1.0)).unwrap();
        let ln_p = effect.ln_p(Alternative::Less, 0.0);
        assert!((ln_p / -250_000.0 - 1.0).abs() < 0.01, "{ln_p}");
        assert!(effect.ln_p(Alternative::Greater, 0.0).abs() < 1e-300);
    }

    #[test]
    fn a_small_difference_of_large_means_keeps_its_digits() {
        let of = |shift: f64| {
            let mut moments = Moments::default();
            for unit in 0..100_000 {
                moments.add(1e12 + shift + f64::from(unit % 8));
            }
            Estimate::of_mean(&moments).unwrap()
        };
        let effect = Effect::absolute(&of(0.0), &of(0.125)).unwrap();
        assert!((effect.estimate - 0.125).abs() < 1e-12, "{effect:?}");
        assert!((effect.standard_error - (2.0 * 5.25 / 100_000.0_f64).sqrt()).abs() < 1e-7);
    }

    #[test]
    fn an_effect_as_a_share_of_its_control_is_the_relative_one() {
        let (control, treatment) = (arm(1_000, 10.0, 4.0), arm(500, 11.0, 9.0));
        let absolute = Effect::absolute(&control, &treatment).unwrap();
        let (found, expected) =
            (absolute.as_share_of(&control).unwrap(), Effect::relative(&control, &treatment).unwrap());
        assert!((found.estimate - expected.estimate).abs() < 1e-15);
        assert!((found.standard_error - expected.standard_error).abs() < 1e-15, "{found:?} {expected:?}");
        assert_eq!(absolute.as_share_of(&arm(100, 0.5, 1.0)), Err(Undefined::ControlNearZero));
    }

    #[test]
    fn an_effect_below_zero_of_a_control_below_zero_is_below_zero() {
        let effect = Effect::relative(&arm(100, -10.0, 1.0), &arm(100, -11.0, 1.0)).unwrap();
        assert!((effect.estimate + 0.1).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_be_had_says_why() {
        let usual = arm(100, 0.5, 1.0);
        assert_eq!(Effect::absolute(&arm(100, 1.0, 0.0), &usual), Err(Undefined::NoVariance));
        assert_eq!(Effect::absolute(&usual, &arm(100, 1.0, 0.0)), Err(Undefined::NoVariance));
        assert_eq!(Effect::relative(&arm(100, 0.0, 1.0), &usual), Err(Undefined::ControlIsZero));
        assert!(Effect::relative(&usual, &usual).is_ok());
        assert_eq!(Effect::shown_relative(&usual, &usual), Err(Undefined::ControlNearZero));
        assert!(Effect::shown_relative(&arm(401, 0.5, 1.0), &usual).is_ok());
        let huge = Effect::absolute(&arm(2, -1e308, 1.0), &arm(2, 1e308, 1.0));
        assert_eq!(huge, Err(Undefined::TooLarge));
    }
}
