//! Protection waits for nothing else: for no other launch, and for no other metric.

use portcullis::transport::grpc::wire::{CheckLaunchResponse, LaunchState, ReasonCode, Verdict};

use crate::documents::{gate, guardrail};
use crate::guard::{harm, launch};
use crate::home::Home;
use crate::server::{Server, eventually, gate_target};
use crate::visitors::Crowd;

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_whose_measuring_hangs_keeps_no_other_one_from_being_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let failpoint = format!("before measuring={}", folder.path().display());
    let server = Server::apart(Home::new().await, Some(&failpoint)).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("hangs", 50.0)).await;
    eventually("it hangs", async || {
        if folder.path().join("reached").exists() { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.0, 0.6);
    harm(&server, &mut crowd).await;
    assert!(server.check(&gate_target("hangs")).await.judge_time.is_none());
    std::fs::write(folder.path().join("go"), "").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_whose_intake_cannot_be_read_is_blind_and_keeps_no_other_one_from_being_acted_on() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_metric(guardrail("errors", "error_shown")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.0, 0.6);
    crowd.come(&server, 20).await;
    // What is no count.
    server.home().execute("update intake set events = -1000000 where name = 'error_shown'").await;
    let is_told = |answer: &CheckLaunchResponse| {
        let blind = |code, message: &str| {
            code == ReasonCode::AuditFailed
                && message.contains("failed reads")
                && message.contains("; blind since ")
        };
        answer.reasons.iter().any(|reason| reason.metric == "errors" && blind(reason.code(), &reason.message))
    };
    let told = server.check_until(&target, "the metric is blind", is_told).await;
    let blind = told.verdicts.iter().find(|verdict| verdict.metric == "errors").expect("its verdict");
    assert!(blind.blind_since_time.is_some(), "{blind:?}");
    let answer = harm(&server, &mut crowd).await;
    let id = &answer.launch.expect("the launch").id;
    assert_eq!(launch(&server, id).await.state(), LaunchState::RolledBack);
    let harmed: Vec<&str> = answer
        .verdicts
        .iter()
        .filter(|verdict| verdict.verdict() == Verdict::Harm)
        .map(|verdict| verdict.metric.as_str())
        .collect();
    assert_eq!(harmed, ["signup"]);
}
