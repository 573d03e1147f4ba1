//! Visitors: who calls, what they are served, and what they do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::transport::grpc::wire::{
    CheckGateRequest, Event, EventOutcome, EventResult, GetExperimentRequest, GetExperimentResponse,
    LogEventsRequest, User,
};
use tokio::task::JoinSet;

use crate::server::{Server, eventually};

/// Tasks that call for visitors at the same time.
const TASKS: usize = 8;
/// Events of one batch.
const BATCH: usize = 500;

/// Visitors of one wave.
const WAVE: usize = 60;

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
    answer.expect("the batch is taken").into_inner().results.iter().map(EventResult::outcome).collect()
}

/// An event of somebody who takes part in nothing: it tells the guard that events go on coming in.
pub(crate) async fn heartbeat(server: &Server) {
    // Whoever goes by the freshness of an event of its own is told that it still comes in.
    let names = ["heartbeat", "visited_signup", "page_viewed", "error_shown", "purchase"];
    log(server, names.map(|name| event("somebody-else", name)).to_vec()).await;
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

/// Visitors who come to a gate in waves, of whom a share does something.
pub(crate) struct Crowd {
    prefix: String,
    gate: String,
    event: String,
    treated: f64,
    untreated: f64,
    visitors: Vec<String>,
    /// How many came in each arm.
    came: [usize; 2],
}

impl Crowd {
    pub(crate) fn new(gate: &str, event: &str) -> Self {
        Self::named("visitor", gate, event)
    }

    pub(crate) fn named(prefix: &str, gate: &str, event: &str) -> Self {
        let [prefix, gate, event] = [prefix, gate, event].map(str::to_owned);
        Self { prefix, gate, event, treated: 0.5, untreated: 0.5, visitors: Vec::new(), came: [0, 0] }
    }

    /// Which share of each arm does it.
    pub(crate) fn doing(mut self, treated: f64, untreated: f64) -> Self {
        (self.treated, self.untreated) = (treated, untreated);
        self
    }

    pub(crate) fn gate(&self) -> &str {
        &self.gate
    }

    /// All who came so far.
    pub(crate) fn visitors(&self) -> &[String] {
        &self.visitors
    }

    /// So many new visitors come, are served, and do what they do.
    pub(crate) async fn come(&mut self, server: &Server, count: usize) -> Passes {
        let before = self.visitors.len();
        let new: Vec<String> =
            (before..before + count).map(|number| format!("{}-{number}", self.prefix)).collect();
        let passes = check_gate(server, &self.gate, &new).await;
        let mut events = Vec::new();
        for (visitor, pass) in &passes {
            let share = if *pass { self.treated } else { self.untreated };
            let came = &mut self.came[usize::from(*pass)];
            *came += 1;
            // Evenly: the share of all who came so far, to the nearest one.
            let does = (*came as f64 * share).floor() > ((*came - 1) as f64 * share).floor();
            events.extend(does.then(|| event(visitor, &self.event)));
        }
        log(server, events).await;
        heartbeat(server).await;
        self.visitors.extend(new);
        passes
    }

    /// New visitors come until something is as it must become.
    pub(crate) async fn come_until<T>(
        &mut self,
        server: &Server,
        what: &str,
        mut look: impl AsyncFnMut(&Server) -> Result<T, String>,
    ) -> T {
        eventually(what, async || {
            self.come(server, WAVE).await;
            look(server).await
        })
        .await
    }
}

/// The visitors that the gate lets through.
pub(crate) fn passing(passes: &Passes) -> Vec<String> {
    passes.iter().filter(|(_, passes)| **passes).map(|(visitor, _)| visitor.clone()).collect()
}
