//! Events: each with its own result, stored once, and never lost once acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::transport::grpc::wire::event_service_client::EventServiceClient;
use portcullis::transport::grpc::wire::{Event, EventOutcome, EventResult, LogEventsRequest, MetricKind};
use sqlx::Row;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::documents::{gate, metric};
use crate::home::Home;
use crate::server::{Server, connect, eventually, gate_target, wire_time};
use crate::visitors::{check_gate, event, ids, log, log_batch, user};

/// Tasks that log at the same time.
const LOGGERS: usize = 8;
/// Events of each of their batches.
const BATCH: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_is_refused_alone_and_never_fails_its_batch() {
    let server = Server::start().await;
    let good = || event("visitor", "visited_signup");
    let named = |id: &str| Event { id: id.to_owned(), ..good() };
    let late = portcullis::clock::Clock::system().now().0 + 3_600_000;
    let events = vec![
        named("one"),
        Event { name: String::new(), ..good() },
        Event { user: None, ..good() },
        Event { user: Some(user("")), ..good() },
        Event { value: Some(f64::NAN), ..good() },
        Event { time: Some(wire_time(late)), ..good() },
        Event { id: "x".repeat(129), ..good() },
        Event { user: Some(user(&"x".repeat(1_025))), ..good() },
        named("one"),
        named("two"),
        Event { id: String::new(), ..good() },
    ];
    let answer = server.events().log_events(LogEventsRequest { events }).await.unwrap().into_inner();
    let results: Vec<(EventOutcome, &str)> = answer
        .results
        .iter()
        .map(|result| (result.outcome(), result.message.split(':').next().unwrap()))
        .collect();
    let expected = [
        (EventOutcome::Stored, ""),
        (EventOutcome::Refused, "name"),
        (EventOutcome::Refused, "user"),
        (EventOutcome::Refused, "user.user_id"),
        (EventOutcome::Refused, "value"),
        (EventOutcome::Refused, "time"),
        (EventOutcome::Refused, "id"),
        (EventOutcome::Refused, "user.user_id"),
        (EventOutcome::Duplicate, ""),
        (EventOutcome::Stored, ""),
        (EventOutcome::Stored, ""),
    ];
    assert_eq!(results, expected);
    assert_eq!(
        log_batch(&server, vec![named("two"), named("three")]).await,
        [EventOutcome::Duplicate, EventOutcome::Stored]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_given_twice_under_one_name_is_one_unit() {
    let server = Server::start().await;
    let mut doubled = event("visitor", "visited_signup");
    let custom_ids = [("user_id", "visitor"), ("company_id", "acme")];
    doubled.user.as_mut().unwrap().custom_ids =
        custom_ids.map(|(unit_type, id)| (unit_type.to_owned(), id.to_owned())).into();
    let outcomes = log_batch(&server, vec![doubled, event("visitor", "visited_signup")]).await;
    assert_eq!(outcomes, [EventOutcome::Stored, EventOutcome::Stored]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_counts_once_however_often_it_is_sent() {
    let server = Server::start().await;
    let mut pages = metric("pages", "page_viewed");
    pages.kind = MetricKind::Count.into();
    server.create_metric(pages).await;
    server.create_gate(gate("gate", 50.0)).await;
    let visitors = ids("visitor", 40);
    let passes = check_gate(&server, "gate", &visitors).await;

    let events: Vec<Event> = visitors.iter().map(|visitor| event(visitor, "page_viewed")).collect();
    let twice_in_one_batch = [events.clone(), events.clone()].concat();
    let outcomes = log_batch(&server, twice_in_one_batch).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == EventOutcome::Stored).count(), 40);
    assert_eq!(log_batch(&server, events).await, [EventOutcome::Duplicate; 40]);
    log(&server, visitors.iter().take(10).map(|visitor| event(visitor, "page_viewed")).collect()).await;

    let expected = 40.0 + 10.0;
    let counted = server
        .check_until(&gate_target("gate"), "all visitors and events are counted", |answer| {
            let pages = answer.verdicts.iter().filter(|verdict| verdict.metric == "pages");
            let moments = pages
                .flat_map(|verdict| &verdict.epochs)
                .flat_map(|epoch| [epoch.control, epoch.treatment])
                .flatten();
            let (n, sum) = moments.fold((0, 0.0), |(n, sum), arm| (n + arm.n, sum + arm.sum));
            n == 40 && sum >= expected
        })
        .await;
    let pages = counted.verdicts.iter().find(|verdict| verdict.metric == "pages").unwrap();
    let epoch = &pages.epochs[0];
    let sum_of = |pass: bool| {
        let in_arm = |visitor: &&String| passes[*visitor] == pass;
        visitors.iter().filter(in_arm).count() as f64 + visitors.iter().take(10).filter(in_arm).count() as f64
    };
    assert_eq!((epoch.control.unwrap().sum, epoch.treatment.unwrap().sum), (sum_of(false), sum_of(true)));
}

/// What the loggers sent, and how far each of their batches came.
#[derive(Default)]
struct Sent {
    acknowledged: BTreeSet<String>,
    unanswered: Vec<Vec<Event>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_keeps_every_acknowledged_event_once() {
    let home = Home::new().await;
    let address = free_address();
    let mut server = serve(&home, address);
    let channel = connect(address).await;

    let (sent, answered) = (Arc::new(Mutex::new(Sent::default())), Arc::new(AtomicUsize::new(0)));
    let mut loggers = JoinSet::new();
    for logger in 0..LOGGERS {
        let (sent, answered) = (Arc::clone(&sent), Arc::clone(&answered));
        let mut client = EventServiceClient::new(channel.clone());
        loggers.spawn(async move {
            for round in 0.. {
                let events: Vec<Event> = (0..BATCH).map(|number| numbered(logger, round, number)).collect();
                let answer = client.log_events(LogEventsRequest { events: events.clone() }).await;
                let mut sent = sent.lock().await;
                if let Ok(answer) = answer {
                    let stored = |result: &EventResult| result.outcome() == EventOutcome::Stored;
                    assert!(answer.into_inner().results.iter().all(stored), "a new event was not stored");
                    sent.acknowledged.extend(events.into_iter().map(|event| event.id));
                    answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    sent.unanswered.push(events);
                    return;
                }
            }
        });
    }
    eventually("the load is on its way", async || match answered.load(Ordering::Relaxed) {
        batches if batches >= 40 => Ok(()),
        batches => Err(format!("{batches} batches")),
    })
    .await;
    server.kill().expect("killed");
    server.wait().expect("gone");
    loggers.join_all().await;
    let sent = Arc::into_inner(sent).expect("the loggers have ended").into_inner();
    assert!(!sent.unanswered.is_empty(), "the server was killed in the middle");

    let mut server = serve(&home, address);
    let mut client = EventServiceClient::new(connect(address).await);
    let stored = stored_ids(&home).await;
    for id in &sent.acknowledged {
        assert_eq!(stored.get(id), Some(&1), "acknowledged, but not stored exactly once: {id}");
    }

    for events in sent.unanswered.clone() {
        let answer = client.log_events(LogEventsRequest { events }).await.expect("the batch is taken");
        let outcomes: Vec<_> = answer.into_inner().results.iter().map(EventResult::outcome).collect();
        let known = [EventOutcome::Stored, EventOutcome::Duplicate];
        assert!(outcomes.iter().all(|outcome| known.contains(outcome)), "{outcomes:?}");
        assert!(outcomes.windows(2).all(|two| two[0] == two[1]), "a batch was stored in part: {outcomes:?}");
    }
    server.kill().expect("killed");
    server.wait().expect("gone");
    let resent = sent.unanswered.iter().flatten().map(|event| event.id.clone());
    let all: BTreeMap<String, i64> =
        sent.acknowledged.iter().cloned().chain(resent).map(|id| (id, 1)).collect();
    assert!(stored_ids(&home).await == all, "each id is stored once, and no other");
}

fn numbered(logger: usize, round: usize, number: usize) -> Event {
    let id = format!("{logger}-{round}-{number}");
    Event {
        properties: [("number".to_owned(), id.clone())].into(),
        id,
        ..event(&format!("visitor-{number}"), "visited_signup")
    }
}

/// The program itself, as a process of its own.
fn serve(home: &Home, address: SocketAddr) -> Child {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args([
            "serve",
            "--log",
            "off",
            "--http-listen",
            "127.0.0.1:0",
            "--listen",
            &address.to_string(),
            "--database",
            &home.url(),
            "--data-dir",
        ])
        .arg(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address")
}

/// How often each numbered event is stored, by its id, read past the program.
async fn stored_ids(home: &Home) -> BTreeMap<String, i64> {
    let query = "select properties, count(*) as times from event group by properties";
    let id = |properties: &str| {
        let properties: serde_json::Value = serde_json::from_str(properties).expect("JSON");
        properties["number"].as_str().expect("a number").to_owned()
    };
    home.rows(query).await.iter().map(|row| (id(row.get("properties")), row.get("times"))).collect()
}
