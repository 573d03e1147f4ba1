//! Whether a treatment is shown not to be worse than its control by a margin, for one planned look.
//!
//! Several metrics that must all be shown safe need no correction of alpha, but more power each: see
//! [`super::planning::joint_power`].

use super::effect::{Alternative, Effect, Interval};
use super::estimate::Estimate;
use super::undefined::Undefined;
use crate::domain::metric::Direction;

/// A difference beside the largest loss that is allowed. By the normal distribution, with unpooled variances
/// (Schultzberg, Ankargren, Frånberg 2024).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonInferiority {
    /// Treatment minus control.
    pub effect: Effect,
    /// The loss that is refuted, as a difference: the margin as a share of the control's size, towards worse.
    pub limit: f64,
    alternative: Alternative,
}

impl NonInferiority {
    /// The test against a loss of `margin` ≥ 0, a share of the control's size.
    pub fn new(
        control: &Estimate,
        treatment: &Estimate,
        direction: Direction,
        margin: f64,
    ) -> Result<Self, Undefined> {
        let effect = Effect::absolute(control, treatment)?.by_normal();
        let loss = margin * control.value().abs();
        let (limit, alternative) = match direction {
            Direction::HigherIsBetter => (-loss, Alternative::Greater),
            Direction::LowerIsBetter => (loss, Alternative::Less),
        };
        Ok(Self { effect, limit, alternative })
    }

    /// ln of the one-sided p-value against a loss as large as the limit.
    #[must_use]
    pub fn ln_p(&self) -> f64 {
        self.effect.ln_p(self.alternative, self.limit)
    }

    /// The one-sided interval at `level` in (0, 1): the difference is no worse than its finite end.
    #[must_use]
    pub fn interval(&self, level: f64) -> Interval {
        self.effect.interval(self.alternative, level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_inside_the_bound_is_refuted() {
        let arm = |mean| Estimate::new(1_000, mean, 1.0).unwrap();
        for (direction, sign) in [(Direction::HigherIsBetter, -1.0), (Direction::LowerIsBetter, 1.0)] {
            let found = NonInferiority::new(&arm(-10.0), &arm(-10.0 + sign * 0.01), direction, 0.01).unwrap();
            assert!((found.limit - sign * 0.1).abs() < 1e-12);
            let interval = found.interval(0.95);
            let bound = if sign < 0.0 { interval.low } else { interval.high };
            assert_eq!(bound.abs() < found.limit.abs(), found.ln_p() < 0.05_f64.ln(), "{found:?}");
        }
    }
}
