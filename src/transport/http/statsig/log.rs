//! Takes what SDKs log, answered once it is durable.

use std::io::Read as _;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::admit;
use super::events::{Batch, Reader};
use super::{MAX_BODY_BYTES, Statsig};
use crate::domain::event::MAX_BATCH;
use crate::domain::sdk_key::SdkKeyKind;
use crate::ingest::Appended;
use crate::transport::http::refusal::Refusal;

/// What clients say in the address, since headers would cost them another request.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ClientQuery {
    /// The key.
    pub(super) k: Option<String>,
    /// `1`: the body is base64, reversed.
    se: Option<String>,
    /// `1`: the body is packed by gzip, and no header says so.
    gz: Option<String>,
}

/// Takes a batch of events and exposures.
pub(super) async fn log_event(
    State(statsig): State<Arc<Statsig>>,
    Query(query): Query<ClientQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let in_force = statsig.live.in_force();
    let kinds = [SdkKeyKind::Server, SdkKeyKind::Client];
    let caller = admit(&in_force.catalogue, query.k.as_deref(), &headers, &kinds)?;
    let batch: Batch = query.read(&body)?;
    let project = statsig.projects.of(&in_force, &caller).await?;
    let reader = Reader {
        snapshot: &in_force.snapshot,
        launches: &in_force.catalogue.launches,
        names: project.names(),
        now: statsig.clock.now(),
        max_skew_ms: statsig.max_event_skew_ms,
    };
    let received = reader.read(batch);
    if let Some(first) = &received.first_refusal {
        tracing::warn!(
            refused = received.refused,
            first,
            key = caller.key.document.id,
            "logged events were refused"
        );
    }
    let (events_count, exposures_count) = (received.events.len(), received.exposures.len());
    let (mut events, mut exposures) = (received.events.into_iter(), received.exposures.into_iter());
    let mut duplicates = 0;
    loop {
        let events: Vec<_> = events.by_ref().take(MAX_BATCH).collect();
        let exposures: Vec<_> = exposures.by_ref().take(MAX_BATCH).collect();
        if events.is_empty() && exposures.is_empty() {
            break;
        }
        let outcomes = statsig.ingest.log(events, exposures).await?;
        duplicates += outcomes.events.iter().filter(|outcome| **outcome == Appended::Duplicate).count();
    }
    // An answer without a body, or without success in it, would be taken for a failure, and the batch sent again.
    let answer = json!({
        "success": true,
        "events": events_count,
        "duplicates": duplicates,
        "exposures": exposures_count,
        "internal": received.internal,
        "refused": received.refused,
        "stale": received.stale,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

impl ClientQuery {
    /// Reads a body in the form that the address says.
    pub(super) fn read<T: for<'de> Deserialize<'de>>(&self, body: &[u8]) -> Result<T, Refusal> {
        let wrong = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
        let is_set = |flag: &Option<String>| flag.as_deref() == Some("1");
        let mut decoded = body.to_vec();
        if is_set(&self.se) {
            decoded.reverse();
            decoded = STANDARD
                .decode(&decoded)
                .map_err(|error| wrong(format!("se=1: must be base64, reversed: {error}")))?;
        }
        if is_set(&self.gz) {
            let most = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX);
            let mut unpacked = Vec::new();
            let read = MultiGzDecoder::new(decoded.as_slice()).take(most + 1).read_to_end(&mut unpacked);
            read.map_err(|error| wrong(format!("gz=1: must be packed by gzip: {error}")))?;
            if unpacked.len() > MAX_BODY_BYTES {
                let message = format!("must have at most {MAX_BODY_BYTES} bytes unpacked");
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            decoded = unpacked;
        }
        serde_json::from_slice(&decoded).map_err(|error| wrong(format!("the body must be JSON: {error}")))
    }
}
