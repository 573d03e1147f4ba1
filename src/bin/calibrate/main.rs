//! Calibration: how often the guard rolls back what is harmless, and how long it takes over what is not, by simulation.
//!
//! It runs what decides in service, the judgement and the plan, on simulated launches with fixed seeds, writes two tables,
//! and fails where a bound is broken.

mod guarded;
mod harmful;
mod harmless;
mod outcomes;
mod parallel;
mod world;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harmless::Extent;
use indicatif::{ProgressBar, ProgressStyle};
use outcomes::Kind;

/// Simulates harmless and harmful launches under the guard.
#[derive(Debug, Parser)]
struct Args {
    /// A short form, for tests: fewer launches, fewer looks, and not every design.
    #[arg(long)]
    quick: bool,
    /// Where the tables are written; without it, to the standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Other launches.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How much is simulated.
struct Plan {
    harmless: Vec<(world::Design, &'static str)>,
    harmless_launches: u64,
    harmful: Vec<(world::Design, f64)>,
    harmful_launches: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all bounds hold.
fn run(args: &Args) -> io::Result<bool> {
    let plan = if args.quick { quick() } else { full() };
    let total = plan.harmless.len() as u64 * plan.harmless_launches
        + plan.harmful.len() as u64 * plan.harmful_launches;
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{elapsed:>5} [{bar:40}] {pos}/{len} launches, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    // Every design has seeds of its own.
    let mut seeds = (0..).map(|design: u64| (args.seed << 48) + (design << 32));
    let mut next = || seeds.next().unwrap_or_default();
    let harmless: Vec<harmless::Cell> = plan
        .harmless
        .into_iter()
        .map(|design| harmless::run(design, plan.harmless_launches, next(), &bar))
        .collect();
    let harmful: Vec<harmful::Cell> = plan
        .harmful
        .into_iter()
        .map(|design| harmful::run(design, plan.harmful_launches, next(), &bar))
        .collect();
    bar.finish_and_clear();
    let tables = format!("{}\n{}", harmless::table(&harmless), harmful::table(&harmful));
    match &args.out {
        Some(file) => std::fs::write(file, tables)?,
        None => io::stdout().write_all(tables.as_bytes())?,
    }
    let broken = harmless.iter().filter(|cell| cell.breaks_bound()).count()
        + harmful.iter().filter(|cell| cell.breaks_bound()).count();
    if broken > 0 {
        writeln!(io::stderr(), "{broken} cells are above their bound")?;
    }
    Ok(broken == 0)
}

fn full() -> Plan {
    let extent = Extent { looks: 1_000, units: 400_000 };
    Plan {
        harmless: harmless::designs(extent, &[1, 5, 10]),
        harmless_launches: 4_000,
        harmful: harmful::designs(&Kind::ALL, &[0.02, 0.05, 0.1, 0.2], &[0.5, 0.01], 4_000),
        harmful_launches: 500,
    }
}

fn quick() -> Plan {
    let extent = Extent { looks: 150, units: 60_000 };
    Plan {
        harmless: harmless::designs(extent, &[2]),
        harmless_launches: 150,
        harmful: harmful::designs(&[Kind::Proportion, Kind::Ratio], &[0.2], &[0.5], 300),
        harmful_launches: 60,
    }
}
