//! The start of a client: all answers for one user.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Statsig;
use super::access::admit;
use super::events::{STABLE_ID, with_stable_id};
use super::initialize::initialize;
use super::log::ClientQuery;
use super::names::NameHash;
use super::user::StatsigUser;
use crate::domain::sdk_key::SdkKeyKind;
use crate::domain::user::User;
use crate::error::Error;
use crate::transport::http::refusal::Refusal;

/// What a user has that is told to nobody.
const PRIVATE: &str = "privateAttributes";

/// What a client asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    #[serde(default)]
    user: Option<Map<String, Value>>,
    #[serde(default)]
    hash: Option<NameHash>,
    #[serde(default)]
    statsig_metadata: Value,
}

/// Decides everything that the key may see for one user. It never says that nothing is new: time and place of a user
/// change answers as well as edits do.
pub(super) async fn start(
    State(statsig): State<Arc<Statsig>>,
    Query(query): Query<ClientQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let in_force = statsig.live.in_force();
    let caller = admit(&in_force.catalogue, query.k.as_deref(), &headers, &[SdkKeyKind::Client])?;
    let start: Start = query.read(&body)?;
    let mut told = start.user.unwrap_or_default();
    let user: StatsigUser = serde_json::from_value(Value::Object(told.clone())).unwrap_or_default();
    let mut user = with_stable_id(User::from(user), &[&start.statsig_metadata]);
    told.remove(PRIVATE);
    if let Some(id) = user.custom_ids.get(STABLE_ID) {
        // Clients compare it with the one that they sent.
        let ids = told.entry("customIDs").or_insert_with(|| json!({}));
        if let Some(ids) = ids.as_object_mut() {
            ids.entry(STABLE_ID).or_insert_with(|| json!(id));
        }
    }
    if user.user_agent.is_empty() {
        let browser = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        browser.unwrap_or_default().clone_into(&mut user.user_agent);
    }
    if user.environment.is_empty() {
        user.environment.clone_from(&caller.key.document.environment);
    }
    let project = statsig.projects.of(&in_force, &caller).await?;
    let (now, hash) = (statsig.clock.now(), start.hash.unwrap_or_default());
    let changed_at = project.changed_at();
    let decide = move || initialize(&project.scoped, project.snapshot(), &user, now, hash);
    let mut answer = tokio::task::spawn_blocking(decide).await.map_err(Error::internal)?;
    answer.insert("user".to_owned(), Value::Object(told));
    answer.insert("time".to_owned(), json!(changed_at));
    Ok(Json(Value::Object(answer)))
}
