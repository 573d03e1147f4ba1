//! Who calls: the key in the address or in the header.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};

use crate::domain::catalogue::Catalogue;
use crate::domain::sdk_key::{SdkKey, SdkKeyKind};
use crate::domain::stored::Stored;
use crate::transport::http::refusal::Refusal;

/// The header with the key.
const KEY_HEADER: &str = "statsig-api-key";

/// A key that lets its caller in, with the secret that was given.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) key: Arc<Stored<SdkKey>>,
    pub(super) secret: String,
}

/// Lets in who holds a key of one of these kinds. The key in the address counts, and without one that in the header.
pub(super) fn admit(
    catalogue: &Catalogue,
    in_address: Option<&str>,
    headers: &HeaderMap,
    kinds: &[SdkKeyKind],
) -> Result<Caller, Refusal> {
    let in_header = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok());
    let unauthorized = |what: &str| {
        let message = format!(
            "{what}; send one in the address or in the header `{KEY_HEADER}`, made by \
             portcullis.v1.KeyService/CreateSdkKey and not revoked"
        );
        Refusal::new(StatusCode::UNAUTHORIZED, message)
    };
    let secret = in_address.or(in_header).filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| unauthorized("no SDK key was given"))?;
    let key = catalogue.sdk_key(secret).ok_or_else(|| unauthorized("the SDK key is not known"))?;
    if kinds.contains(&key.document.kind) {
        return Ok(Caller { key: Arc::clone(key), secret: secret.to_owned() });
    }
    let wanted = match key.document.kind {
        SdkKeyKind::Server => "a client key: server keys are not for browsers and apps",
        SdkKeyKind::Client => "a server key: everyone can read a client key",
    };
    Err(Refusal::new(StatusCode::FORBIDDEN, format!("this address needs {wanted}")))
}
