//! How long a whole configuration takes to compile, and whether readers notice when it is swapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use criterion::Criterion;
use portcullis::domain::time::Timestamp;
use portcullis::domain::user::User;
use portcullis::engine::compile::compile;
use portcullis::engine::evaluate::{Entity, evaluate};
use portcullis::engine::snapshot::Snapshot;
use portcullis_benches::{GATES, key, ruleset, snapshot};

const NOW: Timestamp = Timestamp(1_767_000_000_000);
const WATCHED: Duration = Duration::from_secs(5);

fn main() {
    let ruleset = ruleset();
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    criterion.bench_function("compile 10,000 gates", |bencher| bencher.iter(|| compile(&ruleset)));
    criterion.final_summary();

    let start = Instant::now();
    drop(compile(&ruleset));
    let compiled = start.elapsed();
    let live = Arc::new(ArcSwap::from_pointee(snapshot()));
    let quiet = read(&live, WATCHED);
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (live, done) = (Arc::clone(&live), Arc::clone(&done));
        move || {
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                live.store(Arc::new(compile(&ruleset)));
                swaps += 1;
            }
            swaps
        }
    });
    let busy = read(&live, WATCHED);
    done.store(true, Ordering::Relaxed);
    let swaps = writer.join().expect("the writer ends");
    println!("compile 10,000 gates: {:.0} ms", compiled.as_secs_f64() * 1_000.0);
    println!("readers without swaps: p50 {:?}, p99 {:?}, p99.9 {:?}", quiet[0], quiet[1], quiet[2]);
    println!("readers during {swaps} swaps: p50 {:?}, p99 {:?}, p99.9 {:?}", busy[0], busy[1], busy[2]);
    println!("p99 during swaps / p99 without: {:.2}", busy[1].as_secs_f64() / quiet[1].as_secs_f64());
    assert!(compiled < Duration::from_secs(1), "compiling takes too long");
}

/// Reads for a while as a server does, and says how long the calls took: the median, 99 % and 99.9 %.
fn read(live: &ArcSwap<Snapshot>, during: Duration) -> [Duration; 3] {
    let user = User { user_id: "user-1234567".to_owned(), country: "DE".to_owned(), ..User::default() };
    let keys: Vec<String> = (0..GATES).map(key).collect();
    let mut took = Vec::new();
    let start = Instant::now();
    for key in keys.iter().cycle() {
        let call = Instant::now();
        let snapshot = live.load_full();
        std::hint::black_box(evaluate(&snapshot, Entity::Gate, key, &user, NOW));
        drop(snapshot);
        took.push(call.elapsed());
        if start.elapsed() > during {
            break;
        }
    }
    took.sort_unstable();
    [0.5, 0.99, 0.999].map(|share| took[(took.len() as f64 * share) as usize])
}
