//! Proportions and their differences for one planned look, by methods that hold where the plain one breaks down.

use super::beta;
use super::effect::{Effect, Interval};
use super::normal;
use super::outcome::Outcome;
use super::undefined::Undefined;

/// What centred squares of ones and zeros may be off by, as a share.
const ROUNDING: f64 = 1e-9;

/// How many of an arm's units are successes; at least one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    successes: u64,
    units: u64,
}

/// How an interval for one proportion is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// p ± z√(p(1 − p)/n): of no width where no unit or every unit is a success.
    Normal,
    /// Inverts the score test (Wilson 1927).
    Wilson,
    /// Inverts the exact test, and so never covers too little (Clopper and Pearson 1934).
    ClopperPearson,
}

/// How an interval for the difference of two proportions is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceMethod {
    /// Unpooled variances: too narrow where an arm has none.
    Wald,
    /// The same after one success and one failure more in each arm (Agresti and Caffo 2000).
    AgrestiCaffo,
    /// From the Wilson intervals of both arms (Newcombe 1998, method 10).
    Newcombe,
}

impl Proportion {
    /// A count of successes among at least one unit.
    pub fn new(successes: u64, units: u64) -> Result<Self, Undefined> {
        if units == 0 {
            return Err(Undefined::TooFewUnits);
        }
        if successes > units { Err(Undefined::NoSuchCounts) } else { Ok(Self { successes, units }) }
    }

    /// The units of an arm of which each has the value 0 or 1, from their moments; none where there are other values, or no
    /// units.
    ///
    /// Σy = Σy² = the number of values other than zero leaves none but ones among those, because Σ(y − 1)² over them is 0.
    #[must_use]
    pub fn of_outcome(outcome: &Outcome) -> Option<Self> {
        let Outcome::Mean(moments) = outcome else {
            return None;
        };
        let ones = moments.nonzero as f64;
        let expected = ones - ones * ones / moments.n as f64;
        let are_ones = moments.sum().total_cmp(&ones).is_eq()
            && (moments.centred_squares() - expected).abs() <= ROUNDING * expected.max(1.0);
        Self::new(moments.nonzero, moments.n).ok().filter(|_| are_ones)
    }

    /// The share of successes.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.successes as f64 / self.units as f64
    }

    /// The interval at `level` in (0, 1), within [0, 1].
    #[must_use]
    pub fn interval(&self, method: Method, level: f64) -> Interval {
        let tail = (1.0 - level) / 2.0;
        let interval = match method {
            Method::Normal => around(self.share(), -normal::quantile(tail) * self.squared_error().sqrt()),
            Method::Wilson => self.wilson(-normal::quantile(tail)),
            Method::ClopperPearson => self.clopper_pearson(tail),
        };
        Interval { low: interval.low.clamp(0.0, 1.0), high: interval.high.clamp(0.0, 1.0) }
    }

    fn failures(&self) -> u64 {
        self.units - self.successes
    }

    /// Whether every unit did the same.
    fn has_no_variance(&self) -> bool {
        self.successes == 0 || self.successes == self.units
    }

    /// p(1 − p)/n.
    fn squared_error(&self) -> f64 {
        let share = self.share();
        share * (1.0 - share) / self.units as f64
    }

    fn wilson(&self, z: f64) -> Interval {
        let (n, share, square) = (self.units as f64, self.share(), z * z);
        let reach = z * (n * share * (1.0 - share) + square / 4.0).sqrt() / (n + square);
        let interval = around((n * share + square / 2.0) / (n + square), reach);
        // Rounding must not take an end off the share it stands on.
        let low = if self.successes == 0 { 0.0 } else { interval.low };
        Interval { low, high: if self.failures() == 0 { 1.0 } else { interval.high } }
    }

    fn clopper_pearson(&self, tail: f64) -> Interval {
        let (successes, failures) = (self.successes as f64, self.failures() as f64);
        let low = if self.successes == 0 { 0.0 } else { beta::quantile(tail, successes, failures + 1.0) };
        let high =
            if self.failures() == 0 { 1.0 } else { beta::upper_quantile(tail, successes + 1.0, failures) };
        Interval { low, high }
    }
}

/// The interval at `level` in (0, 1) for the treatment's share less the control's, within [−1, 1].
#[must_use]
pub fn difference_interval(
    control: &Proportion,
    treatment: &Proportion,
    method: DifferenceMethod,
    level: f64,
) -> Interval {
    let z = -normal::quantile((1.0 - level) / 2.0);
    let wald = |control: &Proportion, treatment: &Proportion| {
        let squared_error = control.squared_error() + treatment.squared_error();
        around(treatment.share() - control.share(), z * squared_error.sqrt())
    };
    let interval = match method {
        DifferenceMethod::Wald => wald(control, treatment),
        DifferenceMethod::AgrestiCaffo => {
            let more = |arm: &Proportion| Proportion {
                successes: arm.successes.saturating_add(1),
                units: arm.units.saturating_add(2),
            };
            wald(&more(control), &more(treatment))
        }
        DifferenceMethod::Newcombe => {
            let (c, t) = (control.wilson(z), treatment.wilson(z));
            let (control, treatment) = (control.share(), treatment.share());
            let difference = treatment - control;
            Interval {
                low: difference - (treatment - t.low).hypot(c.high - control),
                high: difference + (t.high - treatment).hypot(control - c.low),
            }
        }
    };
    Interval { low: interval.low.clamp(-1.0, 1.0), high: interval.high.clamp(-1.0, 1.0) }
}

/// The interval to show for a difference of proportions, with its method: the plain one, and Newcombe's where all units of
/// an arm did the same.
#[must_use]
pub fn shown_difference(
    control: &Proportion,
    treatment: &Proportion,
    level: f64,
) -> (DifferenceMethod, Interval) {
    let method = if control.has_no_variance() || treatment.has_no_variance() {
        DifferenceMethod::Newcombe
    } else {
        DifferenceMethod::Wald
    };
    (method, difference_interval(control, treatment, method, level))
}

/// The difference judged with the variance of both arms together, as is right where they are equal:
/// se² = p̄(1 − p̄)(1/n_T + 1/n_C). Defined where not all units of both arms did the same.
pub fn pooled_effect(control: &Proportion, treatment: &Proportion) -> Result<Effect, Undefined> {
    let successes = control.successes as f64 + treatment.successes as f64;
    let failures = control.failures() as f64 + treatment.failures() as f64;
    let both = successes + failures;
    let per_unit = successes / both * (failures / both);
    let squared_error = per_unit * (1.0 / control.units as f64 + 1.0 / treatment.units as f64);
    let estimate = treatment.share() - control.share();
    Effect { estimate, standard_error: squared_error.sqrt(), freedom: f64::INFINITY }.checked()
}

fn around(centre: f64, reach: f64) -> Interval {
    Interval { low: centre - reach, high: centre + reach }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(successes: u64, units: u64) -> Proportion {
        Proportion::new(successes, units).unwrap()
    }

    #[test]
    fn only_units_that_are_all_zero_or_one_are_a_proportion() {
        let of = |values: &[f64]| {
            let mut moments = super::super::moments::Moments::default();
            for value in values {
                moments.add(*value);
            }
            Proportion::of_outcome(&Outcome::Mean(moments))
        };
        assert_eq!(of(&[0.0, 1.0, 1.0]), Proportion::new(2, 3).ok());
        assert_eq!(of(&[0.0, 0.0]), Proportion::new(0, 2).ok());
        assert_eq!(of(&[1.0]), Proportion::new(1, 1).ok());
        assert_eq!([of(&[]), of(&[0.5, 1.5]), of(&[2.0, 0.0]), of(&[2.0, 2.0, -1.0])], [None; 4]);
    }

    #[test]
    fn a_total_loss_has_an_interval_that_excludes_zero() {
        let (method, interval) = shown_difference(&of(5_000, 100_000), &of(0, 100_000), 0.95);
        assert_eq!(method, DifferenceMethod::Newcombe);
        assert!(interval.low > -0.052 && interval.high < -0.048, "{interval:?}");
        assert_eq!(shown_difference(&of(1, 2), &of(1, 2), 0.95).0, DifferenceMethod::Wald);
    }

    #[test]
    fn the_exact_interval_holds_the_others_shares() {
        for (successes, units) in [(0, 10), (3, 1_000), (1_000_000, 3_000_000), (7, 7)] {
            let exact = of(successes, units).interval(Method::ClopperPearson, 0.9);
            let wilson = of(successes, units).interval(Method::Wilson, 0.9);
            assert!(exact.low <= wilson.low && wilson.high <= exact.high, "{exact:?} {wilson:?}");
        }
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        assert_eq!(Proportion::new(0, 0), Err(Undefined::TooFewUnits));
        assert_eq!(Proportion::new(2, 1), Err(Undefined::NoSuchCounts));
        assert_eq!(pooled_effect(&of(0, 5), &of(0, 9)), Err(Undefined::NoVariance));
        assert_eq!(pooled_effect(&of(5, 5), &of(9, 9)), Err(Undefined::NoVariance));
    }
}
