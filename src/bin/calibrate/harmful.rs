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
/// A ratio this many standard errors above that breaks the bound.
const ALLOWED_ERRORS: f64 = 2.0;
/// A launch is watched for so many times the units that the theory expects.
const PATIENCE: f64 = 5.0;
/// In this time the guard is made to look so often; a later look costs it the time to the next.
const LOOKS: u32 = 1_000;
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
        let (kind, share, drop, bounded) = (Kind::Proportion, 0.5, 0.2, false);
        ticks.iter().map(|ticks| Self { kind, share, drop, ticks: *ticks, bounded }).collect()
    }

    fn design(&self) -> Design {
        let Self { kind, share, drop, ticks, .. } = *self;
        let a_tick = self.expected() / share / f64::from(ticks);
        let last = (PATIENCE * f64::from(ticks)).min(MOST_UNITS / share.max(1.0 - share) / a_tick);
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

    /// Whether the guard needs more than it may where it catches nearly all.
    pub(crate) fn breaks_bound(&self) -> bool {
        let (ratio, error) = self.ratio();
        self.subject.bounded && self.is_caught() && ratio - ALLOWED_ERRORS * error > MOST_RATIO
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
        let mark = if cell.breaks_bound() { " **above the bound**" } else { "" };
        let Subject { kind, share, drop, ticks, .. } = cell.subject;
        let _ = writeln!(
            table,
            "| {} | {} % | {} % | {} | {:.1} % | {} | {} | {} | {ratio}{mark} | {} |",
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
