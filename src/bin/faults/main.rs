//! Faults: what becomes of acknowledged events when processes are killed, disks are full and networks are cut.
//!
//! Loggers send numbered events to a real server and note what is acknowledged. Meanwhile something breaks. Once all is well
//! again the store is read, and each acknowledged event must be in it exactly once.

mod cluster;
mod load;
mod proxy;
mod scenarios;
mod served;
mod stored;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use portcullis::cli::Cli;

/// What a scenario came to.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Events that were acknowledged.
    acknowledged: usize,
    /// Events that are stored; more than were acknowledged where an answer was missed.
    stored: usize,
    /// Acknowledged and not stored.
    lost: usize,
    /// Stored more than once.
    doubled: usize,
}

/// What goes wrong with a scenario itself.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Breaks things under load, and counts.
#[derive(Debug, Parser)]
struct Args {
    /// How long the network to the database is cut.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    cut: Duration,
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    // The server is this program as well, so that there is one to build.
    if std::env::args().nth(1).is_some_and(|first| first == "serve") {
        return Cli::parse().run();
    }
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost or doubled.
fn run(args: &Args) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut out = io::stdout();
    writeln!(
        out,
        "{:<66} {:>12} {:>9} {:>5} {:>8}",
        "what breaks", "acknowledged", "stored", "lost", "doubled"
    )?;
    let (mut all_well, mut ran) = (true, false);
    for scenario in scenarios::all(args.cut) {
        if !scenario.name().contains(&args.only) {
            continue;
        }
        let Outcome { acknowledged, stored, lost, doubled } = runtime.block_on(scenario.run())?;
        writeln!(out, "{:<66} {acknowledged:>12} {stored:>9} {lost:>5} {doubled:>8}", scenario.name())?;
        all_well &= lost == 0 && doubled == 0 && acknowledged > 0;
        ran = true;
    }
    Ok(all_well && ran)
}
