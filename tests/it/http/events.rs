//! Events as JSON, and the counts that are told of them.

use std::time::Duration;

use axum::http::{StatusCode, header};
use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::{EventOutcome, LogEventsRequest};
use serde_json::{Value, json};
use sqlx::Row;
use tonic::Code;
use tonic_types::StatusExt;

use crate::home::Home;
use crate::server::{Server, eventually, settings};
use crate::visitors::{event, log, log_batch};

async fn post(server: &Server, body: &Value) -> Value {
    let answer = server.post("/v1/events", &[], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_as_json_have_the_results_that_they_have_over_grpc() {
    let server = Server::start().await;
    let user = json!({ "user_id": "ada" });
    let events = json!([
        { "id": "one", "name": "bought", "user": user, "value": 9.5, "time": "2026-03-02T12:00:00.5Z",
          "properties": { "item": "shoe" } },
        { "name": "", "user": user },
        { "name": "bought" },
        { "name": "bought", "user": {} },
        { "id": "one", "name": "bought", "user": user },
        { "name": "bought", "user": user, "time": "yesterday" },
        { "name": "bought", "user": { "user_id": 5 } },
        { "name": "bought", "user": user, "nonsense": 1 },
        "no event",
        { "name": "bought", "user": user, "time": "2100-01-01T00:00:00Z" },
        { "name": "bought", "user": user, "value": 1e16 },
        { "name": "bought\u{0}", "user": user },
    ]);
    let answer = post(&server, &json!({ "events": events })).await;
    let results: Vec<(&str, &str)> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let message = result["message"].as_str().unwrap_or_default();
            (result["outcome"].as_str().unwrap(), message.split(':').next().unwrap())
        })
        .collect();
    let expected = [
        ("stored", ""),
        ("refused", "name"),
        ("refused", "user"),
        ("refused", "user.user_id"),
        ("duplicate", ""),
        ("refused", "time"),
        ("refused", "user.user_id"),
        ("refused", "nonsense"),
        ("refused", "event"),
        ("refused", "time"),
        ("refused", "value"),
        ("refused", "name"),
    ];
    assert_eq!(results, expected, "{answer:#}");

    // The same texts, where both can be given the same.
    let mut nameless = event("ada", "bought");
    nameless.name = String::new();
    let request = LogEventsRequest { events: vec![nameless] };
    let over_grpc = server.events().log_events(request).await.unwrap().into_inner();
    assert_eq!(over_grpc.results[0].message, answer["results"][1]["message"]);
    let mut same = event("ada", "bought");
    same.id = "one".to_owned();
    assert_eq!(log_batch(&server, vec![same]).await, [EventOutcome::Duplicate]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_batch_is_refused_as_a_whole() {
    let server = Server::start().await;
    let event = json!({ "name": "bought", "user": { "user_id": "ada" } });
    let too_many = json!({ "events": vec![event; 1_001] }).to_string();
    for (body, message) in [
        ("{", "the body must be JSON"),
        ("{\"events\": []}", "events: must have 1 to 1000, has 0"),
        (too_many.as_str(), "events: must have 1 to 1000, has 1001"),
    ] {
        let answer = server.post("/v1/events", &[], body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.json()["error"].as_str().unwrap().starts_with(message), "{}", answer.json());
    }
    let long = format!("{{\"events\": [{}]}}", " ".repeat(17 * 1024 * 1024));
    assert_eq!(server.post("/v1/events", &[], long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_told_in_the_form_that_prometheus_reads() {
    let server = Server::start().await;
    let first = event("ada", "read");
    log(&server, vec![first.clone(), first, event("ada", "read")]).await;
    post(&server, &json!({ "events": [{ "name": "" }] })).await;
    let answer = server.get("/metrics", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = answer.text();
    let value = |name: &str| -> String {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        line.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(value("portcullis_events_stored_total"), "2");
    assert_eq!(value("portcullis_events_duplicate_total"), "1");
    assert_eq!(value("portcullis_events_refused_total"), "1");
    for empty in [
        "portcullis_events_spooled_total",
        "portcullis_exposures_dropped_total",
        "portcullis_spool_bytes",
        "portcullis_event_queue_batches",
        "portcullis_event_queue_bytes",
        "portcullis_exposure_queue",
    ] {
        assert_eq!(value(empty), "0", "{empty}");
    }
    assert_eq!(value("portcullis_spool_oldest_age_seconds"), "0.0");
    let age: f64 = value("portcullis_watermark_age_seconds").parse().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_bound_of_what_waits_for_the_store_callers_are_told_when_to_come_again() {
    let home = Home::new().await;
    let settings = ServeSettings { spool_bytes: 10_000, ..settings(&home) };
    let server = Server::start_as(home, settings, Clock::system()).await;
    let outage = server.home().outage().await;
    let mut taken = 0;
    let refused = loop {
        let mut event = event("ada", "bought");
        event.properties.insert("text".to_owned(), "x".repeat(2_000));
        match server.events().log_events(LogEventsRequest { events: vec![event] }).await {
            Ok(_) => taken += 1,
            Err(status) => break status,
        }
    };
    assert!(taken > 1 && refused.message().contains("bound"), "{taken}: {refused:?}");
    assert_eq!(refused.code(), Code::Unavailable);
    let second = Some(Duration::from_secs(1));
    assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, second);
    let user = json!({ "user_id": "ada" });
    let large = json!([{ "name": "bought", "user": user, "properties": { "text": "x".repeat(2_000) } }]);
    let answer = server.post("/v1/events", &[], json!({ "events": large }).to_string()).await;
    assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(answer.error().contains("bound"), "{}", answer.error());

    outage.end().await;
    eventually("what waited is stored", async || {
        match server.get("/health", &[]).await.json()["spool"].take() {
            spool if spool["batches"] == 0 => Ok(()),
            spool => Err(spool.to_string()),
        }
    })
    .await;
    assert_eq!(server.rows("select id from event_id").await.len(), taken);
}

/// What health tells of what waits, once nothing does.
async fn drained(server: &Server) -> Value {
    eventually("what waited is stored", async || {
        match server.get("/health", &[]).await.json()["spool"].take() {
            spool if spool["batches"] == 0 => Ok(spool),
            spool => Err(spool.to_string()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_database_will_not_take_costs_no_other_and_is_told_until_it_is_taken() {
    let server = Server::start().await;
    let is_sqlite = server.home().url().starts_with("sqlite");
    let wrong = if is_sqlite {
        "create trigger wrong before insert on event when new.name = 'bad'
             begin select raise(abort, 'it does not fit'); end"
    } else {
        "create function wrong() returns trigger language plpgsql as
             $$ begin raise 'it does not fit' using errcode = 'check_violation'; end $$;
         create trigger wrong before insert on event for each row
             when (new.name = 'bad') execute function wrong()"
    };
    server.home().execute(wrong).await;
    let outage = server.home().outage().await;
    let names = ["bought", "bad", "bought", "read"];
    log(&server, names.map(|name| event("ada", name)).to_vec()).await;
    outage.end().await;
    assert_eq!(drained(&server).await["refused"], 1);
    let told = server.get("/metrics", &[]).await.text();
    assert!(told.contains("portcullis_spool_refused 1"), "{told}");
    let stored = async |server: &Server| -> Vec<String> {
        let rows = server.rows("select name from event order by name").await;
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(stored(&server).await, ["bought", "bought", "read"]);

    let home = server.stop().await;
    home.execute(if is_sqlite { "drop trigger wrong" } else { "drop trigger wrong on event" }).await;
    let server = Server::start_in(home, Clock::system()).await;
    assert_eq!(drained(&server).await["refused"], 0);
    assert_eq!(stored(&server).await, ["bad", "bought", "bought", "read"]);
}
