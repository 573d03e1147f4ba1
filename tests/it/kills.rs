//! Killed at every write of the guard and of the outbox: what was begun is done once after the restart, or was done already.
//!
//! Each point is walked in a process of its own that ends there as a kill ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::transport::grpc::wire::{DecisionAction, DecisionKind, LaunchState, Webhook};
use sqlx::Row;

use crate::documents::{gate, guardrail, ramp, step};
use crate::guard::{harm, launch};
use crate::home::Home;
use crate::ramps::{approval, approve};
use crate::receiver::Receiver;
use crate::server::{Server, eventually, settings};
use crate::visitors::{Crowd, check_gate, ids, passing};
use crate::webhooks::webhook;

/// What SIGABRT is.
pub(crate) const ABORTED: Option<i32> = Some(6);
/// How many points are walked side by side.
const AT_ONCE: usize = 3;

/// A rollback, from the look to the notice: every write of its transaction, what is published before it, and the outbox.
const OF_A_ROLLBACK: [&str; 23] = [
    "before publication",
    "after publication",
    "before roll_back",
    "before roll_back > before revision",
    "before roll_back > after revision",
    "before latch",
    "after latch",
    "before latch > before gate",
    "before latch > after gate",
    "before latch > before decision",
    "before latch > after decision",
    "before latch > before notice",
    "before latch > after notice",
    "before latch > before launch",
    "before latch > after launch",
    "before latch > before audit",
    "before latch > after audit",
    "before latch > before commit",
    // Stored, and not served by the process that is killed.
    "before latch > after commit",
    "before claim",
    "after claim",
    "after send",
    "after mark",
];

/// A step of a ramp: every write of its transaction.
const OF_A_STEP: [&str; 13] = [
    "before allow",
    "before allow > before revision",
    "before allow > after revision",
    "before gate",
    "after gate",
    "before gate > before decision",
    "before gate > after decision",
    "before gate > before launch",
    "before gate > after launch",
    "before gate > before audit",
    "before gate > after audit",
    "before gate > before commit",
    "before gate > after commit",
];

/// The end of a ramp, which nothing but the launch itself is changed by: what comes after the last of its three steps.
const OF_AN_END: [&str; 8] = [
    "before revision",
    "after revision",
    "before decision",
    "after decision",
    "before launch",
    "after launch",
    "before commit",
    "after commit",
];

/// Walks all points, some side by side.
pub(crate) fn walk_all<P: AsRef<str> + Sync>(points: &[P], walk: impl AsyncFn(&str) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    tokio::runtime::Runtime::new().expect("a runtime").block_on(walk(point.as_ref()));
                }
            });
        }
    });
}

#[test]
fn a_rollback_is_done_once_wherever_the_server_is_killed() {
    walk_all(&OF_A_ROLLBACK, roll_back_and_die_at);
}

#[test]
fn a_step_of_a_ramp_is_taken_once_wherever_the_server_is_killed() {
    walk_all(&OF_A_STEP, step_and_die_at);
}

#[test]
fn a_ramp_ends_once_wherever_the_server_is_killed() {
    let after_three_steps = |point| format!("{}{point}", "before gate > after commit > ".repeat(3));
    let points: Vec<String> = OF_AN_END.map(after_three_steps).to_vec();
    walk_all(&points, step_and_die_at);
}

async fn roll_back_and_die_at(point: &str) {
    let (server, receiver) = (start_in(Home::new().await).await, Receiver::start().await);
    let only = Webhook { kinds: vec![DecisionKind::RollBack.into()], ..webhook("pager", &receiver.url()) };
    server.create_webhook(only).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let dying = Arc::new(Server::apart(server.stop().await, Some(point)).await);

    // Whoever calls when it dies gets no answer; others come again.
    let visits = {
        let dying = Arc::clone(&dying);
        tokio::spawn(async move {
            let mut crowd = Crowd::named("before", "new_checkout", "visited_signup").doing(0.0, 0.6);
            loop {
                crowd.come(&dying, 60).await;
            }
        })
    };
    assert_eq!(dying.ended().await, ABORTED, "at {point}");
    assert!(visits.await.is_err(), "they would come for ever");

    let server = start_in(Arc::into_inner(dying).expect("nobody else has it").kill()).await;
    let answer =
        harm(&server, &mut Crowd::named("after", "new_checkout", "visited_signup").doing(0.0, 0.6)).await;
    assert!(passing(&check_gate(&server, "new_checkout", &ids("probe", 60)).await).is_empty(), "at {point}");
    assert_eq!(answer.latches.iter().filter(|latch| latch.closed).count(), 1, "at {point}");
    let decisions = server.decisions(&answer.launch.unwrap().id).await;
    let rolled_back: Vec<_> = decisions
        .iter()
        .filter(|it| it.action() == DecisionAction::RollBack)
        .map(|it| it.id.clone())
        .collect();
    assert_eq!(rolled_back.len(), 1, "at {point}: {decisions:#?}");

    receiver.wait(1).await;
    server.all_delivered().await;
    let got = receiver.got();
    let told: BTreeMap<&str, String> =
        got.iter().map(|got| (got.id.as_str(), got.json()["id"].as_str().unwrap().to_owned())).collect();
    assert_eq!(told.into_values().collect::<Vec<_>>(), rolled_back, "at {point}: one notice, by one id");
    // What was sent and not marked is sent again.
    assert_eq!(got.len(), if point == "after send" { 2 } else { 1 }, "at {point}");
    assert_one_audit_row_a_change(&server, &rolled_back[0]).await;
    server.stop().await;
}

async fn step_and_die_at(point: &str) {
    let server = start_in(Home::new().await).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![approval(10.0), step(30.0, 0, 0), step(60.0, 0, 0), step(100.0, 0, 0)];
    let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    let dying = Server::apart(server.stop().await, Some(point)).await;
    // It may be too late for an answer.
    let id = begun.id.clone();
    let (ended, _) = tokio::join!(
        dying.ended(),
        tokio::time::timeout(Duration::from_secs(20), async {
            let _ = approve_unanswered(&dying, &id).await;
        })
    );
    assert_eq!(ended, ABORTED, "at {point}");

    let server = start_in(dying.kill()).await;
    eventually("the ramp is at its end", async || match launch(&server, &begun.id).await {
        ended if ended.state() == LaunchState::Completed => Ok(()),
        // It died before the approval was stored.
        waiting if waiting.approvals.is_empty() => {
            approve(&server, &begun.id, 0).await.map(|_| ()).map_err(|status| status.to_string())?;
            Err(format!("{waiting:?}"))
        }
        under_way => Err(format!("{under_way:?}")),
    })
    .await;
    let decisions = server.decisions(&begun.id).await;
    let taken: Vec<f64> = decisions
        .iter()
        .filter(|it| it.action() == DecisionAction::Advance)
        .map(|it| it.percentage)
        .collect();
    assert_eq!(taken, [30.0, 60.0, 100.0], "at {point}");
    let ends = decisions.iter().filter(|it| it.action() == DecisionAction::Complete).count();
    assert_eq!(ends, 1, "at {point}: {decisions:#?}");
    for decision in &decisions {
        assert_one_audit_row_a_change(&server, &decision.id).await;
    }
    server.stop().await;
}

async fn approve_unanswered(server: &Server, id: &str) -> Result<(), tonic::Status> {
    approve(server, id, 0).await.map(|_| ())
}

pub(crate) async fn start_in(home: Arc<Home>) -> Server {
    let settings =
        portcullis::config::ServeSettings { webhook_timeout: Duration::from_secs(5), ..settings(&home) };
    Server::start_as(home, settings, Clock::system()).await
}

/// Each revision has one row, and the decision is in one of them.
pub(crate) async fn assert_one_audit_row_a_change(server: &Server, decision: &str) {
    let query = format!(
        "select count(*) as changes, count(distinct config_revision) as revisions, max(config_revision) as latest,
             (select count(*) from audit where detail like '%{decision}%') as of_decision from audit"
    );
    let row = &server.home().rows(&query).await[0];
    let [changes, revisions, latest, of_decision] =
        ["changes", "revisions", "latest", "of_decision"].map(|column| row.get::<i64, _>(column));
    assert_eq!((changes, revisions, of_decision), (latest, latest, 1));
}
