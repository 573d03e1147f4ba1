//! What one evaluation costs, against the hash and the look-up that it cannot do without, and beside `statsig-rust`.
//!
//! The ratio is taken inside one run: short turns of each, one after the other, and the median over all turns.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use portcullis::domain::time::Timestamp;
use portcullis::domain::user::User;
use portcullis::engine::evaluate::{Entity, evaluate};
use portcullis_benches::{GATES, key, project, snapshot};
use sha2::{Digest, Sha256};
use statsig_rust::{FeatureGateEvaluationOptions, Statsig, StatsigOptions, StatsigUser, StatsigUserBuilder};

/// The most that an evaluation may cost, as a multiple of one hash and one look-up.
const BOUND: f64 = 1.6;
const GATE: usize = 4_321;
const NOW: Timestamp = Timestamp(1_767_000_000_000);
const TURNS: usize = 2_000;
const CALLS_A_TURN: usize = 500;

fn main() {
    let mut keys: HashMap<String, usize> = (0..GATES).map(|index| (key(index), index)).collect();
    keys.shrink_to_fit();
    let gate = key(GATE);
    let bytes = format!("salt-{GATE}.rule-salt-{GATE}.user-1234567");
    let snapshot = snapshot();
    let user = User { user_id: "user-1234567".to_owned(), country: "DE".to_owned(), ..User::default() };

    let baseline = || {
        let found = keys.get(black_box(gate.as_str()));
        black_box((found, Sha256::digest(black_box(bytes.as_bytes()))));
    };
    let ours = || {
        black_box(evaluate(&snapshot, Entity::Gate, black_box(&gate), black_box(&user), NOW));
    };
    let (statsig, runtime) = other_sdk();
    let other_user: StatsigUser =
        StatsigUserBuilder::new_with_user_id("user-1234567").country(Some("DE".to_owned())).build();
    let quietly = FeatureGateEvaluationOptions { disable_exposure_logging: true };
    let theirs = || {
        black_box(statsig.check_gate_with_options(black_box(&other_user), black_box(&gate), quietly.clone()));
    };
    assert_eq!(
        evaluate(&snapshot, Entity::Gate, &gate, &user, NOW).passed,
        statsig.check_gate_with_options(&other_user, &gate, quietly.clone()),
        "both must give the same answer"
    );

    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("one SHA-256 and one look-up", |bencher| bencher.iter(baseline));
    criterion.bench_function("portcullis: evaluate a gate", |bencher| bencher.iter(ours));
    criterion.bench_function("statsig-rust: check_gate", |bencher| bencher.iter(theirs));
    criterion.final_summary();

    let allocated = allocation_counter::measure(|| (0..1_000).for_each(|_| ours())).count_total;
    let (ours_to_baseline, theirs_to_baseline) = (ratio(baseline, ours), ratio(baseline, theirs));
    println!("allocations in 1,000 evaluations: {allocated}");
    println!("evaluate / (one SHA-256 + one look-up): {ours_to_baseline:.2}, at most {BOUND}");
    println!("statsig-rust check_gate / (one SHA-256 + one look-up): {theirs_to_baseline:.2}");
    runtime.shutdown_background();
    assert!(allocated == 0, "an evaluation allocates");
    assert!(ours_to_baseline <= BOUND, "an evaluation is too slow");
}

/// The median of what a call costs against the baseline, turn by turn.
fn ratio(baseline: impl Fn(), call: impl Fn()) -> f64 {
    let time = |call: &dyn Fn()| {
        let start = Instant::now();
        (0..CALLS_A_TURN).for_each(|_| call());
        start.elapsed().as_secs_f64()
    };
    let mut turns: Vec<f64> = (0..TURNS)
        .map(|_| {
            let base = time(&baseline);
            time(&call) / base
        })
        .collect();
    turns.sort_by(f64::total_cmp);
    turns[TURNS / 2]
}

/// The other SDK with the same project, from a server of our own.
fn other_sdk() -> (Statsig, tokio::runtime::Runtime) {
    let address = serve(project());
    let options = StatsigOptions {
        specs_url: Some(format!("http://{address}/v2/download_config_specs")),
        log_event_url: Some(format!("http://{address}/v1/log_event")),
        specs_sync_interval_ms: Some(3_600_000),
        ..StatsigOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let statsig = Statsig::new("secret-key", Some(Arc::new(options)));
    runtime.block_on(statsig.initialize()).expect("the SDK initialises");
    (statsig, runtime)
}

/// Answers every request with a project.
fn serve(project: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // An SDK that goes away is no failure here.
            let _ = answer(stream, &project);
        }
    });
    address
}

fn answer(mut stream: TcpStream, project: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{project}",
        project.len()
    )
}
