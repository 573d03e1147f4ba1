//! Simulated visitors: each asks what to show, and some of them sign up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::clients::Clients;
use super::world::{BLIND, EXPERIMENT, HARMFUL, HARMFUL_GROUP, HARMLESS, SIGNUP};
use crate::transport::grpc::wire::{EvaluateBatchRequest, Event, LogEventsRequest, User};

/// Groups of visitors that arrive side by side.
const STREAMS: u64 = 4;
/// Visitors of one group.
const GROUP: u64 = 25;
/// Time between two groups of one stream: 1,000 visitors a second over all.
const PAUSE: Duration = Duration::from_millis(100);
/// Share of visitors who sign up.
const SIGNUP_SHARE: f64 = 0.30;
/// What the harmful form leaves of it.
const HARMFUL_FORM: f64 = 0.75;
/// What the harmful group leaves of it.
const HARMFUL_BUTTON: f64 = 0.5;

/// What the visitors have seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Visitors {
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    visitors: AtomicU64,
    failures: AtomicU64,
    harmed: Mutex<Option<Harmed>>,
}

/// Who was served the harmful form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Harmed {
    /// When the first one was.
    pub(super) first: Instant,
    /// When the last one was.
    pub(super) last: Instant,
    /// How many.
    pub(super) count: u64,
}

impl Visitors {
    /// How many have come.
    pub(super) fn count(&self) -> u64 {
        self.seen.visitors.load(Ordering::Relaxed)
    }

    /// How many calls failed.
    pub(super) fn failures(&self) -> u64 {
        self.seen.failures.load(Ordering::Relaxed)
    }

    /// Who was served the harmful form so far.
    pub(super) async fn harmed(&self) -> Option<Harmed> {
        *self.seen.harmed.lock().await
    }

    async fn note_harmed(&self) {
        let now = Instant::now();
        let mut harmed = self.seen.harmed.lock().await;
        let entry = harmed.get_or_insert(Harmed { first: now, last: now, count: 0 });
        entry.last = now;
        entry.count += 1;
    }
}

/// Lets visitors come until the stop.
pub(super) fn start(clients: &Clients, seed: u64, stop: &CancellationToken) -> Visitors {
    let visitors = Visitors::default();
    for stream in 0..STREAMS {
        let (clients, visitors, stop) = (clients.clone(), visitors.clone(), stop.clone());
        tokio::spawn(async move { run(clients, visitors, seed, stream, stop).await });
    }
    visitors
}

async fn run(mut clients: Clients, visitors: Visitors, seed: u64, stream: u64, stop: CancellationToken) {
    let mut pace = tokio::time::interval(PAUSE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = stream;
    while !stop.is_cancelled() {
        pace.tick().await;
        let mut events = Vec::new();
        for _ in 0..GROUP {
            match visit(&mut clients, &visitors, seed, number).await {
                Ok(happened) => events.extend(happened),
                Err(_) => note_failure(&visitors),
            }
            number += STREAMS;
        }
        if clients.events.log_events(LogEventsRequest { events }).await.is_err() {
            note_failure(&visitors);
        }
    }
}

fn note_failure(visitors: &Visitors) {
    visitors.seen.failures.fetch_add(1, Ordering::Relaxed);
}

/// One visitor: what it is served decides how likely it signs up. Its luck depends on the seed and its number alone.
async fn visit(
    clients: &mut Clients,
    visitors: &Visitors,
    seed: u64,
    number: u64,
) -> Result<Vec<Event>, Status> {
    let mut luck = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    let user = User {
        user_id: format!("visitor-{number}"),
        browser: if luck.random_bool(0.6) { "Chrome" } else { "Firefox" }.to_owned(),
        country: if luck.random_bool(0.5) { "DE" } else { "US" }.to_owned(),
        ..User::default()
    };
    let request = EvaluateBatchRequest {
        user: Some(user.clone()),
        gates: [HARMLESS, HARMFUL, BLIND].map(str::to_owned).to_vec(),
        experiments: vec![EXPERIMENT.to_owned()],
        ..EvaluateBatchRequest::default()
    };
    let served = clients.evaluation.evaluate_batch(request).await?.into_inner();
    visitors.seen.visitors.fetch_add(1, Ordering::Relaxed);
    let harmed = served.gates.get(HARMFUL).is_some_and(|gate| gate.pass);
    if harmed {
        visitors.note_harmed().await;
    }
    let put_off = served.experiments.get(EXPERIMENT).is_some_and(|answer| answer.group == HARMFUL_GROUP);
    let event = |name: &str| Event {
        id: format!("{name}-{number}"),
        name: name.to_owned(),
        user: Some(user.clone()),
        ..Event::default()
    };
    let mut events = vec![event("page_view")];
    let left = if harmed { HARMFUL_FORM } else { 1.0 } * if put_off { HARMFUL_BUTTON } else { 1.0 };
    if luck.random_bool(SIGNUP_SHARE * left) {
        events.push(event(SIGNUP));
    }
    Ok(events)
}
