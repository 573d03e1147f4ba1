//! Adjustment by a covariate from before the exposure, which takes out what the arms brought along (CUPED: Deng, Xu,
//! Kohavi, Walker 2013, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data").

use super::effect::Effect;
use super::estimate::Estimate;
use super::joint_moments::{PairMoments, RatioPairMoments};
use super::undefined::Undefined;

/// One arm's outcome with its covariate: each a mean or a ratio of sums, and their covariance per unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WithCovariate {
    outcome: Estimate,
    covariate: Estimate,
    covariance: f64,
}

impl WithCovariate {
    /// The means of an outcome (first) and its covariate (second).
    pub fn of_means(moments: &PairMoments) -> Result<Self, Undefined> {
        let (_, _, covariance) = moments.covariances().ok_or(Undefined::TooFewUnits)?;
        let (outcome, covariate) = (Estimate::of_mean(&moments.first)?, Estimate::of_mean(&moments.second)?);
        Ok(Self { outcome, covariate, covariance })
    }

    /// The ratios of sums of an outcome and of its covariate.
    ///
    /// Their covariance by the delta method at the unit: that of (N − RD)/D̄ with the same of the covariate.
    pub fn of_ratios(moments: &RatioPairMoments) -> Result<Self, Undefined> {
        let outcome = Estimate::of_ratio(&moments.outcome)?;
        let covariate = Estimate::of_ratio(&moments.covariate)?;
        let [of_numerator, of_denominator] = moments.cross_covariances().ok_or(Undefined::TooFewUnits)?;
        let scale = moments.outcome.second.mean().zip(moments.covariate.second.mean());
        let (scale, covariate_scale) = scale.ok_or(Undefined::TooFewUnits)?;
        let along = |row: [f64; 2]| row[0] - covariate.value() * row[1];
        let covariance = along(of_numerator) - outcome.value() * along(of_denominator);
        Ok(Self { outcome, covariate, covariance: covariance / (scale * covariate_scale) })
    }

    /// θ = cov(Y, X)/var(X), taken of the moments of both arms together; 0 where the covariate says nothing, and then the
    /// effects are those without it.
    #[must_use]
    pub fn slope(&self) -> f64 {
        let slope = self.covariance / self.covariate.variance();
        if slope.is_finite() { slope } else { 0.0 }
    }

    /// The covariate's value.
    #[must_use]
    pub fn covariate(&self) -> f64 {
        self.covariate.value()
    }

    /// The outcome less `slope` times what the covariate exceeds `centre` by: variance s_Y² + θ²s_X² − 2θs_XY per unit.
    pub fn adjusted(&self, slope: f64, centre: f64) -> Result<Estimate, Undefined> {
        let variance = self.outcome.variance() + slope * slope * self.covariate.variance()
            - 2.0 * slope * self.covariance;
        let value = self.outcome.value() - slope * (self.covariate.value() - centre);
        Estimate::new(self.outcome.n(), value, variance)
    }

    /// ΔY − θΔX, with the digits that rounding took from the four values.
    fn difference(control: &Self, treatment: &Self, slope: f64) -> f64 {
        treatment.outcome.above(&control.outcome) - slope * treatment.covariate.above(&control.covariate)
    }
}

/// The adjusted difference ΔY − θΔX, judged as Welch's with the adjusted variances.
pub fn absolute_effect(
    control: &WithCovariate,
    treatment: &WithCovariate,
    slope: f64,
) -> Result<Effect, Undefined> {
    let difference = WithCovariate::difference(control, treatment, slope);
    Effect::new(difference, &[&control.adjusted(slope, 0.0)?, &treatment.adjusted(slope, 0.0)?])
}

/// The adjusted difference as a share of the size of the control's outcome: (ΔY − θΔX)/|Y_C|.
///
/// By the delta method over all four means, with θ taken as known, at arms whose covariates agree as they do but for chance:
/// the control's outcome enters with −Y_T/Y_C, the covariates with ±θ.
pub fn relative_effect(
    control: &WithCovariate,
    treatment: &WithCovariate,
    slope: f64,
) -> Result<Effect, Undefined> {
    let absolute = absolute_effect(control, treatment, slope)?;
    let base = control.outcome.value();
    if base == 0.0 {
        return Err(Undefined::ControlIsZero);
    }
    let share = treatment.outcome.value() / base;
    let of_control = share * share * control.outcome.variance()
        + slope * slope * control.covariate.variance()
        - 2.0 * share * slope * control.covariance;
    let squared_error =
        treatment.adjusted(slope, 0.0)?.squared_error() + of_control / control.outcome.n() as f64;
    let (estimate, standard_error) = (absolute.estimate / base.abs(), squared_error.sqrt() / base.abs());
    Effect { estimate, standard_error, ..absolute }.checked()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcome and covariate of some units, the outcome following the covariate.
    fn rows(shift: f64) -> impl Iterator<Item = (f64, f64)> {
        (0..400).map(move |unit| {
            let before = f64::from(unit * 37 % 101);
            (2.0 * before + f64::from(unit * 53 % 17) + shift, before)
        })
    }

    fn pairs(shift: f64) -> PairMoments {
        let mut moments = PairMoments::default();
        rows(shift).for_each(|(outcome, covariate)| moments.add(outcome, covariate));
        moments
    }

    /// The same units as ratios with a denominator of one each.
    fn ratios(shift: f64) -> RatioPairMoments {
        let mut moments = RatioPairMoments::default();
        rows(shift).for_each(|(outcome, covariate)| moments.add((outcome, 1.0), (covariate, 1.0)));
        moments
    }

    #[test]
    fn a_covariate_takes_out_what_it_explains() {
        let (control, treatment) = (pairs(0.0), pairs(1.0));
        let of = |moments| WithCovariate::of_means(&moments).unwrap();
        let slope = of(control.merged(treatment)).slope();
        assert!((slope - 2.0).abs() < 0.05, "{slope}");
        let adjusted = absolute_effect(&of(control), &of(treatment), slope).unwrap();
        let plain = absolute_effect(&of(control), &of(treatment), 0.0).unwrap();
        assert!((adjusted.estimate - 1.0).abs() < 1e-9);
        assert!(adjusted.standard_error < 0.1 * plain.standard_error);
    }

    #[test]
    fn a_ratio_to_one_is_a_mean() {
        let mean = |shift| WithCovariate::of_means(&pairs(shift)).unwrap();
        let ratio = |shift| WithCovariate::of_ratios(&ratios(shift)).unwrap();
        for effect in [absolute_effect, relative_effect] {
            let of_means = effect(&mean(0.0), &mean(5.0), 1.5).unwrap();
            let of_ratios = effect(&ratio(0.0), &ratio(5.0), 1.5).unwrap();
            assert!((of_means.estimate - of_ratios.estimate).abs() < 1e-12);
            assert!((of_means.standard_error / of_ratios.standard_error - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_covariate_without_spread_changes_nothing() {
        let mut moments = PairMoments::default();
        rows(0.0).for_each(|(outcome, _)| moments.add(outcome, 0.0));
        let arm = WithCovariate::of_means(&moments).unwrap();
        assert!(arm.slope().abs() < f64::MIN_POSITIVE);
        let effect = absolute_effect(&arm, &arm, arm.slope()).unwrap();
        let plain = Estimate::of_mean(&moments.first).unwrap();
        assert_eq!(effect, Effect::absolute(&plain, &plain).unwrap());
    }
}
