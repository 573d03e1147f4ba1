//! How long a refresh of a launch's numbers takes with few and with many events stored, beside the full rebuild.
//!
//! `cargo run --release -p portcullis-benches --bin refresh` prints one row for each size: 0.1, 1 and 10 million events. `REFRESH_SIZES=100000,1000000`
//! takes others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portcullis_benches::measured::{ACTIVE_UNITS, ARMS, Measured, NEW_EVENTS, RUNS};

#[tokio::main]
async fn main() {
    let sizes = std::env::var("REFRESH_SIZES").unwrap_or_else(|_| "100000,1000000,10000000".to_owned());
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.trim().parse().unwrap()).collect();
    println!(
        "{NEW_EVENTS} new events of {ACTIVE_UNITS} units, {ARMS} arms, 20 metrics; the middle of {RUNS} refreshes"
    );
    println!(
        "{:>12} {:>12} {:>12} {:>14} {:>12} {:>12}",
        "stored", "filled in", "refresh", "full rebuild", "difference", "peak memory"
    );
    let mut times: BTreeMap<usize, Duration> = BTreeMap::new();
    for size in sizes {
        let begun = Instant::now();
        let mut measured = Measured::filled(size).await;
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
            "{size:>12} {:>10.1} s {:>9.1} ms {:>12.2} s {distance:>12.1e} {:>8.0} MiB",
            filled.as_secs_f64(),
            refresh.as_secs_f64() * 1e3,
            begun.elapsed().as_secs_f64(),
            peak_mib(),
        );
        assert!(distance <= 1e-9, "the cells that were carried along differ from the rebuilt ones");
        times.insert(size, refresh);
    }
    if let (Some((least, first)), Some((most, last))) = (times.first_key_value(), times.last_key_value()) {
        let ratio = last.as_secs_f64() / first.as_secs_f64();
        println!("a refresh with {most} events stored takes {ratio:.2} times one with {least}");
    }
}

/// The most memory that this process ever had.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
