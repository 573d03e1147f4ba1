//! Keys: who is let in, and to what.

use axum::http::StatusCode;
use portcullis::clock::Clock;
use portcullis::transport::grpc::wire::{
    CreateSdkKeyRequest, ListSdkKeysRequest, RevokeSdkKeyRequest, SdkKey, SdkKeyKind,
};
use tonic::Code;

use crate::server::{Server, fields};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_lets_nobody_in_and_secrets_are_not_kept() {
    let server = Server::start().await;
    let kept = server.new_key(SdkKeyKind::Server).await;
    let lost = server.new_key(SdkKeyKind::Server).await;
    assert!(kept.starts_with("secret-") && kept.len() >= "secret-".len() + 32 && kept != lost, "{kept}");
    let list = ListSdkKeysRequest::default;
    let keys = server.keys().list_sdk_keys(list()).await.unwrap().into_inner().keys;
    assert_eq!(keys.len(), 2);
    let path = |secret: &str| format!("/v2/download_config_specs/{secret}.json");
    assert_eq!(server.get(&path(&lost), &[]).await.status, StatusCode::OK);

    let revoke = || RevokeSdkKeyRequest { id: keys[1].id.clone() };
    let revoked = server.keys().revoke_sdk_key(revoke()).await.unwrap().into_inner().key.unwrap();
    assert!(revoked.revoke_time.is_some());
    let again = server.keys().revoke_sdk_key(revoke()).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    let unknown = RevokeSdkKeyRequest { id: "nobody".to_owned() };
    assert_eq!(server.keys().revoke_sdk_key(unknown).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(server.get(&path(&lost), &[]).await.status, StatusCode::UNAUTHORIZED);
    let in_use = server.keys().list_sdk_keys(list()).await.unwrap().into_inner().keys;
    assert_eq!(in_use, [keys[0].clone()]);

    let home = server.stop().await;
    let (stored, secret) = (home.stored().await, kept.strip_prefix("secret-").unwrap().as_bytes());
    assert!(!stored.windows(secret.len()).any(|window| window == secret), "a secret was kept");
    let server = Server::start_in(home, Clock::system()).await;
    assert_eq!(server.get(&path(&kept), &[]).await.status, StatusCode::OK);
    assert_eq!(server.get(&path(&lost), &[]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_what_would_be_right() {
    let server = Server::start().await;
    let for_servers = server.new_key(SdkKeyKind::Server).await;
    let for_clients = server.new_key(SdkKeyKind::Client).await;
    let with_header = |secret: &'static str| [("statsig-api-key", secret)];
    let wrong = [
        server.get("/v1/download_config_specs/secret-wrong.json", &[]).await,
        server.get("/v2/download_config_specs/.json", &[]).await,
        server.post("/v1/get_id_lists", &with_header("secret-wrong"), "").await,
        server.post("/v1/log_event", &[], "{}").await,
        server.post("/v1/initialize?k=client-wrong", &[], "{}").await,
        server.post("/v1/rgstr", &with_header(""), "{}").await,
    ];
    for answer in wrong {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{:?}", answer.body);
        assert!(answer.error().contains("statsig-api-key"), "{}", answer.error());
    }
    let client_key = [("statsig-api-key", for_clients.as_str())];
    let wrong_kind = [
        (server.get(&format!("/v1/download_config_specs/{for_clients}.json"), &[]).await, "server key"),
        (server.post("/v1/get_id_lists", &client_key, "").await, "server key"),
        (server.post(&format!("/v1/initialize?k={for_servers}"), &[], "{}").await, "client key"),
    ];
    for (answer, wanted) in wrong_kind {
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.error().contains(wanted), "{}", answer.error());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_an_environment_and_is_of_a_kind() {
    let server = Server::start().await;
    let refusal = async |key: Option<SdkKey>| {
        let status = server.keys().create_sdk_key(CreateSdkKeyRequest { key }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        fields(&status)
    };
    let good =
        || SdkKey { kind: SdkKeyKind::Client.into(), environment: "staging".to_owned(), ..SdkKey::default() };
    assert_eq!(refusal(None).await, ["key"]);
    assert_eq!(refusal(Some(SdkKey { kind: 0, ..good() })).await, ["key.kind"]);
    assert_eq!(refusal(Some(SdkKey { environment: String::new(), ..good() })).await, ["key.environment"]);
    assert_eq!(
        refusal(Some(SdkKey { target_apps: vec![String::new()], ..good() })).await,
        ["key.target_apps[0]"]
    );
    let description = "x".repeat(20_000);
    assert_eq!(refusal(Some(SdkKey { description, ..good() })).await, ["key.description"]);
}
