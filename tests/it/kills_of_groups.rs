//! Killed while a group goes off: one of several that are tried, and one that was shipped. It is done once all the same.

use std::sync::Arc;

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, DecideExperimentRequest, DecisionAction, Holdback, Policy, Target, TargetKind,
};

use crate::documents::{button_color_v3, guardrail, halves};
use crate::home::Home;
use crate::kills::{ABORTED, assert_one_audit_row_a_change, start_in, walk_all};
use crate::overriding::override_launch;
use crate::policies::policy;
use crate::server::{Server, eventually, experiment_target, wire_duration};
use crate::visitors::{event, groups, heartbeat, ids, log};

const HOUR_MS: i64 = 3_600_000;

/// From the look to what is stored of it and not served.
const POINTS: [&str; 11] = [
    "before roll_back",
    "before latch",
    "after latch",
    "before latch > after decision",
    "before latch > before experiment",
    "before latch > after experiment",
    "before latch > before launch",
    "before latch > after launch",
    "before latch > after audit",
    "before latch > before commit",
    "before latch > after commit",
];

/// A harmful group, and what is done about it.
struct Harm {
    target: Target,
    group: &'static str,
    action: DecisionAction,
    /// Of the latch.
    arm: &'static str,
}

#[test]
fn a_group_is_stopped_once_wherever_the_server_is_killed() {
    walk_all(&POINTS, async |point| {
        let server = prepared().await;
        server.run_experiment(button_color_v3()).await;
        let target = experiment_target("button_color_v3");
        protect_and_die_at(
            point,
            server,
            Harm { target, group: "Red", action: DecisionAction::StopArm, arm: "Red" },
        )
        .await;
    });
}

#[test]
fn a_shipped_group_is_taken_back_once_wherever_the_server_is_killed() {
    walk_all(&POINTS, async |point| {
        let server = prepared().await;
        let holdback = Holdback { percentage: 50.0, duration: Some(wire_duration(72 * HOUR_MS)) };
        server.create_policy(Policy { holdback: Some(holdback), ..policy() }).await.unwrap();
        let (running, begun) = server.run_experiment(halves("halves", "red")).await;
        let expires_at = portcullis::clock::Clock::system().now().0 + HOUR_MS;
        override_launch(&server, &begun.id, expires_at).await.unwrap();
        let decision = Some(Outcome::ShipGroup("treatment".to_owned()));
        let request = DecideExperimentRequest { key: running.key, revision: running.revision, decision };
        server.admin().decide_experiment(request).await.unwrap();
        let target =
            Target { kind: TargetKind::Shipment.into(), key: "halves".to_owned(), ..Target::default() };
        let action = DecisionAction::RollBack;
        protect_and_die_at(point, server, Harm { target, group: "treatment", action, arm: "" }).await;
    });
}

async fn prepared() -> Server {
    let server = start_in(Home::new().await).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server
}

/// Visitors come, and nobody signs up who is in the harmful group.
async fn come(server: &Server, key: &str, harmful: &str, wave: &str) {
    let served = groups(server, key, &ids(wave, 120)).await;
    let doers = served.iter().filter(|(_, group)| *group != harmful).map(|(visitor, _)| visitor);
    log(
        server,
        doers
            .enumerate()
            .filter(|(number, _)| number % 5 < 3)
            .map(|(_, it)| event(it, "visited_signup"))
            .collect(),
    )
    .await;
    heartbeat(server).await;
}

async fn protect_and_die_at(point: &str, server: Server, harm: Harm) {
    let key = harm.target.key.clone();
    let dying = Arc::new(Server::apart(server.stop().await, Some(point)).await);
    // Whoever calls when it dies gets no answer; others come again.
    let visits = {
        let (dying, key, group) = (Arc::clone(&dying), key.clone(), harm.group);
        tokio::spawn(async move {
            for wave in 0.. {
                come(&dying, &key, group, &format!("before-{wave}")).await;
            }
        })
    };
    assert_eq!(dying.ended().await, ABORTED, "at {point}");
    assert!(visits.await.is_err(), "they would come for ever");

    let server = start_in(Arc::into_inner(dying).expect("nobody else has it").kill()).await;
    let mut wave = 0;
    let answer: CheckLaunchResponse = eventually("the group goes off", async || {
        wave += 1;
        come(&server, &key, harm.group, &format!("after-{wave}")).await;
        match server.check(&harm.target).await {
            answer if answer.latches.is_empty() => Err(format!("{answer:?}")),
            answer => Ok(answer),
        }
    })
    .await;
    let latches: Vec<_> = answer.latches.iter().map(|latch| (latch.arm.as_str(), latch.closed)).collect();
    assert_eq!(latches, [(harm.arm, true)], "at {point}");
    let served = groups(&server, &key, &ids("probe", 120)).await;
    assert!(served.values().all(|group| group != harm.group), "at {point}");
    assert!(served.values().any(|group| !group.is_empty()), "at {point}: the others go on");
    let decisions = server.decisions(&answer.launch.unwrap().id).await;
    let acts: Vec<_> = decisions.iter().filter(|it| it.action() == harm.action).collect();
    assert_eq!(acts.len(), 1, "at {point}: {decisions:#?}");
    assert_one_audit_row_a_change(&server, &acts[0].id).await;
    server.stop().await;
}
