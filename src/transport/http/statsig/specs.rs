//! The download of all rules, which server SDKs repeat every few seconds.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Statsig;
use super::access::admit;
use super::projects::Dialect;
use crate::domain::sdk_key::SdkKeyKind;
use crate::transport::http::refusal::Refusal;

/// What an SDK says in the address.
#[derive(Debug, Deserialize)]
pub(super) struct Since {
    /// The time of the rules that it has.
    #[serde(rename = "sinceTime")]
    since_time: Option<String>,
}

/// The form with lists.
pub(super) async fn v1(
    state: State<Arc<Statsig>>,
    file: Path<String>,
    since: Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    download(&state, &file, &since, &headers, Dialect::V1).await
}

/// The form with maps.
pub(super) async fn v2(
    state: State<Arc<Statsig>>,
    file: Path<String>,
    since: Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    download(&state, &file, &since, &headers, Dialect::V2).await
}

async fn download(
    statsig: &Statsig,
    file: &str,
    since: &Since,
    headers: &HeaderMap,
    dialect: Dialect,
) -> Result<Response, Refusal> {
    let in_force = statsig.live.in_force();
    let secret = file.strip_suffix(".json").unwrap_or(file);
    let caller = admit(&in_force.catalogue, Some(secret), headers, &[SdkKeyKind::Server])?;
    let has = since.since_time.as_deref().and_then(|time| time.parse::<i64>().ok());
    if has.is_some_and(|has| has >= in_force.catalogue.changed_at.0) {
        // SDKs take any other status, or an empty body, for a failure.
        return Ok(axum::Json(json!({ "has_updates": false })).into_response());
    }
    let rendered = statsig.projects.of(&in_force, &caller).await?.rendered(dialect).await?;
    let accepts = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let takes_gzip = accepts.flat_map(|value| value.split(',')).any(|one| one.trim().starts_with("gzip"));
    let json = [(CONTENT_TYPE, "application/json"), (VARY, "accept-encoding")];
    Ok(if takes_gzip {
        (json, [(CONTENT_ENCODING, "gzip")], rendered.gzip).into_response()
    } else {
        (json, rendered.json).into_response()
    })
}
