//! HTTP, as SDKs speak it.

mod downloads;
mod events;
mod keys;
mod reports;
mod starts;

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portcullis::transport::grpc::wire::key_service_client::KeyServiceClient;
use portcullis::transport::grpc::wire::{CreateSdkKeyRequest, SdkKey, SdkKeyKind};
use serde_json::Value;
use sqlx::any::AnyRow;
use tonic::transport::Channel;

use crate::server::Server;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("text")
    }

    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    /// What is wrong, as it is told.
    fn error(&self) -> String {
        self.json()["error"].as_str().expect("a message").to_owned()
    }
}

impl Server {
    fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.channel())
    }

    /// The secret of a new key for production.
    async fn new_key(&self, kind: SdkKeyKind) -> String {
        self.new_key_of(SdkKey {
            kind: kind.into(),
            environment: "production".to_owned(),
            ..SdkKey::default()
        })
        .await
    }

    /// The secret of a new key.
    async fn new_key_of(&self, key: SdkKey) -> String {
        let request = CreateSdkKeyRequest { key: Some(key) };
        self.keys().create_sdk_key(request).await.expect("a key").into_inner().secret
    }

    async fn http(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.http_address()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let answer = client.request(request).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("the body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.http(Method::GET, path, headers, Vec::new()).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        self.http(Method::POST, path, headers, body.into()).await
    }

    /// What a query of the database finds, past the program.
    async fn rows(&self, query: &str) -> Vec<AnyRow> {
        self.home().rows(query).await
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

fn gunzip(bytes: &[u8]) -> Value {
    serde_json::from_reader(GzDecoder::new(bytes)).expect("JSON packed by gzip")
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_what_is_in_force_and_unknown_addresses_are_not_found() {
    let server = Server::start().await;
    let before = server.get("/health", &[]).await;
    assert_eq!((before.status, &before.json()["status"]), (StatusCode::OK, &Value::from("serving")));
    assert_eq!(before.json()["guard_age_ms"], Value::Null);
    let spool = &before.json()["spool"];
    assert_eq!((&spool["batches"], &spool["refused"]), (&0.into(), &0.into()), "{spool}");
    server.create_gate(crate::documents::gate("gate", 50.0)).await;
    let age = crate::server::eventually("the guard has looked", async || {
        server.get("/health", &[]).await.json()["guard_age_ms"].as_i64().ok_or("never".to_owned())
    });
    assert!(age.await >= 0);
    let after = server.get("/health", &[]).await.json();
    assert!(after["config_revision"].as_i64() > before.json()["config_revision"].as_i64(), "{after}");
    assert_eq!(server.get("/v3/anything", &[]).await.status, StatusCode::NOT_FOUND);
}
