//! Fisher's exact test of two proportions (Fisher 1935): the treatment's successes are a draw from those of both arms.

use super::beta::ln_beta;
use super::effect::Alternative;
use super::normal;

/// Probabilities within this share of each other are the same one, apart from rounding.
const SAME: f64 = 1e-9;
/// Above this variance the sum would take too long, and the normal is as good.
const LARGE: f64 = 1e11;
/// Terms that add less than this to a sum end it.
const NEGLIGIBLE: f64 = 1e-18;

/// Successes and units of one arm.
pub type Counts = (u64, u64);

/// ln of the p-value of Fisher's exact test: of what has the treatment's successes or fewer (`Less`), or more (`Greater`),
/// or is no likelier than they are (`TwoSided`). 0 where an arm has no units; successes beyond the units are left out.
#[must_use]
pub fn ln_p(control: Counts, treatment: Counts, alternative: Alternative) -> f64 {
    let whole = |(successes, units): Counts| (u128::from(successes.min(units)), u128::from(units));
    let ((control, control_units), (found, units)) = (whole(control), whole(treatment));
    let draw = Draw { units, successes: control + found, all: control_units + units };
    match alternative {
        Alternative::Less => draw.ln_at_most(found),
        Alternative::Greater => draw.mirrored().ln_at_most(units - found),
        Alternative::TwoSided => draw.ln_no_likelier(found),
    }
}

/// The hypergeometric distribution of the number of successes among `units` of `all`, of which `successes` are successes.
#[derive(Clone, Copy)]
struct Draw {
    units: u128,
    successes: u128,
    all: u128,
}

impl Draw {
    /// The same of failures.
    fn mirrored(self) -> Self {
        Self { successes: self.all - self.successes, ..self }
    }

    fn least(&self) -> u128 {
        (self.units + self.successes).saturating_sub(self.all)
    }

    fn most(&self) -> u128 {
        self.units.min(self.successes)
    }

    fn mode(&self) -> u128 {
        let luck = (self.successes + 1) as f64 / (self.all + 2) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0, at most 2^64"
        )]
        let mode = ((self.units + 1) as f64 * luck) as u128;
        mode.clamp(self.least(), self.most())
    }

    fn ln_at_most(&self, found: u128) -> f64 {
        if found >= self.most() {
            return 0.0;
        }
        if found <= self.mode() {
            return self.ln_tail(found);
        }
        let above = self.mirrored().ln_tail(self.units - found - 1);
        libm::log1p(-above.exp())
    }

    fn ln_no_likelier(&self, found: u128) -> f64 {
        if found > self.mode() {
            return self.mirrored().ln_no_likelier(self.units - found);
        }
        let bar = self.ln_probability(found) + SAME;
        if self.ln_probability(self.mode()) <= bar {
            return 0.0;
        }
        let below = self.ln_tail(found);
        // The first number above the mode that is no likelier.
        let (mut low, mut high) = (self.mode(), self.most() + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.ln_probability(middle) <= bar {
                high = middle;
            } else {
                low = middle;
            }
        }
        if high > self.most() {
            return below;
        }
        let above = self.mirrored().ln_tail(self.units - high);
        (below.max(above) + libm::log1p((-(below - above).abs()).exp())).min(0.0)
    }

    /// ln P(X ≤ found) for a number not above the mode, from where probabilities only fall.
    fn ln_tail(&self, found: u128) -> f64 {
        let [units, successes, all] = [self.units, self.successes, self.all].map(|count| count as f64);
        let share = successes / all;
        let variance = units * share * (1.0 - share) * ((self.all - self.units) as f64 / (all - 1.0));
        if variance > LARGE {
            return normal::ln_cdf((found as f64 + 0.5 - units * share) / variance.sqrt());
        }
        let (mut term, mut sum) = (1.0, 1.0);
        for x in (self.least() + 1..=found).rev() {
            let others = self.all - self.units + x - self.successes;
            let (unlucky, lost) = ((self.units - x + 1) as f64, (self.successes - x + 1) as f64);
            term *= x as f64 / unlucky * (others as f64 / lost);
            sum += term;
            if term < NEGLIGIBLE * sum {
                break;
            }
        }
        (self.ln_probability(found) + f64::ln(sum)).min(0.0)
    }

    fn ln_probability(&self, found: u128) -> f64 {
        ln_choose(self.units, found) + ln_choose(self.all - self.units, self.successes - found)
            - ln_choose(self.all, self.successes)
    }
}

/// ln of the binomial coefficient.
fn ln_choose(n: u128, k: u128) -> f64 {
    -libm::log1p(n as f64) - ln_beta((n - k) as f64 + 1.0, k as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(control: Counts, treatment: Counts, alternative: Alternative) -> f64 {
        ln_p(control, treatment, alternative).exp()
    }

    /// By adding up all tables.
    fn by_hand(control: Counts, treatment: Counts, alternative: Alternative) -> f64 {
        let choose = |n: u64, k: u64| (1..=k).map(|i| (n - k + i) as f64 / i as f64).product::<f64>();
        let successes = control.0 + treatment.0;
        let least = successes.saturating_sub(control.1);
        let most = successes.min(treatment.1);
        let weight = |x: u64| choose(treatment.1, x) * choose(control.1, successes - x);
        let found = weight(treatment.0);
        let counts = |x: u64| match alternative {
            Alternative::Less => x <= treatment.0,
            Alternative::Greater => x >= treatment.0,
            Alternative::TwoSided => weight(x) <= found * (1.0 + 1e-9),
        };
        let sum =
            |counts: &dyn Fn(u64) -> bool| (least..=most).filter(|x| counts(*x)).map(weight).sum::<f64>();
        sum(&counts) / sum(&|_| true)
    }

    #[test]
    fn small_tables_agree_with_adding_up_all_of_them() {
        for (control, treatment) in
            [((10, 100), (8, 90)), ((0, 50), (3, 50)), ((5, 5), (3, 5)), ((1, 30), (9, 20)), ((0, 4), (0, 4))]
        {
            for alternative in [Alternative::Less, Alternative::Greater, Alternative::TwoSided] {
                let (found, expected) =
                    (p(control, treatment, alternative), by_hand(control, treatment, alternative));
                assert!(
                    (found / expected - 1.0).abs() < 1e-10,
                    "{control:?} {treatment:?} {alternative:?}: {found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn large_tables_agree_with_the_normal_and_return() {
        let found = p((500_000_000, 1_000_000_000), (499_900_000, 1_000_000_000), Alternative::Less);
        // z = −0.0001/√(2·¼/10⁹).
        let expected = normal::cdf(-4.472_135_955);
        assert!((found / expected - 1.0).abs() < 1e-3, "{found}, expected {expected}");
        assert!(ln_p((u64::MAX, u64::MAX), (0, u64::MAX), Alternative::TwoSided) <= 0.0);
        assert!(ln_p((0, 0), (0, 0), Alternative::TwoSided).abs() < f64::MIN_POSITIVE);
    }
}
