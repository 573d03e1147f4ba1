//! Events by the stream, and the live feed of what comes in.

use std::time::Duration;

use portcullis::transport::grpc::wire::watch_exposures_response::Item;
use portcullis::transport::grpc::wire::{
    EventOutcome, StreamEventsRequest, StreamEventsResponse, WatchExposuresRequest, WatchExposuresResponse,
};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use tonic_types::StatusExt;

use crate::documents::gate;
use crate::server::Server;
use crate::visitors::{check_gate, event, ids, log, log_batch};

/// How long a test waits for what must not come.
const QUIET: Duration = Duration::from_millis(300);

/// All acknowledgements of a stream of batches.
async fn stream(
    server: &Server,
    batches: Vec<StreamEventsRequest>,
) -> (Vec<StreamEventsResponse>, Option<tonic::Status>) {
    let mut answers = server.events().stream_events(tokio_stream::iter(batches)).await.unwrap().into_inner();
    let mut acknowledged = Vec::new();
    loop {
        match answers.message().await {
            Ok(Some(answer)) => acknowledged.push(answer),
            Ok(None) => return (acknowledged, None),
            Err(status) => return (acknowledged, Some(status)),
        }
    }
}

fn batch(names: &[&str]) -> StreamEventsRequest {
    StreamEventsRequest { events: names.iter().map(|name| event("visitor", name)).collect() }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_a_stream_are_acknowledged_in_order_with_what_was_not_stored() {
    let server = Server::start().await;
    let mut batches: Vec<_> = (0..30).map(|_| batch(&["read", "bought"])).collect();
    batches[4].events[1].name = String::new();
    // A repeat long after the first.
    let repeat = batches[0].events[0].clone();
    batches.push(StreamEventsRequest { events: vec![event("visitor", "read"), repeat] });
    let sent: Vec<_> = batches.iter().flat_map(|batch| &batch.events).cloned().collect();
    let (answers, ended) = stream(&server, batches).await;
    assert!(ended.is_none(), "{ended:?}");
    let acknowledged: Vec<i64> = answers.iter().map(|answer| answer.durable_batches).collect();
    assert!(acknowledged.windows(2).all(|two| two[0] < two[1]), "{acknowledged:?}");
    assert_eq!(acknowledged.last(), Some(&31));
    let exceptions: Vec<_> = answers.iter().flat_map(|answer| &answer.exceptions).collect();
    let found: Vec<_> = exceptions
        .iter()
        .map(|exception| (exception.batch, exception.index, exception.result.as_ref().unwrap().outcome()))
        .collect();
    assert_eq!(found, [(5, 1, EventOutcome::Refused), (31, 1, EventOutcome::Duplicate)]);
    assert!(exceptions[0].result.as_ref().unwrap().message.starts_with("name: "));
    let outcomes =
        log_batch(&server, sent.iter().filter(|event| !event.name.is_empty()).cloned().collect()).await;
    assert!(outcomes.iter().all(|outcome| *outcome == EventOutcome::Duplicate), "all are stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_can_not_be_taken_ends_the_stream_and_those_before_it_are_acknowledged() {
    let server = Server::start().await;
    let batches = vec![batch(&["read"]), batch(&["read"]), batch(&[]), batch(&["read"])];
    let (answers, ended) = stream(&server, batches).await;
    assert_eq!(answers.last().map(|answer| answer.durable_batches), Some(2));
    let ended = ended.expect("a failure");
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::InvalidArgument, "events: must have 1 to 1000, has 0")
    );
}

async fn watch(server: &Server, request: WatchExposuresRequest) -> Streaming<WatchExposuresResponse> {
    server.events().watch_exposures(request).await.unwrap().into_inner()
}

async fn next(feed: &mut Streaming<WatchExposuresResponse>) -> Item {
    let message = timeout(Duration::from_secs(20), feed.message()).await.expect("something comes in");
    message.unwrap().unwrap().item.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_shows_what_comes_in_as_it_is_asked_for() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    server.create_gate(gate("other", 50.0)).await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut of_gate = watch(
        &server,
        WatchExposuresRequest { key: "new_checkout".to_owned(), ..WatchExposuresRequest::default() },
    )
    .await;
    let of_names =
        WatchExposuresRequest { event_names: names(&["bought"]), ..WatchExposuresRequest::default() };
    let mut of_names = watch(&server, of_names).await;
    let mut all = watch(&server, WatchExposuresRequest::default()).await;

    let visitors = ids("visitor", 1);
    check_gate(&server, "other", &visitors).await;
    check_gate(&server, "new_checkout", &visitors).await;
    log(&server, vec![event("visitor-0", "read"), event("visitor-0", "bought")]).await;

    let Item::Exposure(exposure) = next(&mut of_gate).await else { panic!("an exposure") };
    assert_eq!((exposure.key.as_str(), exposure.unit_id.as_str()), ("new_checkout", "visitor-0"));
    assert!(
        ["control", "treatment"].contains(&exposure.arm.as_str())
            && exposure.epoch == 1
            && exposure.time.is_some(),
        "{exposure:?}"
    );
    assert!(timeout(QUIET, of_gate.message()).await.is_err(), "nothing else is of that gate");
    let Item::Event(bought) = next(&mut of_names).await else { panic!("an event") };
    assert_eq!((bought.name.as_str(), bought.unit_ids["user_id"].as_str()), ("bought", "visitor-0"));
    assert!(timeout(QUIET, of_names.message()).await.is_err(), "nothing else has that name");
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(match next(&mut all).await {
            Item::Exposure(exposure) => exposure.key,
            Item::Event(event) => event.name,
        });
    }
    assert_eq!(kinds, ["other", "new_checkout", "read", "bought"]);
    let of_launch =
        WatchExposuresRequest { launch_id: exposure.launch_id, ..WatchExposuresRequest::default() };
    let mut of_launch = watch(&server, of_launch).await;
    check_gate(&server, "new_checkout", &visitors).await;
    assert!(matches!(next(&mut of_launch).await, Item::Exposure(_)), "repeats are shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_the_feed_too_slowly_is_cut_off_and_may_call_again() {
    let server = Server::start().await;
    let mut slow = watch(&server, WatchExposuresRequest::default()).await;
    // Long properties, so that what is under way to the watcher holds few of them.
    let wordy = |number: usize| {
        let mut event = event("visitor", &format!("read-{number}"));
        event.properties.insert("text".to_owned(), "x".repeat(10_000));
        event
    };
    for round in 0..16 {
        log(&server, (0..500).map(|number| wordy(round * 500 + number)).collect()).await;
    }
    let status = loop {
        match slow.message().await {
            Ok(message) => assert!(message.is_some(), "it is cut off with an error"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("call again"), "{}", status.message());
    assert!(status.get_details_retry_info().is_some());
    let mut again = watch(&server, WatchExposuresRequest::default()).await;
    log(&server, vec![event("visitor", "read")]).await;
    assert!(matches!(next(&mut again).await, Item::Event(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_open_streams() {
    let server = Server::start().await;
    let mut feed = watch(&server, WatchExposuresRequest::default()).await;
    let (batches, receiver) = tokio::sync::mpsc::channel(1);
    batches.send(batch(&["read"])).await.unwrap();
    let mut answers =
        server.events().stream_events(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().durable_batches, 1);
    server.stop().await;
    for status in [feed.message().await.map(|_| ()), answers.message().await.map(|_| ())] {
        // The event may still be on its way to the feed.
        assert!(status.is_ok() || status.is_err_and(|status| status.code() == Code::Unavailable));
    }
    drop(batches);
}
