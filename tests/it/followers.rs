//! A server that does not act says what the one that acts says.

use std::time::Duration;

use portcullis::transport::grpc::wire::{CheckLaunchResponse, DecisionKind, Verdict};

use crate::documents::{gate, guardrail, percentage};
use crate::guard::assert_refused;
use crate::server::{Server, TestClock, eventually, gate_target};
use crate::visitors::{Crowd, heartbeat};

/// A server that acts and one that follows it, at the same time of the same clock.
async fn two(clock: &TestClock) -> [Server; 2] {
    let leader = Server::start_with(clock).await;
    leader.until_it_leads().await;
    let follower = leader.beside_at(clock.clock(), |_| {}).await;
    [leader, follower]
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_that_one_bucket_carries_is_a_warning_on_both_servers() {
    let clock = TestClock::new();
    let [leader, follower] = two(&clock).await;
    leader.create_metric(guardrail("signup", "visited_signup")).await;
    leader.create_gate(gate("new_checkout", 50.0)).await;
    follower.until_it_knows_the_gate().await;
    let target = gate_target("new_checkout");
    // All of them come and go at one moment.
    Crowd::new("new_checkout", "visited_signup").doing(0.2, 0.5).come(&leader, 600).await;
    clock.advance(Duration::from_secs(1));
    let is_harm = |answer: &CheckLaunchResponse| answer.e_value > 20.0;
    let told = leader.check_until(&target, "the leader sees harm", is_harm).await;
    assert_eq!(told.decision(), DecisionKind::Hold, "{told:?}");
    assert!(told.reasons[0].message.contains("carried by one bucket"), "{told:?}");

    let told = eventually("the follower sees the same", async || {
        heartbeat(&leader).await;
        match follower.check(&target).await {
            answer if is_harm(&answer) => Ok(answer),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    assert_eq!(told.decision(), DecisionKind::Hold, "{told:?}");
    assert!(told.reasons[0].message.contains("is not confirmed"), "{told:?}");
    assert!(told.verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Undecided), "{told:?}");
    assert_refused(follower.set_rollout(percentage("new_checkout", 60.0)).await, "Warning");
    follower.stop().await;
    leader.stop().await;
}
