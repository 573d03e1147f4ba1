//! One signed request to an address that may be sent to.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use url::Host;

use super::address::is_public;
use super::signature::sign;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// Most bytes of an answer that are read; they are for the operator, where it is no success.
const MAX_ANSWER_BYTES: usize = 1_024;
/// Most characters of it that are shown.
const MAX_SHOWN: usize = 200;
/// Why nothing is sent.
const NOT_PUBLIC: &str = "its address is private, loopback, link-local or otherwise not public, and such ones are not \
                          allowed by --webhook-private-addresses";

/// Posts messages.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    private_addresses: bool,
}

/// What is posted.
#[derive(Debug)]
pub(super) struct Message<'m> {
    /// The same at every attempt.
    pub(super) id: &'m str,
    /// When it is sent.
    pub(super) at: Timestamp,
    /// The bytes that sign it.
    pub(super) secret: &'m [u8],
    /// JSON.
    pub(super) body: String,
}

impl Post {
    pub(super) fn new(timeout: Duration, private_addresses: bool) -> Result<Self> {
        // The one that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .redirect(Policy::none())
            // A proxy would connect to addresses that nobody has looked at.
            .no_proxy()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Resolver { private_addresses })
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, private_addresses })
    }

    /// Sends a message once; else says why not, in words for operators, without the address.
    pub(super) async fn send(&self, url: &str, message: Message<'_>) -> std::result::Result<(), String> {
        let url: Url = url.parse().map_err(|_| "the address can not be read")?;
        self.refuse_private(&url)?;
        let timestamp = message.at.0.div_euclid(1_000);
        let signature = sign(message.secret, message.id, timestamp, message.body.as_bytes());
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature.ok_or("it can not be signed")?)
            .body(message.body);
        let response = request.send().await.map_err(|error| in_words(&error))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(format!("it was answered with {}{}", response.status(), answer(response).await))
    }

    /// An address that is written as a number is looked up nowhere, and so it is looked at here.
    fn refuse_private(&self, url: &Url) -> std::result::Result<(), String> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.private_addresses || is_public(address) { Ok(()) } else { Err(NOT_PUBLIC.to_owned()) }
    }
}

/// Looks names up, and leaves out what may not be connected to. The client connects to what is left and to nothing else, so
/// that a name that changes its mind meanwhile gains nothing.
#[derive(Debug)]
struct Resolver {
    private_addresses: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private_addresses = self.private_addresses;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> =
                found.filter(|address| private_addresses || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NOT_PUBLIC.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The beginning of an answer.
async fn answer(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN).collect();
    if shown.trim().is_empty() { String::new() } else { format!(": {}", shown.trim()) }
}

/// The last cause says what happened; those before it name the address, which may hold what is secret.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it was not answered in time".to_owned();
    }
    let mut cause = error.source();
    let mut last = None;
    while let Some(error) = cause {
        last = Some(error.to_string());
        cause = error.source();
    }
    format!("it could not be sent: {}", last.unwrap_or_else(|| "the request failed".to_owned()))
}
