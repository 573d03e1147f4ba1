//! A server that stops and starts again is the same server.

use portcullis::clock::Clock;
use portcullis::transport::grpc::wire::{
    Decision, DecisionKind, Event, EventOutcome, GetExperimentDocumentRequest, GetGateRequest,
    ListDecisionsRequest, Moments, WatchDecisionsRequest,
};

use crate::documents::{button_color_v3, gate, guardrail, percentage};
use crate::server::{Server, eventually, gate_target};
use crate::visitors::{Crowd, check_gate, event, groups, heartbeat, ids, log, log_batch, passing};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_again_after_a_restart() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    server.create_gate(gate("other", 30.0)).await;
    server.run_experiment(button_color_v3()).await;
    let visitors = ids("visitor", 200);
    let before_groups = groups(&server, "button_color_v3", &visitors).await;
    let before_other = check_gate(&server, "other", &visitors).await;

    let mut crowd = Crowd::named("crowd", "new_checkout", "visited_signup").doing(0.0, 0.5);
    let target = gate_target("new_checkout");
    crowd
        .come_until(&server, "the gate is rolled back", async |server| match server.check(&target).await {
            answer if answer.decision() == DecisionKind::Block => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await;
    let before_check = server.check(&target).await;
    let home = server.stop().await;

    let server = Server::start_in(home, Clock::system()).await;
    assert_eq!(groups(&server, "button_color_v3", &visitors).await, before_groups);
    assert_eq!(check_gate(&server, "other", &visitors).await, before_other);
    assert!(passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).is_empty());
    let after_check = server.check(&target).await;
    assert_eq!(after_check.decision(), DecisionKind::Block);
    assert_eq!((&after_check.launch, &after_check.latches), (&before_check.launch, &before_check.latches));
    let refused = server.set_rollout(percentage("new_checkout", 10.0)).await.unwrap_err();
    assert!(refused.message().contains("latch"), "{}", refused.message());

    let gate = server.admin().get_gate(GetGateRequest { key: "other".to_owned() }).await.unwrap();
    assert_eq!(gate.into_inner().gate.unwrap().revision, 1);
    let request = GetExperimentDocumentRequest { key: "button_color_v3".to_owned() };
    let experiment = server.admin().get_experiment_document(request).await.unwrap().into_inner();
    assert_eq!(experiment.experiment.unwrap().revision, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn exposures_that_were_served_before_a_stop_are_counted_after_it() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let visitors = ids("visitor", 300);
    let passes = check_gate(&server, "new_checkout", &visitors).await;
    // Stopped at once: what is still queued is stored on the way down.
    let server = Server::start_in(server.stop().await, Clock::system()).await;
    log(&server, visitors.iter().map(|visitor| event(visitor, "visited_signup")).collect()).await;
    let counted = |moments: Option<Moments>| moments.map_or(0, |moments| moments.nonzero);
    let answer = server
        .check_until(&gate_target("new_checkout"), "everyone is counted", |answer| {
            let epochs = answer
                .verdicts
                .iter()
                .filter(|verdict| verdict.guardrail)
                .flat_map(|verdict| &verdict.epochs);
            epochs.map(|epoch| counted(epoch.control) + counted(epoch.treatment)).sum::<i64>() == 300
        })
        .await;
    let treated = usize::try_from(counted(answer.verdicts[0].epochs[0].treatment)).unwrap();
    assert_eq!(treated, passing(&passes).len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let server = Server::start().await;
    server.create_gate(gate("open", 100.0)).await;
    let refused = server.start_second().await.expect_err("the folder is in use").to_string();
    assert!(refused.contains("another server is using it"), "{refused}");
    assert_eq!(passing(&check_gate(&server, "open", &ids("visitor", 5)).await).len(), 5);
    // Once the first has stopped, the folder is free.
    Server::start_in(server.stop().await, Clock::system()).await;
}

/// Reads decisions from a cursor on, until `count` have come.
async fn watch(server: &Server, after_cursor: i64, count: usize) -> Vec<Decision> {
    let request =
        WatchDecisionsRequest { after_cursor: Some(after_cursor), ..WatchDecisionsRequest::default() };
    let mut stream = server.guard().watch_decisions(request).await.unwrap().into_inner();
    let mut decisions = Vec::new();
    while decisions.len() < count {
        decisions.push(stream.message().await.unwrap().unwrap().decision.unwrap());
    }
    decisions
}

fn cursor_of(decisions: &[Decision]) -> i64 {
    decisions.last().map_or(0, |decision| decision.cursor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_taken_up_from_its_cursor_misses_and_repeats_nothing() {
    let server = Server::start().await;
    server.create_gate(gate("one", 10.0)).await;
    for share in [9.0, 8.0, 7.0] {
        server.set_rollout(percentage("one", share)).await.unwrap();
    }
    let mut seen = watch(&server, 0, 2).await;
    seen.extend(watch(&server, cursor_of(&seen), 1).await);

    // Made while nobody watches, over a restart.
    server.set_rollout(percentage("one", 6.0)).await.unwrap();
    let server = Server::start_in(server.stop().await, Clock::system()).await;
    let next = cursor_of(&seen);
    let (more, ()) = tokio::join!(watch(&server, next, 4), async {
        server.set_rollout(percentage("one", 5.0)).await.unwrap();
        server.create_gate(gate("two", 10.0)).await;
        heartbeat(&server).await;
    });
    seen.extend(more);

    let last = cursor_of(&seen);
    let stored = eventually("all decisions are listed", async || {
        let request = ListDecisionsRequest { page_size: 1_000, ..ListDecisionsRequest::default() };
        let mut stored = server.guard().list_decisions(request).await.unwrap().into_inner().decisions;
        stored.retain(|decision| decision.cursor <= last);
        if cursor_of(&stored) == last { Ok(stored) } else { Err(format!("up to {}", cursor_of(&stored))) }
    })
    .await;
    assert!(stored.windows(2).all(|two| two[0].cursor < two[1].cursor));
    assert_eq!(seen, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_keep_their_cursors_over_a_restart() {
    let server = Server::start().await;
    server.create_gate(gate("one", 10.0)).await;
    server.set_rollout(percentage("one", 5.0)).await.unwrap();
    let before = watch(&server, 0, 2).await;
    let server = Server::start_in(server.stop().await, Clock::system()).await;
    assert_eq!(watch(&server, 0, 2).await, before);
    let count = before.len();
    server.set_rollout(percentage("one", 4.0)).await.unwrap();
    let after = watch(&server, 0, count + 1).await;
    assert!(cursor_of(&after) > cursor_of(&before));
    assert_eq!(after[..count], before[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stored_before_a_restart_is_a_duplicate_after_it() {
    let server = Server::start().await;
    let sent: Vec<Event> =
        ids("visitor", 10).iter().map(|visitor| event(visitor, "visited_signup")).collect();
    log(&server, sent.clone()).await;
    let server = Server::start_in(server.stop().await, Clock::system()).await;
    let outcomes = log_batch(&server, sent).await;
    assert_eq!(outcomes, [EventOutcome::Duplicate; 10]);
}
