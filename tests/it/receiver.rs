//! An address that webhooks post to: it answers as it is told, and keeps what it got.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::server::eventually;

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Kept {
    got: Vec<Got>,
    /// How the next ones are answered; all others with 204.
    answers: VecDeque<Answer>,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With a status and a text.
    Status(u16, String),
    /// With another place.
    Elsewhere(String),
    /// Not at all.
    Never,
}

/// A receiver on a free port of this machine.
#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("an address");
        let receiver = Self { address, kept: Arc::default() };
        let router = Router::new().route("/{*path}", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers the next requests this way, in this order.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.kept.lock().expect("not poisoned").answers = answers.into_iter().collect();
    }

    /// All that came in.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.kept.lock().expect("not poisoned").got.clone()
    }

    /// Waits until so many have come in.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Got> {
        eventually(&format!("{count} notices come in"), async || {
            let got = self.got();
            if got.len() >= count { Ok(got) } else { Err(format!("{got:?}")) }
        })
        .await
    }
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Whether it is signed with a secret, worked out from the specification.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{}.{}.", self.id, self.timestamp).as_bytes());
        mac.update(&self.body);
        self.signature == format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

async fn take(
    State(receiver): State<Receiver>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/json");
    let answer = {
        let mut kept = receiver.kept.lock().expect("not poisoned");
        kept.got.push(Got {
            path: uri.path().to_owned(),
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp").parse().expect("seconds"),
            signature: header("webhook-signature"),
            body: body.to_vec(),
        });
        kept.answers.pop_front()
    };
    match answer {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Answer::Status(status, text)) => {
            (StatusCode::from_u16(status).expect("a status"), text).into_response()
        }
        Some(Answer::Elsewhere(place)) => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", place)]).into_response()
        }
        Some(Answer::Never) => std::future::pending().await,
    }
}
