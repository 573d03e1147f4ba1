//! Visitors: who calls, what they are served, and what they do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::transport::grpc::wire::{
    CheckGateRequest, Event, EventOutcome, GetExperimentRequest, GetExperimentResponse, LogEventsRequest,
    User,
};
use tokio::task::JoinSet;

use crate::server::Server;

/// Tasks that call for visitors at the same time.
const TASKS: usize = 8;
/// Events of one batch.
const BATCH: usize = 500;

/// What each visitor is served by a gate.
pub(crate) type Passes = BTreeMap<String, bool>;

/// The ids of `count` visitors.
pub(crate) fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

pub(crate) fn user(id: &str) -> User {
    User { user_id: id.to_owned(), ..User::default() }
}

/// An event that just happened, with an id of its own.
pub(crate) fn event(visitor: &str, name: &str) -> Event {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Event {
        id: format!("event-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        name: name.to_owned(),
        user: Some(user(visitor)),
        ..Event::default()
    }
}

/// Logs events and expects all of them to be taken.
pub(crate) async fn log(server: &Server, events: Vec<Event>) {
    for batch in events.chunks(BATCH) {
        let outcomes = log_batch(server, batch.to_vec()).await;
        assert!(!outcomes.contains(&EventOutcome::Refused), "no event is refused");
    }
}

/// Logs one batch and tells what became of each event.
pub(crate) async fn log_batch(server: &Server, events: Vec<Event>) -> Vec<EventOutcome> {
    let answer = server.events().log_events(LogEventsRequest { events }).await;
    answer.expect("the batch is taken").into_inner().results.iter().map(|result| result.outcome()).collect()
}

/// An event of somebody who takes part in nothing: it tells the guard that events go on coming in.
pub(crate) async fn heartbeat(server: &Server) {
    log(server, vec![event("somebody-else", "heartbeat")]).await;
}

/// Asks a gate for every visitor.
pub(crate) async fn check_gate(server: &Server, gate: &str, visitors: &[String]) -> Passes {
    let mut tasks = JoinSet::new();
    for share in visitors.chunks(visitors.len().div_ceil(TASKS).max(1)) {
        let (share, gate, mut client) = (share.to_vec(), gate.to_owned(), server.evaluation());
        tasks.spawn(async move {
            let mut passes = Passes::new();
            for visitor in share {
                let (user, gate) = (Some(user(&visitor)), gate.clone());
                let request = CheckGateRequest { user, gate, disable_exposure: false };
                let answer = client.check_gate(request).await.expect("an answer of the gate").into_inner();
                passes.insert(visitor, answer.pass);
            }
            passes
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Asks an experiment for every visitor.
pub(crate) async fn get_experiment(
    server: &Server,
    experiment: &str,
    visitors: &[String],
) -> BTreeMap<String, GetExperimentResponse> {
    let mut tasks = JoinSet::new();
    for share in visitors.chunks(visitors.len().div_ceil(TASKS).max(1)) {
        let (share, experiment, mut client) = (share.to_vec(), experiment.to_owned(), server.evaluation());
        tasks.spawn(async move {
            let mut answers = BTreeMap::new();
            for visitor in share {
                let request = GetExperimentRequest {
                    user: Some(user(&visitor)),
                    experiment: experiment.clone(),
                    ..GetExperimentRequest::default()
                };
                let answer = client.get_experiment(request).await.expect("an answer of the experiment");
                answers.insert(visitor, answer.into_inner());
            }
            answers
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// The group of every visitor.
pub(crate) async fn groups(
    server: &Server,
    experiment: &str,
    visitors: &[String],
) -> BTreeMap<String, String> {
    let answers = get_experiment(server, experiment, visitors).await;
    answers.into_iter().map(|(visitor, answer)| (visitor, answer.group)).collect()
}

/// Whether a count of successes is within four standard deviations of what a share of all promises.
pub(crate) fn assert_share(count: usize, all: usize, share: f64) {
    let expected = all as f64 * share;
    let deviation = (expected * (1.0 - share)).sqrt();
    let off = (count as f64 - expected).abs();
    assert!(off <= 4.0 * deviation, "{count} of {all} is not a share of {share}");
}

/// The visitors that the gate lets through.
pub(crate) fn passing(passes: &Passes) -> Vec<String> {
    passes.iter().filter(|(_, passes)| **passes).map(|(visitor, _)| visitor.clone()).collect()
}
