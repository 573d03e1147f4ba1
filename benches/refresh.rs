//! How long a refresh of a launch's numbers takes with few and with many events stored, beside the full rebuild.
//!
//! `cargo run --release -p portcullis-benches --bin refresh` prints one row for each size: 0.1, 1 and 10 million events. With
//! `script/postgres --durable` before it, it goes through them on PostgreSQL as well, which vacuums by itself then. It exits
//! with 1 where a refresh takes 1.5 times as long with the most as with the fewest, or where more memory was needed than is
//! good.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use portcullis_benches::engine::Engine;
use portcullis_benches::measured::{ACTIVE_UNITS, ARMS, Measured, NEW_EVENTS, RUNS};

/// A refresh with the most events stored is to take less than so many times one with the fewest.
const MAX_RATIO: f64 = 1.5;
/// What this process is to need less memory than.
const MAX_MIB: f64 = 500.0;

/// Measures a refresh with few and with many events stored
#[derive(Debug, Parser)]
struct Arguments {
    /// How many events are stored; 14 minutes go by until there are 10 million in a file
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000, 10_000_000])]
    sizes: Vec<usize>,
    /// Only databases whose name contains this, of SQLite and PostgreSQL
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { sizes, only } = Arguments::parse();
    println!(
        "{NEW_EVENTS} new events of {ACTIVE_UNITS} units, {ARMS} arms, 20 metrics and the free ones; the middle of {RUNS} refreshes"
    );
    println!(
        "{:>12} {:>12} {:>12} {:>12} {:>14} {:>12} {:>12}",
        "database", "stored", "filled in", "refresh", "full rebuild", "difference", "peak memory"
    );
    let is_asked = |engine: &Engine| engine.to_string().contains(&only);
    let engines: Vec<Engine> = Engine::all().into_iter().filter(is_asked).collect();
    // What was measured on nothing is not good.
    let mut is_good = !engines.is_empty();
    for engine in engines {
        let mut times: BTreeMap<usize, Duration> = BTreeMap::new();
        for size in &sizes {
            times.insert(*size, refresh(&engine, *size).await);
        }
        if let (Some((least, first)), Some((most, last))) = (times.first_key_value(), times.last_key_value())
        {
            let ratio = last.as_secs_f64() / first.as_secs_f64();
            println!("{engine}: a refresh with {most} events stored takes {ratio:.2} times one with {least}");
            is_good &= ratio < MAX_RATIO;
        }
    }
    // One that is not known is not below it.
    is_good &= peak_mib() < MAX_MIB;
    if is_good {
        return ExitCode::SUCCESS;
    }
    println!("below {MAX_RATIO} times and {MAX_MIB} MiB are wanted");
    ExitCode::FAILURE
}

/// Prints what it takes with so many events stored; gives the time of a refresh.
async fn refresh(engine: &Engine, size: usize) -> Duration {
    let begun = Instant::now();
    let mut measured = Measured::filled(engine, size).await;
    let filled = begun.elapsed();
    let mut refreshes = Vec::new();
    for _ in 0..RUNS {
        measured.log_new().await;
        let begun = Instant::now();
        measured.refresh().await;
        refreshes.push(begun.elapsed());
    }
    refreshes.sort_unstable();
    let refresh = refreshes[RUNS / 2];
    let begun = Instant::now();
    let distance = measured.rebuild().await;
    println!(
        "{engine:>12} {size:>12} {:>10.1} s {:>9.1} ms {:>12.2} s {distance:>12.1e} {:>8.0} MiB",
        filled.as_secs_f64(),
        refresh.as_secs_f64() * 1e3,
        begun.elapsed().as_secs_f64(),
        peak_mib(),
    );
    assert!(distance <= 1e-9, "the cells that were carried along differ from the rebuilt ones");
    refresh
}

/// The most memory that this process ever had.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
