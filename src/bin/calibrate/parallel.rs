//! The same thing many times, on all cores, with the same result however many there are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use indicatif::ProgressBar;

/// Runs `run` for 0 up to `count`, and gives the results in that order.
pub(crate) fn all<T: Send>(count: u64, bar: &ProgressBar, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        let mut own = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            own.push((index, run(index)));
            bar.inc(1);
        }
        // A thread that panicked leaves no results behind, and the panic ends the scope below.
        if let Ok(mut all) = results.lock() {
            all.append(&mut own);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
