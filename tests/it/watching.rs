//! The stream of decisions: filters, heartbeats, and taking it up again without a loss or a repeat.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::guard_service_client::GuardServiceClient;
use portcullis::transport::grpc::wire::{
    Decision, DecisionKind, ListDecisionsRequest, Target, WatchDecisionsRequest, WatchDecisionsResponse,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::documents::{gate, percentage};
use crate::home::Home;
use crate::server::{Server, experiment_target, fields, gate_target, settings, wire_duration};

/// Changes of one gate, each of which is a decision.
const CHANGES: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_come_and_go_see_every_decision_once() {
    let server = Server::start().await;
    for key in ["one", "two"] {
        server.create_gate(gate(key, 0.0)).await;
    }
    let all = WatchDecisionsRequest { after_cursor: Some(0), ..WatchDecisionsRequest::default() };
    let of_two = WatchDecisionsRequest { target: Some(gate_target("two")), ..all.clone() };
    let allowing = WatchDecisionsRequest { kinds: vec![DecisionKind::Allow.into()], ..all.clone() };
    let blocking = WatchDecisionsRequest { kinds: vec![DecisionKind::Block.into()], ..all.clone() };
    let readers = [all, of_two, allowing, blocking];

    let done = AtomicBool::new(false);
    let changes = async {
        for step in 0..CHANGES {
            for key in ["one", "two"] {
                let share = if step % 2 == 0 { 30.0 } else { 10.0 };
                server.set_rollout(percentage(key, share)).await.unwrap();
            }
        }
        // With the launches the guard's decisions about them end as well.
        for key in ["one", "two"] {
            server.set_rollout(percentage(key, 0.0)).await.unwrap();
        }
        done.store(true, Ordering::SeqCst);
    };
    let ((), seen) = tokio::join!(changes, async {
        let mut seen = Vec::new();
        for (seed, request) in readers.iter().enumerate() {
            let reader = read_with_breaks(&server, request.clone(), seed as u64, &done);
            seen.push(tokio::time::timeout(Duration::from_mins(5), reader).await.unwrap());
        }
        seen
    });
    for (request, seen) in readers.iter().zip(seen) {
        let wanted = listed(&server, request).await;
        let ids = |decisions: &[Decision]| -> Vec<String> {
            decisions.iter().map(|decision| decision.id.clone()).collect()
        };
        assert_eq!(ids(&seen), ids(&wanted), "{request:?}");
    }
    let of_two = listed(&server, &readers[1]).await;
    assert!(of_two.len() >= CHANGES && of_two.iter().all(|it| it.target.as_ref().unwrap().key == "two"));
    assert_eq!(listed(&server, &readers[3]).await, []);
}

/// Reads a stream, breaks off after a few answers, and takes it up again, until it has come to the end of what is done.
async fn read_with_breaks(
    server: &Server,
    mut request: WatchDecisionsRequest,
    seed: u64,
    done: &AtomicBool,
) -> Vec<Decision> {
    let mut random = StdRng::seed_from_u64(seed);
    request.heartbeat = Some(wire_duration(100));
    let mut seen = Vec::new();
    loop {
        let mut stream = watch(server, &request).await.unwrap();
        for _ in 0..random.random_range(0..9) {
            let answer = next(&mut stream).await.unwrap();
            assert!(answer.cursor >= request.after_cursor.unwrap());
            request.after_cursor = Some(answer.cursor);
            let is_quiet = answer.decision.is_none();
            seen.extend(answer.decision);
            if is_quiet && done.load(Ordering::SeqCst) && answer.cursor >= last_cursor(server).await {
                return seen;
            }
        }
    }
}

async fn last_cursor(server: &Server) -> i64 {
    listed(server, &WatchDecisionsRequest::default()).await.last().unwrap().cursor
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_has_heartbeats_that_move_the_cursor_past_what_is_not_wanted() {
    let server = Server::start().await;
    server.create_gate(gate("one", 0.0)).await;
    let request = WatchDecisionsRequest {
        after_cursor: Some(0),
        target: Some(experiment_target("no_such")),
        heartbeat: Some(wire_duration(100)),
        ..WatchDecisionsRequest::default()
    };
    let mut stream = watch(&server, &request).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    assert_eq!((first.decision, first.cursor), (None, 0));
    server.set_rollout(percentage("one", 30.0)).await.unwrap();
    let moved = loop {
        let beat = next(&mut stream).await.unwrap();
        assert_eq!(beat.decision, None);
        if beat.cursor > 0 {
            break beat.cursor;
        }
    };
    let all = listed(&server, &WatchDecisionsRequest::default()).await;
    assert!(all.iter().any(|decision| decision.cursor == moved), "{moved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_takes_nothing_is_told_where_to_go_on() {
    let home = Home::new().await;
    let settings = ServeSettings { watch_patience: Duration::from_millis(200), ..settings(&home) };
    let server = Server::start_as(home, settings, Clock::system()).await;
    server.create_gate(gate("one", 0.0)).await;
    // More than the server keeps for one who does not read, over a connection that holds next to nothing.
    for step in 0..250 {
        server.set_rollout(percentage("one", if step % 2 == 0 { 30.0 } else { 10.0 })).await.unwrap();
    }
    let mut request = WatchDecisionsRequest { after_cursor: Some(0), ..WatchDecisionsRequest::default() };
    let (mut seen, told) = told_off(&server, &request).await;
    assert_eq!(told.code(), Code::ResourceExhausted, "{told:?}");
    let cursor = resume_from(&told);
    assert_eq!(cursor, seen.last().unwrap().cursor);
    request.after_cursor = Some(cursor);
    let mut stream = watch(&server, &request).await.unwrap();
    let all = listed(&server, &WatchDecisionsRequest::default()).await;
    while seen.len() < all.len() {
        seen.extend(next(&mut stream).await.unwrap().decision);
    }
    assert_eq!(seen, all);
}

/// What one sees who takes nothing for a while over a connection that holds next to nothing, and what it is told then. A
/// busy server takes longer to lose its patience.
async fn told_off(server: &Server, request: &WatchDecisionsRequest) -> (Vec<Decision>, Status) {
    let last = last_cursor(server).await;
    for seconds in [1, 4, 16] {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
        let narrow = endpoint.initial_stream_window_size(1_000).connect().await.unwrap();
        let stream = GuardServiceClient::new(narrow).watch_decisions(request.clone()).await;
        let mut stream = stream.unwrap().into_inner();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let mut seen: Vec<Decision> = Vec::new();
        while seen.last().is_none_or(|decision| decision.cursor < last) {
            match next(&mut stream).await {
                Ok(answer) => seen.extend(answer.decision),
                Err(status) => return (seen, status),
            }
        }
    }
    panic!("it was given all there is, however long it took nothing")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_where_to_go_on() {
    let server = Server::start().await;
    server.create_gate(gate("one", 0.0)).await;
    server.set_rollout(percentage("one", 30.0)).await.unwrap();
    let request = WatchDecisionsRequest { after_cursor: Some(0), ..WatchDecisionsRequest::default() };
    let mut stream = watch(&server, &request).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    let stopped = tokio::spawn(server.stop());
    let mut cursor = first.cursor;
    let told = loop {
        match next(&mut stream).await {
            Ok(answer) => cursor = answer.cursor,
            Err(status) => break status,
        }
    };
    drop(stream);
    assert_eq!((told.code(), resume_from(&told)), (Code::Unavailable, cursor), "{told:?}");
    stopped.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_watched_is_refused_by_its_field() {
    let server = Server::start().await;
    let refused = async |request: WatchDecisionsRequest| {
        let status = watch(&server, &request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        fields(&status)
    };
    let default = WatchDecisionsRequest::default;
    assert_eq!(refused(WatchDecisionsRequest { after_cursor: Some(1), ..default() }).await, ["after_cursor"]);
    assert_eq!(refused(WatchDecisionsRequest { kinds: vec![0], ..default() }).await, ["kinds[0]"]);
    assert_eq!(
        refused(WatchDecisionsRequest { launch_id: "one".to_owned(), ..default() }).await,
        ["launch_id"]
    );
    let target = Some(Target::default());
    assert_eq!(refused(WatchDecisionsRequest { target, ..default() }).await, ["target.kind"]);
    for ms in [99, 600_001] {
        let heartbeat = Some(wire_duration(ms));
        assert_eq!(refused(WatchDecisionsRequest { heartbeat, ..default() }).await, ["heartbeat"]);
    }
}

async fn watch(
    server: &Server,
    request: &WatchDecisionsRequest,
) -> Result<Streaming<WatchDecisionsResponse>, Status> {
    server.guard().watch_decisions(request.clone()).await.map(tonic::Response::into_inner)
}

/// What comes next; a stream never ends without a word.
async fn next(stream: &mut Streaming<WatchDecisionsResponse>) -> Result<WatchDecisionsResponse, Status> {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.message()).await;
    next.expect("something comes").map(|message| message.expect("the stream does not end"))
}

/// The cursor that the end of a stream tells.
fn resume_from(status: &Status) -> i64 {
    let info = status.get_details_error_info().expect("details");
    info.metadata["cursor"].parse().expect("a cursor")
}

/// What a list says of the same wish.
async fn listed(server: &Server, request: &WatchDecisionsRequest) -> Vec<Decision> {
    let request = ListDecisionsRequest {
        target: request.target.clone(),
        kinds: request.kinds.clone(),
        page_size: 1_000,
        ..ListDecisionsRequest::default()
    };
    server.guard().list_decisions(request).await.expect("decisions").into_inner().decisions
}
