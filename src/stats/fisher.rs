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
/// or is no likelier than they are (`TwoSided`). 0 where an arm has no units.
#[must_use]
pub fn ln_p(control: Counts, treatment: Counts, alternative: Alternative) -> f64 {
    let draw = Draw::new(control, treatment);
    let found = (treatment.0 as f64).clamp(draw.least, draw.most);
    match alternative {
        Alternative::Less => draw.ln_at_most(found),
        Alternative::Greater => draw.mirrored().ln_at_most(draw.units - found),
        Alternative::TwoSided => draw.ln_no_likelier(found),
    }
}

/// The hypergeometric distribution of the number of successes among `units` of `all`, of which `successes` are successes.
/// Numbers are whole.
#[derive(Clone, Copy)]
struct Draw {
    units: f64,
    successes: f64,
    all: f64,
    least: f64,
    most: f64,
    mode: f64,
}

impl Draw {
    fn new(control: Counts, treatment: Counts) -> Self {
        let units = treatment.1 as f64;
        let all = units + control.1 as f64;
        Self::of(units, control.0.min(control.1) as f64 + treatment.0.min(treatment.1) as f64, all)
    }

    fn of(units: f64, successes: f64, all: f64) -> Self {
        let (least, most) = ((units + successes - all).max(0.0), units.min(successes));
        let mode = ((units + 1.0) * ((successes + 1.0) / (all + 2.0))).floor().clamp(least, most);
        Self { units, successes, all, least, most, mode }
    }

    /// The same of failures.
    fn mirrored(self) -> Self {
        Self::of(self.units, self.all - self.successes, self.all)
    }

    fn ln_probability(&self, found: f64) -> f64 {
        ln_choose(self.units, found) + ln_choose(self.all - self.units, self.successes - found)
            - ln_choose(self.all, self.successes)
    }

    fn ln_at_most(&self, found: f64) -> f64 {
        if found >= self.most {
            return 0.0;
        }
        if found <= self.mode {
            return self.ln_tail(found).min(0.0);
        }
        let above = self.mirrored().ln_tail(self.units - found - 1.0);
        libm::log1p(-above.exp().min(1.0))
    }

    fn ln_no_likelier(&self, found: f64) -> f64 {
        if found > self.mode {
            return self.mirrored().ln_no_likelier(self.units - found);
        }
        let bar = self.ln_probability(found) + SAME;
        if self.ln_probability(self.mode) <= bar {
            return 0.0;
        }
        // The first number above the mode that is no likelier.
        let (mut low, mut high) = (self.mode, self.most + 1.0);
        loop {
            let middle = f64::midpoint(low, high).floor();
            if middle <= low || middle >= high {
                break;
            }
            if self.ln_probability(middle) <= bar {
                high = middle;
            } else {
                low = middle;
            }
        }
        let below = self.ln_tail(found);
        if high > self.most {
            return below.min(0.0);
        }
        let above = self.mirrored().ln_tail(self.units - high);
        (below.max(above) + libm::log1p((-(below - above).abs()).exp())).min(0.0)
    }

    /// ln P(X ≤ found) for a number not above the mode, from where probabilities only fall.
    fn ln_tail(&self, found: f64) -> f64 {
        let share = self.successes / self.all;
        let variance = self.units * share * (1.0 - share) * ((self.all - self.units) / (self.all - 1.0));
        if variance > LARGE {
            return normal::ln_cdf((found + 0.5 - self.units * share) / variance.sqrt());
        }
        let (mut term, mut sum, mut x) = (1.0, 1.0, found);
        while x > self.least && term > NEGLIGIBLE * sum {
            let others = self.all - self.units - self.successes + x;
            term *= x / (self.units - x + 1.0) * (others / (self.successes - x + 1.0));
            sum += term;
            x -= 1.0;
        }
        self.ln_probability(found) + f64::ln(sum)
    }
}

/// ln of the binomial coefficient.
fn ln_choose(n: f64, k: f64) -> f64 {
    -libm::log1p(n) - ln_beta(n - k + 1.0, k + 1.0)
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
