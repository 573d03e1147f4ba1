//! What simulated units do: the sums over many units at once, drawn from the very distribution that drawing the units one
//! by one would have.

use portcullis::domain::metric::MetricKind;
use portcullis::stats::joint_moments::PairMoments;
use portcullis::stats::moments::RawSums;
use portcullis::stats::outcome::Outcome;
use rand::RngExt;
use rand::rngs::StdRng;
use rand_distr::{Binomial, Distribution, LogNormal};

/// Share of the units that convert, in the proportion.
const CONVERTING: f64 = 0.1;
/// Share of the units that buy.
const BUYING: f64 = 0.05;
/// Mean and standard deviation of the logarithm of what a buyer spends.
const SPENDING: (f64, f64) = (3.0, 1.2);
/// A user has one session and a Poisson number with this mean more.
const MORE_SESSIONS: f64 = 2.0;
/// Most sessions of a user: one in a million would have more, and is counted with so many.
const MOST_SESSIONS: u32 = 12;
/// A user clicks in each session with a chance of its own, which is beta distributed with these parameters.
const CLICKING: (f64, f64) = (2.0, 6.0);
/// Up to so many users are drawn one by one, more of them cell by cell.
const FEW: u64 = 25;

/// A kind of metric, with what a unit does under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One unit in ten converts.
    Proportion,
    /// One unit in twenty spends an amount with a long tail.
    Revenue,
    /// Clicks a session, of users with several sessions and a habit of clicking.
    Ratio,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Proportion, Self::Revenue, Self::Ratio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proportion => "10 % proportion",
            Self::Revenue => "revenue, 95 % zeros",
            Self::Ratio => "clicks a session, by user",
        }
    }

    pub(crate) fn metric_kind(self) -> MetricKind {
        match self {
            Self::Proportion => MetricKind::Conversion,
            Self::Revenue | Self::Ratio => MetricKind::Sum,
        }
    }

    /// The true value where nothing is changed.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Proportion => CONVERTING,
            Self::Revenue => BUYING * (SPENDING.0 + SPENDING.1 * SPENDING.1 / 2.0).exp(),
            Self::Ratio => CLICKING.0 / (CLICKING.0 + CLICKING.1),
        }
    }

    /// The true variance per unit there, as a share of the squared value.
    pub(crate) fn squared_variation(self) -> f64 {
        match self {
            Self::Proportion => (1.0 - CONVERTING) / CONVERTING,
            Self::Revenue => (SPENDING.1 * SPENDING.1).exp() / BUYING - 1.0,
            Self::Ratio => {
                // Var(M − R·D) = E[D·R(1 − R)(1 + (D − 1)r)] for beta binomial clicks with correlation r = 1/(a + b + 1).
                let (value, alike) = (self.value(), 1.0 / (CLICKING.0 + CLICKING.1 + 1.0));
                let sessions = 1.0 + MORE_SESSIONS;
                let pairs = sessions * sessions + MORE_SESSIONS - sessions;
                value * (1.0 - value) * (sessions + alike * pairs) / (value * sessions).powi(2)
            }
        }
    }
}

/// Sums over units: of the value, or of a ratio's numerator and denominator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) units: u64,
    nonzero: u64,
    first: f64,
    first_squares: f64,
    second: f64,
    second_squares: f64,
    products: f64,
}

impl Sums {
    /// Units that have done nothing yet.
    pub(crate) fn idle(units: u64) -> Self {
        Self { units, ..Self::default() }
    }

    /// Adds what units did, whether or not they were counted before.
    pub(crate) fn add(&mut self, more: &Self) {
        self.units += more.units;
        self.nonzero += more.nonzero;
        self.first += more.first;
        self.first_squares += more.first_squares;
        self.second += more.second;
        self.second_squares += more.second_squares;
        self.products += more.products;
    }

    /// As the guard gets them.
    pub(crate) fn outcome(&self, kind: Kind) -> Outcome {
        let Self { units: n, nonzero, .. } = *self;
        let first = RawSums { n, sum: self.first, sum_squares: self.first_squares, nonzero };
        let second = RawSums { n, sum: self.second, sum_squares: self.second_squares, nonzero: n };
        match kind {
            Kind::Proportion | Kind::Revenue => Outcome::Mean(first.about(0.0)),
            Kind::Ratio => Outcome::Ratio(PairMoments::from_sums((first, 0.0), (second, 0.0), self.products)),
        }
    }
}

/// Draws what units do.
pub(crate) struct Source {
    kind: Kind,
    factor: f64,
    spending: Option<LogNormal<f64>>,
    cells: Vec<Cell>,
}

/// So many sessions and clicks of a user.
#[derive(Clone, Copy)]
struct Cell {
    sessions: f64,
    clicks: f64,
    chance: f64,
    /// Chance of this cell and of those before it.
    up_to: f64,
}

impl Source {
    /// Units that convert, buy or click with `factor` times the usual chance, up to 1.
    pub(crate) fn new(kind: Kind, factor: f64) -> Self {
        let cells = if kind == Kind::Ratio { cells(factor) } else { Vec::new() };
        Self { kind, factor, spending: LogNormal::new(SPENDING.0, SPENDING.1).ok(), cells }
    }

    /// What `units` units did, who are counted already.
    pub(crate) fn draw(&self, random: &mut StdRng, units: u64) -> Sums {
        match self.kind {
            Kind::Proportion => {
                let nonzero = binomial(random, units, CONVERTING * self.factor);
                let first = nonzero as f64;
                Sums { nonzero, first, first_squares: first, ..Sums::default() }
            }
            Kind::Revenue => {
                let nonzero = binomial(random, units, BUYING * self.factor);
                let mut sums = Sums { nonzero, ..Sums::default() };
                for _ in 0..nonzero {
                    let spent = self.spending.map_or(0.0, |spending| spending.sample(random));
                    sums.first += spent;
                    sums.first_squares += spent * spent;
                }
                sums
            }
            Kind::Ratio if units <= FEW => {
                let mut sums = Sums::default();
                for _ in 0..units {
                    let place: f64 = random.random();
                    let cell = self.cells.partition_point(|cell| cell.up_to <= place);
                    sums.add_users(1, self.cells.get(cell));
                }
                sums
            }
            Kind::Ratio => self.draw_cells(random, units),
        }
    }

    /// The multinomial draw over cells, as binomial draws one after the other.
    fn draw_cells(&self, random: &mut StdRng, units: u64) -> Sums {
        let (mut sums, mut left, mut chance_left) = (Sums::default(), units, 1.0);
        for cell in &self.cells {
            let users = binomial(random, left, cell.chance / chance_left);
            sums.add_users(users, Some(cell));
            left -= users;
            chance_left -= cell.chance;
            if left == 0 {
                break;
            }
        }
        sums
    }
}

impl Sums {
    fn add_users(&mut self, users: u64, cell: Option<&Cell>) {
        let (Some(cell), count) = (cell, users as f64) else {
            return;
        };
        self.nonzero += if cell.clicks > 0.0 { users } else { 0 };
        self.first += count * cell.clicks;
        self.first_squares += count * cell.clicks * cell.clicks;
        self.second += count * cell.sessions;
        self.second_squares += count * cell.sessions * cell.sessions;
        self.products += count * cell.clicks * cell.sessions;
    }
}

/// All cells with their chances, the likeliest first so that few draws are left for the rare ones.
fn cells(factor: f64) -> Vec<Cell> {
    let (a, b) = CLICKING;
    let ln_beta = |a: f64, b: f64| libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let ln_choose =
        |n: f64, k: f64| libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let poisson = |k: f64| (k * MORE_SESSIONS.ln() - MORE_SESSIONS - libm::lgamma(k + 1.0)).exp();
    let mut cells = Vec::new();
    for sessions in 1..=MOST_SESSIONS {
        let n = f64::from(sessions);
        let users = if sessions < MOST_SESSIONS {
            poisson(n - 1.0)
        } else {
            1.0 - (1..MOST_SESSIONS).map(|sessions| poisson(f64::from(sessions) - 1.0)).sum::<f64>()
        };
        let clicking = |k: f64| (ln_choose(n, k) + ln_beta(k + a, n - k + b) - ln_beta(a, b)).exp();
        for clicks in 0..=sessions {
            // Each click is made with the factor's chance.
            let m = f64::from(clicks);
            let of = |k: u32| {
                let k = f64::from(k);
                let made = ln_choose(k, m).exp() * factor.powf(m) * (1.0 - factor).powf(k - m);
                clicking(k) * made
            };
            let chance = users * (clicks..=sessions).map(of).sum::<f64>();
            cells.push(Cell { sessions: n, clicks: m, chance, up_to: 0.0 });
        }
    }
    cells.sort_by(|one, other| other.chance.total_cmp(&one.chance));
    let mut up_to = 0.0;
    for cell in &mut cells {
        up_to += cell.chance;
        cell.up_to = up_to;
    }
    cells
}

/// How many of `n` have what each has with this chance.
pub(crate) fn binomial(random: &mut StdRng, n: u64, chance: f64) -> u64 {
    if n == 0 || chance <= 0.0 {
        return 0;
    }
    Binomial::new(n, chance.min(1.0)).map_or(0, |binomial| binomial.sample(random))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_is_drawn_has_the_true_mean_and_variance() {
        let mut random = StdRng::seed_from_u64(3);
        for kind in Kind::ALL {
            for batch in [20, 1_000] {
                let source = Source::new(kind, 1.0);
                let mut sums = Sums::default();
                for _ in 0..400_000 / batch {
                    sums.add(&Sums::idle(batch));
                    sums.add(&source.draw(&mut random, batch));
                }
                let outcome = sums.outcome(kind);
                let [one, ..] = portcullis::stats::outcome::estimates(&outcome, &outcome).unwrap();
                let error = (one.variance / one.n as f64).sqrt();
                assert!((one.value - kind.value()).abs() < 4.0 * error, "{kind:?}: {one:?}");
                let variation = one.variance / one.value.powi(2);
                let off = (variation / kind.squared_variation() - 1.0).abs();
                assert!(off < if kind == Kind::Revenue { 0.25 } else { 0.02 }, "{kind:?}: {variation}");
            }
        }
    }
}
