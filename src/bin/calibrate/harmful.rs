//! How long harmful launches go on, beside the test that knows the effect.

use std::fmt::Write;

use indicatif::ProgressBar;
use portcullis::domain::launch::ALPHA;

use crate::guarded::{Ended, watch};
use crate::outcomes::Kind;
use crate::parallel;
use crate::world::Design;

/// Where the guard catches at least this share of the launches, it is to be near the test that knows the effect.
const CAUGHT: f64 = 0.98;
/// It may need so many times the units.
const MOST_RATIO: f64 = 1.5;
/// A ratio this many standard errors above that, or a share that is caught as far below what it must be, breaks its bound.
const ALLOWED_ERRORS: f64 = 2.0;
/// A launch is watched for so many times the units that the theory expects.
const PATIENCE: f64 = 5.0;
/// In this time the guard is made to look so often; a later look costs it the time to the next.
const LOOKS: u32 = 1_000;
/// In launches of fewer ticks it may need more, because of the bucket that is left out.
const BOUNDED_FROM: u32 = 1_000;
/// Most units of an arm.
const MOST_UNITS: f64 = 1_000_000.0;

/// What is simulated, and how it ended.
pub(crate) struct Cell {
    subject: Subject,
    ended: Vec<Ended>,
}

/// One harmful launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    /// Share of the treatment.
    pub(crate) share: f64,
    /// Share by which the treatment is worse.
    pub(crate) drop: f64,
    /// Ticks after which the test that knows the effect is expected to show it: how fast units come.
    pub(crate) ticks: u32,
    /// Whether it must be shown nearly as fast as by that test.
    pub(crate) bounded: bool,
}

impl Subject {
    /// Every kind of metric with every drop, at every share.
    pub(crate) fn all(kinds: &[Kind], drops: &[f64], shares: &[f64], ticks: u32) -> Vec<Self> {
        let mut subjects = Vec::new();
        for kind in kinds.iter().copied() {
            for share in shares.iter().copied() {
                subjects.extend(drops.iter().map(|drop| Self {
                    kind,
                    share,
                    drop: *drop,
                    ticks,
                    bounded: true,
                }));
            }
        }
        subjects
    }

    /// One of them at other speeds: the fewer ticks the evidence is spread over, the more of it is left out with the tick
    /// that has most of it.
    pub(crate) fn faster(ticks: &[u32]) -> Vec<Self> {
        let (kind, share, drop) = (Kind::Proportion, 0.5, 0.2);
        let at = |ticks: &u32| Self { kind, share, drop, ticks: *ticks, bounded: *ticks >= BOUNDED_FROM };
        ticks.iter().map(at).collect()
    }

    fn design(&self) -> Design {
        let Self { kind, share, drop, ticks, .. } = *self;
        let a_tick = self.units_a_tick();
        let last = (PATIENCE * f64::from(ticks)).min(self.most_ticks());
        let arrivals = (1..).map(f64::from).take_while(|tick| *tick <= last);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some millions")]
        let up_to = |tick: f64| (tick * a_tick).floor() as u64;
        Design {
            kind,
            guardrails: 1,
            steps: vec![(100.0 * share, 0)],
            arrivals: arrivals.map(|tick| up_to(tick) - up_to(tick - 1.0)).collect(),
            ticks_a_look: i64::from(ticks / LOOKS).max(1),
            drop,
            drift: 0.0,
            delay: None,
        }
    }

    /// Units of both arms that come in a tick.
    fn units_a_tick(&self) -> f64 {
        self.expected() / self.share / f64::from(self.ticks)
    }

    /// Ticks until the larger arm has its most units.
    fn most_ticks(&self) -> f64 {
        MOST_UNITS / self.share.max(1.0 - self.share) / self.units_a_tick()
    }

    /// Whether a launch ends before its time is up, because there are no more units.
    fn is_cut(&self) -> bool {
        self.most_ticks() < PATIENCE * f64::from(self.ticks)
    }

    /// Runs launches of it.
    pub(crate) fn run(self, launches: u64, seed: u64, bar: &ProgressBar) -> Cell {
        let design = self.design();
        let ended = parallel::all(launches, bar, |launch| watch(&design, true, seed + launch));
        Cell { subject: self, ended }
    }

    /// Units of the treatment that a test which knows the effect needs in the mean, at least: ln 1/alpha over what a unit
    /// tells (Wald 1945), with normal outcomes of the control's variance.
    fn expected(&self) -> f64 {
        let Self { kind, share, drop, .. } = *self;
        -2.0 * ALPHA.ln() * kind.squared_variation() * (1.0 + share / (1.0 - share)) / (drop * drop)
    }
}

impl Cell {
    fn caught(&self) -> f64 {
        let caught = self.ended.iter().filter(|ended| ended.rolled_back.is_some()).count();
        caught as f64 / self.ended.len() as f64
    }

    /// Units of the treatment by launch, with those that were not caught at their end: the guard's, and of the test that
    /// knows the effect.
    fn units(&self) -> Vec<(f64, f64)> {
        let at = |units: Option<u64>, ended: &Ended| units.unwrap_or(ended.units) as f64;
        let both = |ended: &Ended| (at(ended.rolled_back, ended), at(ended.by_known_effect, ended));
        self.ended.iter().map(both).collect()
    }

    /// The ratio of the mean numbers of units, and its standard error (of a ratio of means over pairs).
    fn ratio(&self) -> (f64, f64) {
        let units = self.units();
        let n = units.len() as f64;
        let (guard, known) = (
            units.iter().map(|(guard, _)| guard).sum::<f64>() / n,
            units.iter().map(|(_, known)| known).sum::<f64>() / n,
        );
        let ratio = guard / known;
        let squares: f64 = units.iter().map(|(guard, known)| (guard - ratio * known).powi(2)).sum();
        (ratio, (squares / (n * (n - 1.0))).sqrt() / known)
    }

    fn is_caught(&self) -> bool {
        self.caught() >= CAUGHT
    }

    /// Whether the guard needs more than it may where it catches nearly all, or misses more than it may where a launch goes on
    /// for its whole time.
    pub(crate) fn breaks_bound(&self) -> bool {
        self.is_too_slow() || self.misses_too_many()
    }

    fn is_too_slow(&self) -> bool {
        let (ratio, error) = self.ratio();
        self.subject.bounded && self.is_caught() && ratio - ALLOWED_ERRORS * error > MOST_RATIO
    }

    fn misses_too_many(&self) -> bool {
        let error = (CAUGHT * (1.0 - CAUGHT) / self.ended.len() as f64).sqrt();
        !self.subject.is_cut() && self.caught() + ALLOWED_ERRORS * error < CAUGHT
    }
}

/// The cells as a table.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut table = "| metric | share | true drop | ticks | caught | treated users: median | mean | knowing the effect | \
                     ratio | least in theory |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for cell in cells {
        let units = cell.units();
        let mut guard: Vec<f64> = units.iter().map(|(guard, _)| *guard).collect();
        guard.sort_by(f64::total_cmp);
        let n = guard.len() as f64;
        let median = guard.get(guard.len() / 2).copied().unwrap_or_default();
        let mean = guard.iter().sum::<f64>() / n;
        let known = units.iter().map(|(_, known)| known).sum::<f64>() / n;
        let (ratio, error) = cell.ratio();
        let ratio = if cell.is_caught() { format!("{ratio:.2} ± {error:.2}") } else { "—".to_owned() };
        let mark = if cell.is_too_slow() { " **above the bound**" } else { "" };
        let missed = if cell.misses_too_many() { " **below the bound**" } else { "" };
        let Subject { kind, share, drop, ticks, .. } = cell.subject;
        let _ = writeln!(
            table,
            "| {} | {} % | {} % | {} | {:.1} %{missed} | {} | {} | {} | {ratio}{mark} | {} |",
            kind.name(),
            100.0 * share,
            100.0 * drop,
            thousands(f64::from(ticks)),
            100.0 * cell.caught(),
            thousands(median),
            thousands(mean),
            thousands(known),
            thousands(cell.subject.expected()),
        );
    }
    table
}

/// A whole number with commas.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(share: f64, drop: f64, caught: u64) -> Cell {
        let subject = Subject { kind: Kind::Proportion, share, drop, ticks: 1_000, bounded: true };
        let ended = |launch| Ended {
            rolled_back: (launch < caught).then_some(1_400 + launch % 2),
            by_known_effect: Some(1_000),
            units: 9_000,
        };
        Cell { subject, ended: (0..100).map(ended).collect() }
    }

    #[test]
    fn a_guard_that_never_fires_breaks_the_bound_where_launches_go_on_for_their_whole_time() {
        assert!(cell(0.5, 0.2, 0).breaks_bound() && cell(0.5, 0.2, 90).breaks_bound());
        assert!(!cell(0.5, 0.2, 98).breaks_bound());
        // Here the units end before the time does.
        assert!(!cell(0.01, 0.02, 0).breaks_bound());
    }
}
