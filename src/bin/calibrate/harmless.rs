//! How often harmless launches are rolled back.

use std::fmt::Write;

use indicatif::ProgressBar;
use portcullis::domain::launch::ALPHA;

use crate::guarded::watch;
use crate::outcomes::Kind;
use crate::parallel;
use crate::world::Design;

/// A rate this many standard errors above the bound breaks it: for a rate at the bound once in a thousand cells.
const ALLOWED_ERRORS: f64 = 3.09;

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) looks: u32,
    /// Units of a launch, in both arms together.
    pub(crate) units: u64,
}

/// How units are let in.
#[derive(Clone, Copy, Debug)]
enum Allocation {
    Even,
    OneInAHundred,
    /// From 1 to 10 and 50 percent, while the baseline falls by a twentieth with each step and units take their time.
    Ramp,
}

impl Allocation {
    const ALL: [Self; 3] = [Self::Even, Self::OneInAHundred, Self::Ramp];

    fn name(self) -> &'static str {
        match self {
            Self::Even => "50 %",
            Self::OneInAHundred => "1 %",
            Self::Ramp => "1, 10, 50 %; drift, delays",
        }
    }
}

/// One cell of the table.
pub(crate) struct Cell {
    design: Design,
    allocation: &'static str,
    launches: u64,
    rolled_back: u64,
}

/// All designs, by the extent of each.
pub(crate) fn designs(extent: Extent, guardrails: &[usize]) -> Vec<(Design, &'static str)> {
    let mut designs = Vec::new();
    for kind in Kind::ALL {
        for allocation in Allocation::ALL {
            let of = |guardrails: &usize| (design(kind, allocation, *guardrails, extent), allocation.name());
            designs.extend(guardrails.iter().map(of));
        }
    }
    designs
}

fn design(kind: Kind, allocation: Allocation, guardrails: usize, extent: Extent) -> Design {
    let step = extent.looks / 3;
    let (steps, drift, delay) = match allocation {
        Allocation::Even => (vec![(50.0, 0)], 0.0, None),
        Allocation::OneInAHundred => (vec![(1.0, 0)], 0.0, None),
        // Half a step is the mean delay.
        Allocation::Ramp => (vec![(1.0, step), (10.0, step), (50.0, 0)], 0.05, Some(f64::from(step) / 2.0)),
    };
    let arrivals = match allocation {
        // Looks that lie as close early on as later, in proportion to what there is.
        Allocation::Even | Allocation::OneInAHundred => growing(200, extent.units, extent.looks),
        Allocation::Ramp => vec![extent.units / u64::from(extent.looks); extent.looks as usize],
    };
    Design { kind, guardrails, steps, arrivals, drop: 0.0, drift, delay }
}

/// New units by look, so that all so far grow from `first` to `last` by the same factor each time.
fn growing(first: u64, last: u64, looks: u32) -> Vec<u64> {
    let factor = (last as f64 / first as f64).powf(1.0 / f64::from(looks.saturating_sub(1).max(1)));
    let mut so_far = 0;
    let mut arrivals = Vec::new();
    for look in 0..looks {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "units of a simulation")]
        let target = (first as f64 * factor.powf(f64::from(look))).round() as u64;
        arrivals.push(target.saturating_sub(so_far));
        so_far = so_far.max(target);
    }
    arrivals
}

/// Runs all launches of a design.
pub(crate) fn run(
    (design, allocation): (Design, &'static str),
    launches: u64,
    seed: u64,
    bar: &ProgressBar,
) -> Cell {
    let ended = parallel::all(launches, bar, |launch| watch(&design, false, seed + launch));
    let rolled_back = ended.iter().filter(|ended| ended.rolled_back.is_some()).count() as u64;
    Cell { design, allocation, launches, rolled_back }
}

impl Cell {
    fn rate(&self) -> f64 {
        self.rolled_back as f64 / self.launches as f64
    }

    /// Whether the rate is above the bound by more than chance explains.
    pub(crate) fn breaks_bound(&self) -> bool {
        let error = (ALPHA * (1.0 - ALPHA) / self.launches as f64).sqrt();
        self.rate() > ALPHA + ALLOWED_ERRORS * error
    }
}

/// The cells as a table.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut table =
        "| metric | share | guardrails | launches | rolled back |\n|---|---|---|---|---|\n".to_owned();
    for cell in cells {
        let rate = cell.rate();
        let error = (rate * (1.0 - rate) / cell.launches as f64).sqrt();
        let mark = if cell.breaks_bound() { " **above the bound**" } else { "" };
        let (kind, guardrails, launches) = (cell.design.kind.name(), cell.design.guardrails, cell.launches);
        let allocation = cell.allocation;
        let _ = writeln!(
            table,
            "| {kind} | {allocation} | {guardrails} | {launches} | {:.2} ± {:.2} %{mark} |",
            100.0 * rate,
            100.0 * error
        );
    }
    table
}
