//! Planning for one planned look: power, sample sizes and detectable effects.
//!
//! Effects are in standard deviations of a unit. Units are those of the treatment; the control has `controls` times as many.

use super::effect::Alternative;
use super::undefined::Undefined;
use super::{normal, student};

/// Samples of the standard deviation in an integral over its distribution.
const NODES: u32 = 800;
/// How many standard errors of its logarithm that integral reaches to each side.
const REACH: f64 = 12.0;
/// How far further it reaches to the left, times the degrees of freedom: what lies beyond adds less than e^−37.
const LONG_TAIL: f64 = 37.0;
/// No plan asks for more units than this.
const MOST_UNITS: f64 = 1e18;

/// A comparison that is planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Probability of a false rejection, in (0, 1).
    pub alpha: f64,
    /// Which effects are looked for.
    pub alternative: Alternative,
    /// Units of the control for each unit of the treatment, above 0.
    pub controls: f64,
}

impl Plan {
    /// The probability of a rejection at `units` of the treatment, if the treatment differs by `effect`; by the normal.
    ///
    /// Φ(±d√m − z) with m = nk/(1 + k), and both tails for two sides.
    #[must_use]
    pub fn power(&self, effect: f64, units: f64) -> f64 {
        let shift = self.shift(effect, units);
        let z = -normal::quantile(self.tail());
        match self.alternative {
            Alternative::Greater => normal::cdf(shift - z),
            Alternative::Less => normal::cdf(-shift - z),
            Alternative::TwoSided => normal::cdf(shift - z) + normal::cdf(-shift - z),
        }
    }

    /// The same for a test by Student's t with pooled variances, at n(1 + k) − 2 > 0 degrees of freedom.
    ///
    /// The noncentral t as the mean of Φ over the distribution of the estimated standard deviation (Johnson, Kotz,
    /// Balakrishnan 1995, 31.2), by the trapezoidal rule.
    #[must_use]
    pub fn power_by_t(&self, effect: f64, units: f64) -> f64 {
        let freedom = units * (1.0 + self.controls) - 2.0;
        if freedom <= 0.0 || freedom.is_nan() {
            return 0.0;
        }
        let shift = self.shift(effect, units);
        let bar = student::upper_quantile(self.tail(), freedom);
        let rejected = |spread: f64| match self.alternative {
            Alternative::Greater => normal::cdf(shift - bar * spread),
            Alternative::Less => normal::cdf(-shift - bar * spread),
            Alternative::TwoSided => normal::cdf(shift - bar * spread) + normal::cdf(-shift - bar * spread),
        };
        // The density of ln s is s^ν·exp(−νs²/2) up to a constant: nearly normal with variance 1/(2ν), and for few degrees
        // of freedom with a long tail to the left.
        let near = REACH / (2.0 * freedom).sqrt();
        let (from, to) = (-near - LONG_TAIL / freedom, near.min(5.0));
        let step = (to - from) / f64::from(NODES);
        let (mut sum, mut weights) = (0.0, 0.0);
        for ln_spread in (0..=NODES).map(|node| from + step * f64::from(node)) {
            let weight = (freedom * (ln_spread - 0.5 * libm::expm1(2.0 * ln_spread))).exp();
            sum += weight * rejected(ln_spread.exp());
            weights += weight;
        }
        sum / weights
    }

    /// How many units of the treatment it takes to see `effect` with probability `power` in (alpha, 1).
    pub fn units(&self, effect: f64, power: f64) -> Result<f64, Undefined> {
        self.least(power, 0.0, |units| self.power(effect, units))
    }

    /// The same for a test by Student's t.
    pub fn units_by_t(&self, effect: f64, power: f64) -> Result<f64, Undefined> {
        self.least(power, 2.0 / (1.0 + self.controls), |units| self.power_by_t(effect, units))
    }

    /// The smallest effect that `units` of the treatment show with probability `power` in (alpha, 1); below zero for the
    /// alternative of less.
    pub fn detectable(&self, units: f64, power: f64) -> Result<f64, Undefined> {
        let sign = if self.alternative == Alternative::Less { -1.0 } else { 1.0 };
        Ok(sign * self.least(power, 0.0, |size| self.power(sign * size, units))?)
    }

    /// The smallest number above `from` at which a rising function reaches `power`.
    fn least(&self, power: f64, from: f64, rising: impl Fn(f64) -> f64) -> Result<f64, Undefined> {
        let sound = self.alpha > 0.0 && self.alpha < power && power < 1.0 && self.controls > 0.0;
        let reaches = |place: f64| rising(place) >= power;
        if !sound || !reaches(MOST_UNITS) {
            return Err(Undefined::NeverDetected);
        }
        let (mut low, mut high) = (from, MOST_UNITS);
        // Halved in logarithms while the ends lie far apart.
        while high - low > 1e-13 * high {
            let middle = if low > 0.0 && high > 4.0 * low {
                (low * high).sqrt()
            } else if low <= 0.0 && high > 1e-18 {
                high / 1e3
            } else {
                f64::midpoint(low, high)
            };
            if middle <= low || middle >= high {
                break;
            }
            if reaches(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(high)
    }

    /// The expected number of standard errors between the arms.
    fn shift(&self, effect: f64, units: f64) -> f64 {
        effect * (units * (self.controls / (1.0 + self.controls))).sqrt()
    }

    /// The share of alpha in a tail.
    fn tail(&self) -> f64 {
        if self.alternative == Alternative::TwoSided { self.alpha / 2.0 } else { self.alpha }
    }
}

/// The power that each of several tests is planned with, so that all of them succeed together with probability `power`:
/// 1 − (1 − power)/G (Schultzberg, Ankargren, Frånberg 2024). `tests` is the number of guardrails to be shown safe, and one
/// more where a success metric is looked for as well.
#[must_use]
pub fn joint_power(power: f64, tests: u32) -> f64 {
    1.0 - (1.0 - power) / f64::from(tests.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { alpha: 0.05, alternative: Alternative::Greater, controls: 1.0 };

    #[test]
    fn one_sided_units_are_those_of_the_closed_form() {
        // (z₀.₉₅ + z₀.₈)²(1 + 1/k)/d².
        let z = 1.644_853_626_951_472_7 + 0.841_621_233_572_914_3;
        for controls in [0.5, 1.0, 99.0] {
            let plan = Plan { controls, ..PLAN };
            let expected = z * z * (1.0 + 1.0 / controls) / 0.01;
            assert!((plan.units(0.1, 0.8).unwrap() / expected - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn units_and_detectable_effect_undo_each_other() {
        for alternative in [Alternative::Greater, Alternative::Less, Alternative::TwoSided] {
            let plan = Plan { alternative, ..PLAN };
            let effect = plan.detectable(1_000.0, 0.9).unwrap();
            assert!((plan.units(effect, 0.9).unwrap() / 1_000.0 - 1.0).abs() < 1e-9);
            assert_eq!(effect < 0.0, alternative == Alternative::Less);
        }
    }

    #[test]
    fn a_t_test_needs_a_little_more() {
        for effect in [0.01, 0.1, 0.5, 3.0] {
            let (normal, t) = (PLAN.units(effect, 0.8).unwrap(), PLAN.units_by_t(effect, 0.8).unwrap());
            assert!(t > normal && t < normal + 3.0, "{effect}: {normal} and {t}");
        }
    }

    #[test]
    fn without_an_effect_a_t_test_rejects_at_its_level() {
        for units in [1.6, 3.0, 10.0, 1e6] {
            assert!((PLAN.power_by_t(0.0, units) - 0.05).abs() < 1e-6, "{units}");
        }
    }

    #[test]
    fn what_can_never_be_seen_is_said_to_be() {
        assert_eq!(PLAN.units(0.0, 0.8), Err(Undefined::NeverDetected));
        assert_eq!(PLAN.units(-0.1, 0.8), Err(Undefined::NeverDetected));
        assert_eq!(PLAN.units(0.1, 1.0), Err(Undefined::NeverDetected));
        assert_eq!(PLAN.units(0.1, 0.01), Err(Undefined::NeverDetected));
        assert_eq!(PLAN.units(f64::NAN, 0.8), Err(Undefined::NeverDetected));
        assert_eq!(PLAN.detectable(0.0, 0.8), Err(Undefined::NeverDetected));
        assert_eq!(Plan { alpha: 0.0, ..PLAN }.units(0.1, 0.8), Err(Undefined::NeverDetected));
    }

    #[test]
    fn several_tests_share_what_may_be_missed() {
        assert!((joint_power(0.8, 4) - 0.95).abs() < 1e-15);
        assert!((joint_power(0.8, 0) - 0.8).abs() < 1e-15);
    }
}
