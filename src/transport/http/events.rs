//! Events as JSON: the same limits and results as over gRPC.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::transport::batch::{self, Outcome};

/// Largest body in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// All that the endpoint stands on.
#[derive(Debug)]
struct Events {
    ingest: Ingest,
    clock: Clock,
    max_skew_ms: i64,
}

/// A batch. Events are read one by one, so that one that can not be read fails no other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    events: Vec<Value>,
}

/// An event, with the names of the gRPC message.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sent {
    id: String,
    name: String,
    user: Option<SentUser>,
    /// RFC 3339.
    time: Option<String>,
    value: Option<f64>,
    properties: BTreeMap<String, String>,
}

/// Whom it happened to.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SentUser {
    user_id: String,
    custom_ids: BTreeMap<String, String>,
    country: String,
    locale: String,
    app_version: String,
    custom: BTreeMap<String, Value>,
}

/// Takes a batch of events, and answers once it is durable.
pub(super) fn route(ingest: Ingest, clock: Clock, max_skew_ms: i64) -> MethodRouter {
    let state = Arc::new(Events { ingest, clock, max_skew_ms });
    post(log).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(state)
}

async fn log(
    State(events): State<Arc<Events>>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> std::result::Result<Json<Value>, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let batch: Batch = serde_json::from_slice(&body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body must be JSON: {error}")))?;
    batch::check_count("events", batch.events.len())?;
    let now = events.clock.now();
    let read = batch.events.into_iter().map(|event| read(event, now, events.max_skew_ms)).collect();
    let outcomes = batch::log_events(&events.ingest, read).await?;
    let result = |outcome| match outcome {
        Outcome::Stored => json!({ "outcome": "stored" }),
        Outcome::Duplicate => json!({ "outcome": "duplicate" }),
        Outcome::Refused(message) => json!({ "outcome": "refused", "message": message }),
    };
    Ok(Json(json!({ "results": outcomes.into_iter().map(result).collect::<Vec<_>>() })))
}

fn read(event: Value, now: Timestamp, max_skew_ms: i64) -> Result<Event> {
    let sent: Sent = serde_path_to_error::deserialize(event).map_err(|error| {
        let (field, message) = (error.path().to_string(), error.inner().to_string());
        Error::field(if field == "." { "event".to_owned() } else { field }, message)
    })?;
    let user = sent.user.ok_or_else(|| Error::field("user", "is required"))?;
    let at = sent.time.map(|time| timestamp(&time)).transpose()?;
    let event = Event {
        id: batch::id_or_new(sent.id, now),
        name: sent.name,
        user: User {
            user_id: user.user_id,
            custom_ids: user.custom_ids,
            country: user.country,
            locale: user.locale,
            app_version: user.app_version,
            custom: user.custom,
            ..User::default()
        },
        at: at.unwrap_or(now),
        received_at: now,
        value: sent.value,
        properties: sent.properties,
    };
    event.check(max_skew_ms)?;
    Ok(event)
}

fn timestamp(time: &str) -> Result<Timestamp> {
    let time = DateTime::parse_from_rfc3339(time).map_err(|error| {
        Error::field("time", format!("must be a time such as 2026-03-02T12:00:00Z: {error}"))
    })?;
    Ok(Timestamp(time.timestamp_millis()))
}
