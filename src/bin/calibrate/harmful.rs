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
/// Most units of an arm.
const MOST_UNITS: f64 = 1_000_000.0;

/// What is simulated, and how it ended.
pub(crate) struct Cell {
    design: Design,
    share: f64,
    ended: Vec<Ended>,
}

/// Every kind of metric with every drop, at two shares.
pub(crate) fn designs(kinds: &[Kind], drops: &[f64], shares: &[f64], looks: u32) -> Vec<(Design, f64)> {
    let mut designs = Vec::new();
    for kind in kinds {
        for share in shares {
            for drop in drops {
                let units = expected(*kind, *share, *drop);
                let last = (PATIENCE * units / share).min(MOST_UNITS / share.max(1.0 - share));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "at most some millions"
                )]
                let arrivals = vec![(last / f64::from(looks)).ceil() as u64; looks as usize];
                let steps = vec![(100.0 * share, 0)];
                let (drop, drift, delay) = (*drop, 0.0, None);
                designs.push((
                    Design { kind: *kind, guardrails: 1, steps, arrivals, drop, drift, delay },
                    *share,
                ));
            }
        }
    }
    designs
}

/// Units of the treatment that a test which knows the effect needs in the mean, at least: ln 1/alpha over what a unit tells
/// (Wald 1945), with normal outcomes of the control's variance.
fn expected(kind: Kind, share: f64, drop: f64) -> f64 {
    -2.0 * ALPHA.ln() * kind.squared_variation() * (1.0 + share / (1.0 - share)) / (drop * drop)
}

/// Runs all launches of a design.
pub(crate) fn run((design, share): (Design, f64), launches: u64, seed: u64, bar: &ProgressBar) -> Cell {
    let ended = parallel::all(launches, bar, |launch| watch(&design, true, seed + launch));
    Cell { design, share, ended }
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

    /// Whether the guard needs more than it may where it catches nearly all.
    pub(crate) fn breaks_bound(&self) -> bool {
        let (ratio, error) = self.ratio();
        self.caught() >= CAUGHT && ratio - ALLOWED_ERRORS * error > MOST_RATIO
    }
}

/// The cells as a table.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut table = "| metric | share | true drop | caught | treated users, median | mean | knowing the effect, mean | ratio | \
                     least in theory |\n|---|---|---|---|---|---|---|---|---|\n"
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
        let ratio =
            if cell.caught() < CAUGHT { "—".to_owned() } else { format!("{ratio:.2} ± {error:.2}") };
        let mark = if cell.breaks_bound() { " **above the bound**" } else { "" };
        let (kind, drop) = (cell.design.kind, cell.design.drop);
        let _ = writeln!(
            table,
            "| {} | {} % | {} % | {:.1} % | {} | {} | {} | {ratio}{mark} | {} |",
            kind.name(),
            100.0 * cell.share,
            100.0 * drop,
            100.0 * cell.caught(),
            thousands(median),
            thousands(mean),
            thousands(known),
            thousands(expected(kind, cell.share, drop)),
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
