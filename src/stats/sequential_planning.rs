//! Planning for a test that looks all the time: when harm of a given size will be found.
//!
//! Under an effect δ the logarithm of the e-value grows like a Brownian motion with drift ½ and variance 1 in units of
//! u = δ²n/c, so that the time until it reaches a level is inverse Gaussian (Wald 1947, appendix; Chhikara and Folks 1989).

use super::normal;
use super::undefined::Undefined;

/// What the mixture costs, in natural logarithms, against a test that knows the effect.
const PRICE_OF_MIXTURE: f64 = 1.55;

/// How noisy a metric is for one unit of the treatment, on the scale of effects as shares of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise(f64);

impl Noise {
    /// c = CV²(1 + n_T/n_C)(1 − ρ²), for a coefficient of variation `variation` (standard deviation over mean), the ratio of
    /// treated to control units, and the correlation with a covariate that is adjusted for.
    #[must_use]
    pub fn new(variation: f64, treated_per_control: f64, correlation: f64) -> Self {
        Self(variation * variation * (1.0 + treated_per_control) * (1.0 - correlation * correlation))
    }

    /// c itself: the squared error of a relative effect, times the units of the treatment.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

/// A test for harm that looks all the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequentialPlan {
    /// ln of the e-value to be reached, and the price of the mixture.
    barrier: f64,
}

impl SequentialPlan {
    /// The test at `alpha` in (0, 1) of a guardrail that has the share `weight` in (0, 1] of the launch.
    pub fn new(alpha: f64, weight: f64) -> Result<Self, Undefined> {
        let level = alpha * weight;
        if !(level > 0.0 && level < 1.0) {
            return Err(Undefined::NeverDetected);
        }
        Ok(Self { barrier: PRICE_OF_MIXTURE - level.ln() })
    }

    /// The probability that `units` of the treatment are enough to find an `effect`, as a share of the mean.
    #[must_use]
    pub fn power(self, effect: f64, noise: Noise, units: f64) -> f64 {
        self.found_by(effect * effect * units / noise.0)
    }

    /// How many units of the treatment it takes to find an `effect` with probability `power` in (0, 1).
    pub fn units(self, effect: f64, noise: Noise, power: f64) -> Result<f64, Undefined> {
        let units = self.quantile(power)? * noise.0 / (effect * effect);
        if units.is_finite() && units >= 0.0 { Ok(units) } else { Err(Undefined::NeverDetected) }
    }

    /// How many units of the treatment it takes on average to find an `effect`: the mean of u is twice the barrier.
    pub fn mean_units(self, effect: f64, noise: Noise) -> Result<f64, Undefined> {
        let units = 2.0 * self.barrier * noise.0 / (effect * effect);
        if units.is_finite() && units >= 0.0 { Ok(units) } else { Err(Undefined::NeverDetected) }
    }

    /// The smallest effect, as a share of the mean, that `units` of the treatment find with probability `power` in (0, 1).
    pub fn detectable(self, units: f64, noise: Noise, power: f64) -> Result<f64, Undefined> {
        let effect = (self.quantile(power)? * noise.0 / units).sqrt();
        if effect.is_finite() && units > 0.0 { Ok(effect) } else { Err(Undefined::NeverDetected) }
    }

    /// How many days it takes at `daily` treated units a day.
    pub fn days(self, effect: f64, noise: Noise, power: f64, daily: f64) -> Result<f64, Undefined> {
        let days = self.units(effect, noise, power)? / daily;
        if days.is_finite() && daily > 0.0 { Ok(days) } else { Err(Undefined::NeverDetected) }
    }

    /// By which factor it takes more units than one planned look at the same one-sided alpha and power.
    pub fn inflation(self, alpha: f64, power: f64) -> Result<f64, Undefined> {
        let planned = normal::quantile(1.0 - alpha) + normal::quantile(power);
        let inflation = self.quantile(power)? / (planned * planned);
        if inflation.is_finite() && planned > 0.0 { Ok(inflation) } else { Err(Undefined::NeverDetected) }
    }

    /// F(u) = Φ((u/2 − a)/√u) + eᵃΦ(−(u/2 + a)/√u).
    fn found_by(self, u: f64) -> f64 {
        if u <= 0.0 || u.is_nan() {
            return 0.0;
        }
        let (a, root) = (self.barrier, u.sqrt());
        let reflected = (a + normal::ln_cdf(-(root / 2.0 + a / root))).exp();
        (normal::cdf(root / 2.0 - a / root) + reflected).min(1.0)
    }

    /// The u by which a share of `power` of all launches is found.
    fn quantile(self, power: f64) -> Result<f64, Undefined> {
        if !(power > 0.0 && power < 1.0) {
            return Err(Undefined::NeverDetected);
        }
        let (mut low, mut high) = (0.0, 2.0 * self.barrier);
        while self.found_by(high) < power {
            low = high;
            high *= 2.0;
        }
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if self.found_by(middle) < power {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(level: f64) -> SequentialPlan {
        SequentialPlan::new(level, 1.0).unwrap()
    }

    #[test]
    fn the_tabled_delays_come_out() {
        for (level, expected) in [
            (0.05, [3.46, 7.49, 12.7, 20.8]),
            (0.01, [5.38, 10.6, 16.9, 25.9]),
            (0.005, [6.26, 12.0, 18.6, 28.0]),
        ] {
            for (power, expected) in [0.1, 0.5, 0.8, 0.95].into_iter().zip(expected) {
                let found = plan(level).quantile(power).unwrap();
                assert!((found / expected - 1.0).abs() < 0.005, "{level} {power}: {found}");
            }
        }
        let mean = plan(0.05).mean_units(1.0, Noise(1.0)).unwrap();
        assert!((mean - 9.1).abs() < 0.01);
    }

    #[test]
    fn a_share_of_the_weight_is_a_share_of_alpha() {
        assert_eq!(SequentialPlan::new(0.05, 0.2), SequentialPlan::new(0.01, 1.0));
    }

    #[test]
    fn units_power_and_effect_undo_each_other() {
        let (plan, noise) = (plan(0.05), Noise::new(3.0, 0.25, 0.6));
        let units = plan.units(0.1, noise, 0.8).unwrap();
        assert!((plan.power(0.1, noise, units) - 0.8).abs() < 1e-12);
        assert!((plan.detectable(units, noise, 0.8).unwrap() - 0.1).abs() < 1e-12);
        assert!((plan.days(0.1, noise, 0.8, 100.0).unwrap() - units / 100.0).abs() < 1e-9);
    }

    #[test]
    fn looking_all_the_time_costs_more_units() {
        let inflation = plan(0.05).inflation(0.05, 0.8).unwrap();
        assert!((inflation - 12.7 / 6.18).abs() < 0.02, "{inflation}");
    }

    #[test]
    fn what_can_never_be_found_is_said_to_be() {
        let (plan, noise) = (plan(0.05), Noise::new(3.0, 1.0, 0.0));
        assert_eq!(SequentialPlan::new(0.0, 1.0), Err(Undefined::NeverDetected));
        assert_eq!(SequentialPlan::new(f64::NAN, 1.0), Err(Undefined::NeverDetected));
        assert_eq!(plan.units(0.0, noise, 0.5), Err(Undefined::NeverDetected));
        assert_eq!(plan.units(0.1, noise, 1.0), Err(Undefined::NeverDetected));
        assert_eq!(plan.days(0.1, noise, 0.5, 0.0), Err(Undefined::NeverDetected));
        assert_eq!(plan.detectable(0.0, noise, 0.5), Err(Undefined::NeverDetected));
        assert_eq!(plan.inflation(0.05, 0.01), Err(Undefined::NeverDetected));
    }
}
