//! Id lists: a map of all of them, and a file of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, HOST, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::Statsig;
use super::access::admit;
use crate::domain::sdk_key::{SdkKey, SdkKeyKind, SecretHash};
use crate::engine::form::IdList;
use crate::transport::http::refusal::Refusal;

/// Bytes of one line: a sign, 8 characters of an id's digest, and the line's end.
const LINE_BYTES: usize = 10;
/// Names the scheme that callers came by, where a proxy in front has another.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// One list, as SDKs are told of it.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    name: String,
    url: String,
    /// Another one means that the list is to be read from its beginning.
    #[serde(rename = "fileID")]
    file_id: String,
    size: usize,
    #[serde(rename = "creationTime")]
    creation_time: i64,
}

/// All lists.
pub(super) async fn map(
    State(statsig): State<Arc<Statsig>>,
    headers: HeaderMap,
) -> Result<Json<BTreeMap<String, Entry>>, Refusal> {
    lists(&statsig, None, &headers)
}

/// All lists, with the key in the address.
pub(super) async fn map_by_key(
    State(statsig): State<Arc<Statsig>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Json<BTreeMap<String, Entry>>, Refusal> {
    lists(&statsig, Some(file.strip_suffix(".json").unwrap_or(&file)), &headers)
}

fn lists(
    statsig: &Statsig,
    secret: Option<&str>,
    headers: &HeaderMap,
) -> Result<Json<BTreeMap<String, Entry>>, Refusal> {
    let in_force = statsig.live.in_force();
    let caller = admit(&in_force.catalogue, secret, headers, &[SdkKeyKind::Server])?;
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let host = host.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "the header `host` is needed"))?;
    let scheme =
        if headers.get(FORWARDED_PROTO).is_some_and(|value| value == "https") { "https" } else { "http" };
    let entry = |(name, list): (&String, &Arc<IdList>)| {
        let (id, token) = (&caller.key.document.id, token(&caller.key.document, name, list.revision));
        let entry = Entry {
            name: name.clone(),
            url: format!("{scheme}://{host}/v1/id_lists/{id}/{name}/{}/{token}", list.revision),
            file_id: format!("{name}.{}", list.revision),
            size: list.digests.len() * LINE_BYTES,
            creation_time: list.updated_at.0,
        };
        (name.clone(), entry)
    };
    Ok(Json(in_force.ruleset.id_lists.iter().map(entry).collect()))
}

/// One list. Some SDKs do not send their key here, so the address itself says that its caller was let in.
pub(super) async fn file(
    State(statsig): State<Arc<Statsig>>,
    Path((id, name, revision, given)): Path<(String, String, i64, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let in_force = statsig.live.in_force();
    let key = in_force.catalogue.sdk_keys.get(&id).filter(|stored| !stored.archived);
    let fits = |key: &SdkKey| bool::from(token(key, &name, revision).as_bytes().ct_eq(given.as_bytes()));
    if !key.is_some_and(|stored| fits(&stored.document)) {
        let message = "the address is not one that get_id_lists told for a key that is in use";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, message));
    }
    let list = in_force.ruleset.id_lists.get(&name).filter(|list| list.revision == revision);
    let message = "the list has changed since; ask get_id_lists again";
    let list = list.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, message))?;
    Ok(part(lines(list), &headers))
}

/// Says that the holder of a key was told the address of a list.
fn token(key: &SdkKey, name: &str, revision: i64) -> String {
    SecretHash::of(&format!("{} id list {name} {revision}", key.secret)).to_string()
}

/// Lines of a list, in an order that stays.
fn lines(list: &IdList) -> Bytes {
    let mut digests: Vec<u64> = list.digests.iter().copied().collect();
    digests.sort_unstable();
    let mut text = String::with_capacity(digests.len() * LINE_BYTES);
    for digest in digests {
        // The digest is the lower 6 of the 8 bytes.
        let [_, _, bytes @ ..] = digest.to_be_bytes();
        // Writing to a text does not fail.
        let _ = writeln!(text, "+{}", STANDARD.encode(bytes));
    }
    text.into()
}

/// The part that is asked for, with its length, and never compressed: SDKs count bytes.
fn part(text: Bytes, headers: &HeaderMap) -> Response {
    let plain = [(CONTENT_TYPE, "text/plain"), (ACCEPT_RANGES, "bytes")];
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return (plain, text).into_response();
    };
    let all = text.len();
    let (Ok(first), Ok(last)) =
        (range.0.parse(), range.1.parse().or(if range.1.is_empty() { Ok(all) } else { Err(()) }))
    else {
        return (plain, text).into_response();
    };
    let end = all.min(usize::saturating_add(last, 1));
    if first >= end {
        return (StatusCode::RANGE_NOT_SATISFIABLE, plain, [(CONTENT_RANGE, format!("bytes */{all}"))])
            .into_response();
    }
    let of = [(CONTENT_RANGE, format!("bytes {first}-{}/{all}", end - 1))];
    (StatusCode::PARTIAL_CONTENT, plain, of, text.slice(first..end)).into_response()
}
