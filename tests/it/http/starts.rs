//! The start of a client: all answers for one user.

use axum::http::{StatusCode, header};
use portcullis::transport::grpc::wire::{CheckLaunchResponse, LaunchState, SdkKeyKind};
use portcullis::transport::http::statsig::names::NameHash;
use serde_json::{Value, json};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::documents::{button_color_v3, gate};
use crate::server::Server;
use crate::visitors::{check_gate, groups, ids};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_it_would_get_by_asking() {
    let server = Server::start().await;
    let secret = server.new_key(SdkKeyKind::Client).await;
    server.create_gate(gate("gate", 50.0)).await;
    server.run_experiment(button_color_v3()).await;
    let path = format!("/v1/initialize?k={secret}&st=javascript-client&sv=3.33.5&t=1&sid=session-1");
    let visitors = ids("visitor", 30);
    let (passes, groups) =
        (check_gate(&server, "gate", &visitors).await, groups(&server, "button_color_v3", &visitors).await);
    for (number, visitor) in visitors.iter().enumerate() {
        let (hash, named) =
            [("none", NameHash::None), ("djb2", NameHash::Djb2), ("sha256", NameHash::Sha256)][number % 3];
        let user = json!({ "userID": visitor, "privateAttributes": { "plan": "secret" } });
        let body = json!({ "user": user, "hash": hash, "sinceTime": 9_999_999_999_999_i64 });
        let answer = server.post(&path, &[("origin", "https://shop.example")], body.to_string()).await;
        assert_eq!(
            (answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)),
            (StatusCode::OK, "*")
        );
        let told = answer.json();
        let answer = &told["feature_gates"][named.of("gate")];
        assert_eq!(answer["value"], passes[visitor], "{told}");
        let answer = &told["dynamic_configs"][named.of("button_color_v3")];
        assert_eq!(
            (&answer["group_name"], &answer["name"]),
            (&json!(groups[visitor]), &json!(named.of("button_color_v3")))
        );
        assert_eq!(answer["value"]["Button Color"], json!(groups[visitor]));
        assert_eq!((&told["hash_used"], &told["has_updates"]), (&json!(hash), &json!(true)));
        assert_eq!(told["user"], json!({ "userID": visitor }), "what is private is not told back");
        assert!(told["time"].as_i64() > Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_user_is_known_by_its_device() {
    let server = Server::start().await;
    let secret = server.new_key(SdkKeyKind::Client).await;
    let by_device =
        portcullis::transport::grpc::wire::Gate { unit_type: "stableID".to_owned(), ..gate("device", 100.0) };
    server.create_gate(by_device).await;
    server.create_gate(gate("person", 100.0)).await;
    for key in ["device", "person"] {
        // Its end is a change of the configuration, and would be seen in the time of the answers.
        let target = crate::server::gate_target(key);
        let ended = |answer: &CheckLaunchResponse| {
            answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::Completed)
        };
        server.check_until(&target, "the launch has ended", ended).await;
    }
    let path = format!("/v1/initialize?k={secret}");
    let told = async |path: &str, body: Vec<u8>| -> Value {
        let answer = server.post(path, &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.json()
    };
    let body =
        json!({ "hash": "none", "statsigMetadata": { "stableID": "device-1" } }).to_string().into_bytes();
    let plain = told(&path, body.clone()).await;
    assert_eq!(
        (&plain["feature_gates"]["device"]["value"], &plain["feature_gates"]["person"]["value"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(plain["user"], json!({ "customIDs": { "stableID": "device-1" } }));
    let reversed: Vec<u8> = STANDARD.encode(&body).into_bytes().into_iter().rev().collect();
    assert_eq!(told(&format!("{path}&se=1"), reversed).await, plain);
    let empty = told(&path, b"{}".to_vec()).await;
    assert_eq!(empty["hash_used"], "djb2");
    let wrong = server.post(&path, &[], json!({ "hash": "md5" }).to_string()).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.error().contains("djb2"), "{}", wrong.error());
}
