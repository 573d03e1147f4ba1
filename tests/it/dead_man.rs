//! A guard that does not look, or has nothing new to look at: nothing is raised, health says so, and a stop does not wait.

use std::time::Duration;

use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::{CheckLaunchResponse, DecisionAction, ReasonCode};

use crate::documents::{gate, guardrail, percentage, ramp, step};
use crate::guard::{assert_refused, launch};
use crate::home::Home;
use crate::ramps::{approval, approve, until_at};
use crate::server::{Server, TestClock, eventually, gate_target, settings};
use crate::visitors::{Crowd, heartbeat};

#[tokio::test(flavor = "multi_thread")]
async fn where_the_guard_has_not_looked_for_some_ticks_nothing_is_raised_and_health_says_so() {
    let (clock, home) = (TestClock::new(), Home::new().await);
    let seldom = ServeSettings { tick: Duration::from_mins(10), stalled_after_ticks: 2, ..settings(&home) };
    let server = Server::start_as(home, seldom, clock.clock()).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    server.check_until(&target, "the guard has looked", |answer| answer.judge_time.is_some()).await;
    let health = server.get("/health", &[]).await.json();
    assert_eq!((&health["guard"], &health["stalled_launches"]), (&"working".into(), &0.into()));
    clock.advance(Duration::from_mins(21));
    let health = server.get("/health", &[]).await.json();
    assert_eq!((&health["guard"], &health["stalled_launches"]), (&"stalled".into(), &1.into()), "{health}");
    assert_refused(server.set_rollout(percentage("new_checkout", 60.0)).await, "NotJudged");
    // Lowering is open all the same, and says how old the guard's word was.
    server.set_rollout(percentage("new_checkout", 40.0)).await.unwrap();
    let launch = server.check(&target).await.launch.unwrap();
    let decisions = server.decisions(&launch.id).await;
    let edit = decisions.iter().find(|decision| decision.action() == DecisionAction::Edit).unwrap();
    assert!(edit.guard_age_ms() >= 21 * 60_000, "{edit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_measured_for_some_ticks_no_step_is_taken_and_health_says_so() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![approval(50.0), step(80.0, 0, 0)];
    let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    let target = gate_target("new_checkout");
    Crowd::new("new_checkout", "visited_signup").come(&server, 600).await;
    clock.advance(Duration::from_secs(1));
    let waits = |answer: &CheckLaunchResponse| answer.reasons[0].code() == ReasonCode::AwaitingApproval;
    server.check_until(&target, "it waits for the approval alone", waits).await;

    server.home().execute("alter table watermark rename to watermark_away").await;
    // Less than the metric's freshness. The numbers that there are go on being judged, with every tick.
    clock.advance(Duration::from_mins(2));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let health = server.get("/health", &[]).await.json();
    assert_eq!((&health["guard"], &health["stalled_launches"]), (&"stalled".into(), &1.into()), "{health}");
    assert!(health["guard_age_ms"].as_i64().unwrap() >= 120_000, "{health}");
    assert_refused(server.set_rollout(percentage("new_checkout", 90.0)).await, "NotJudged");
    approve(&server, &begun.id, 0).await.unwrap();
    // Several ticks. What still runs can not be seen from outside, and is seen below by what it does next.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(launch(&server, &begun.id).await.current_step, 0);

    server.home().execute("alter table watermark_away rename to watermark").await;
    until_at(&server, &begun.id, 1).await;
    let health = server.get("/health", &[]).await.json();
    assert_eq!((&health["guard"], &health["stalled_launches"]), (&"working".into(), &0.into()), "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_hundred_launches_stops_without_waiting_for_their_looks() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    for number in 0..100 {
        server.create_gate(gate(&format!("gate-{number}"), 50.0)).await;
    }
    let last = gate_target("gate-99");
    eventually("all are looked at", async || {
        heartbeat(&server).await;
        let answer = server.check(&last).await;
        if answer.judge_time.is_some() { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    // Seconds where nothing else runs; a look at every launch, one after another, would take minutes.
    tokio::time::timeout(Duration::from_mins(1), server.stop()).await.expect("it stops");
}
