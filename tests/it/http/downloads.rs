//! What server SDKs download: rules in both forms, and id lists.

use axum::http::{StatusCode, header};
use portcullis::clock::Clock;
use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    ConditionOperator, CreateSegmentRequest, Gate, GateRule, SdkKey, SdkKeyKind, Segment,
    UpdateSegmentRequest,
};
use serde_json::{Value, json};

use super::gunzip;
use crate::documents::{button_color_v3, gate, rule, test_of};
use crate::server::Server;
use crate::visitors::ids;

fn v1(secret: &str) -> String {
    format!("/v1/download_config_specs/{secret}.json")
}

fn v2(secret: &str) -> String {
    format!("/v2/download_config_specs/{secret}.json?supports_proto=true")
}

/// An entity of the form with lists.
fn named<'j>(json: &'j Value, part: &str, name: &str) -> Option<&'j Value> {
    json[part].as_array().unwrap().iter().find(|entity| entity["name"] == name)
}

fn rule_ids(entity: &Value) -> Vec<&str> {
    entity["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_hold_the_same_and_only_news_is_sent() {
    let server = Server::start().await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    // Without a launch the guard changes nothing.
    server.create_gate(gate("on", 0.0)).await;
    server.create_gate(Gate { enabled: Some(false), ..gate("off", 0.0) }).await;
    server.create_experiment(button_color_v3()).await;

    let plain = server.get(&v1(&secret), &[]).await;
    assert_eq!((plain.status, plain.header(header::CONTENT_ENCODING)), (StatusCode::OK, ""));
    assert!(plain.header(header::CONTENT_TYPE).starts_with("application/json"));
    let lists = plain.json();
    let packed = server.get(&v2("by-header"), &[]).await;
    assert_eq!(packed.status, StatusCode::UNAUTHORIZED, "the key in the address counts");
    let packed = server.get(&v2(&secret), &[("accept-encoding", "statsig-br, gzip, deflate, br")]).await;
    assert_eq!(packed.header(header::CONTENT_ENCODING), "gzip");
    let maps = gunzip(&packed.body);
    assert_eq!((&lists["time"], &lists["has_updates"]), (&maps["time"], &maps["has_updates"]));
    for part in ["feature_gates", "dynamic_configs", "layer_configs"] {
        let names: Vec<&Value> =
            lists[part].as_array().unwrap().iter().map(|entity| &entity["name"]).collect();
        assert!(names.iter().copied().eq(maps[part].as_object().unwrap().keys()), "{part}: {names:?}");
    }
    // Who has no id is not drawn, and what is switched off has no rules.
    let on = named(&lists, "feature_gates", "on").unwrap();
    assert_eq!(rule_ids(on), ["missing_unit", "missing_unit", "everyone"]);
    assert_eq!(on["rules"][2]["conditions"][0]["type"], "public");
    let condition = &maps["feature_gates"]["on"]["rules"][2]["conditions"][0];
    assert_eq!(maps["condition_map"][condition.as_str().unwrap()]["type"], "public");
    assert_eq!(rule_ids(named(&lists, "feature_gates", "off").unwrap()), [""; 0]);

    let since = |path: String, time: &Value| {
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}sinceTime={time}")
    };
    let time = lists["time"].clone();
    let nothing = json!({ "has_updates": false });
    for path in [v1(&secret), v2(&secret)] {
        let answer = server.get(&since(path.clone(), &time), &[]).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, nothing.clone()));
        let older = json!(time.as_i64().unwrap() - 1);
        assert_eq!(server.get(&since(path, &older), &[]).await.json()["has_updates"], true);
    }
    server.create_gate(gate("news", 0.0)).await;
    let news = server.get(&since(v1(&secret), &time), &[]).await.json();
    assert!(named(&news, "feature_gates", "news").is_some());
    assert!(news["time"].as_i64() > time.as_i64());

    // An SDK that kept what it had through a restart is not sent it again.
    let server = Server::start_in(server.stop().await, Clock::system()).await;
    assert_eq!(server.get(&v1(&secret), &[]).await.json()["time"], news["time"]);
    assert_eq!(server.get(&since(v2(&secret), &news["time"]), &[]).await.json(), nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_the_rules_grows_while_the_clock_stands_still() {
    let clock = crate::server::TestClock::new();
    let server = Server::start_with(&clock).await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    let mut times = Vec::new();
    for name in ["one", "two", "three"] {
        server.create_gate(gate(name, 0.0)).await;
        times.push(server.get(&v1(&secret), &[]).await.json()["time"].as_i64().unwrap());
    }
    let server = Server::start_in(server.stop().await, clock.clock()).await;
    assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
    assert_eq!(server.get(&v1(&secret), &[]).await.json()["time"], times[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gets_the_rules_of_its_environment_and_what_its_apps_may_see() {
    let server = Server::start().await;
    let limited = |id: &str, environment: &str| GateRule {
        environments: vec![environment.to_owned()],
        ..rule(id, 100.0, Vec::new())
    };
    let rules =
        vec![limited("staged", "Staging"), limited("live", "production"), rule("rest", 0.0, Vec::new())];
    server.create_gate(Gate { rules, ..gate("staged", 0.0) }).await;
    let of_shop = |gate: Gate| Gate { target_apps: vec!["shop".to_owned()], ..gate };
    server.create_gate(of_shop(gate("shop_only", 100.0))).await;
    server.create_gate(of_shop(gate("asked", 100.0))).await;
    let asks = test_of(Subject::Gate("asked".to_owned()), ConditionOperator::Passes, &[]);
    let asking = Gate { rules: vec![rule("if", 100.0, vec![asks])], ..gate("asking", 0.0) };
    server.create_gate(asking).await;

    let key = |kind: SdkKeyKind, environment: &str, apps: &[&str]| SdkKey {
        kind: kind.into(),
        environment: environment.to_owned(),
        target_apps: apps.iter().map(|app| (*app).to_owned()).collect(),
        ..SdkKey::default()
    };
    let gates = async |key: SdkKey| {
        let secret = server.new_key_of(key).await;
        server.get(&v2(&secret), &[]).await.json()["feature_gates"].clone()
    };
    let live = gates(key(SdkKeyKind::Server, "production", &[])).await;
    assert_eq!(rule_ids(&live["staged"]), ["missing_unit", "missing_unit", "live", "rest"]);
    assert!(
        live["shop_only"].is_object() && live["asked"].is_object(),
        "a server without apps sees everything"
    );
    let staging = gates(key(SdkKeyKind::Server, "staging", &["blog"])).await;
    assert_eq!(rule_ids(&staging["staged"]), ["missing_unit", "missing_unit", "staged", "rest"]);
    assert!(staging["shop_only"].is_null() && staging["asked"].is_object(), "what is asked stays: {staging}");
    let shop = gates(key(SdkKeyKind::Server, "staging", &["blog", "shop"])).await;
    assert!(shop["shop_only"].is_object());

    let values = async |key: SdkKey| {
        let secret = server.new_key_of(key).await;
        let body = json!({ "user": { "userID": "visitor" }, "hash": "none" }).to_string();
        let answer = server.post(&format!("/v1/initialize?k={secret}"), &[], body).await.json();
        let gates = answer["feature_gates"].as_object().unwrap().clone();
        gates.into_iter().map(|(name, gate)| (name, gate["value"].as_bool().unwrap())).collect::<Vec<_>>()
    };
    let entry = |name: &str, value: bool| (name.to_owned(), value);
    let unlimited = [entry("asking", true), entry("staged", true)];
    assert_eq!(values(key(SdkKeyKind::Client, "production", &[])).await, unlimited);
    assert_eq!(
        values(key(SdkKeyKind::Client, "development", &["blog"])).await,
        [entry("asking", true), entry("staged", false)]
    );
    let all = ["asked", "asking", "shop_only", "staged"].map(|name| entry(name, true));
    assert_eq!(values(key(SdkKeyKind::Client, "staging", &["shop"])).await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn id_lists_are_read_in_parts_and_begin_anew_when_they_change() {
    let server = Server::start().await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    let key = [("statsig-api-key", secret.as_str())];
    let segment = Segment { key: "vips".to_owned(), ids: ids("vip", 2_000), ..Segment::default() };
    let created =
        server.admin().create_segment(CreateSegmentRequest { segment: Some(segment) }).await.unwrap();
    let segment = created.into_inner().segment.unwrap();
    assert_eq!(server.get(&v2(&secret), &[]).await.json()["id_lists"], json!({ "vips": true }));

    // Newer SDKs send no body and no type.
    let map = server.post("/v1/get_id_lists", &key, "").await.json();
    assert_eq!(map, server.get(&format!("/v1/get_id_lists/{secret}.json"), &[]).await.json());
    let entry = &map["vips"];
    assert_eq!((&entry["name"], &entry["size"]), (&json!("vips"), &json!(20_000)));
    let address = format!("http://{}", server.http_address());
    let path = entry["url"].as_str().unwrap().strip_prefix(&address).unwrap().to_owned();
    let packed = ("accept-encoding", "gzip, deflate, br");
    let whole = server.get(&path, &[packed]).await;
    assert_eq!((whole.status, whole.header(header::CONTENT_ENCODING)), (StatusCode::OK, ""));
    assert_eq!(whole.header(header::CONTENT_LENGTH), "20000");
    // The first 8 characters of SHA-256 in base64, as `printf vip-0 | openssl dgst -sha256 -binary | base64` has them.
    let lines = String::from_utf8(whole.body.to_vec()).unwrap();
    assert!(lines.lines().all(|line| line.len() == 9 && line.starts_with('+')));
    assert!(lines.lines().any(|line| line == "+LjvPjFhA"), "{}", &lines[..100]);

    let part = server.get(&path, &[("range", "bytes=19990-"), packed]).await;
    assert_eq!((part.status, part.header(header::CONTENT_LENGTH)), (StatusCode::PARTIAL_CONTENT, "10"));
    assert_eq!(part.header(header::CONTENT_RANGE), "bytes 19990-19999/20000");
    assert_eq!(part.body, whole.body.slice(19_990..));
    let first = server.get(&path, &[("range", "bytes=0-9")]).await;
    assert_eq!(first.body, whole.body.slice(..10));
    let beyond = server.get(&path, &[("range", "bytes=20000-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let forged = format!("{}0", &path[..path.len() - 1]);
    let forged = if forged == path { format!("{}1", &path[..path.len() - 1]) } else { forged };
    assert_eq!(server.get(&forged, &key).await.status, StatusCode::UNAUTHORIZED);

    let changed = Segment { ids: ids("vip", 1_500), ..segment };
    server.admin().update_segment(UpdateSegmentRequest { segment: Some(changed) }).await.unwrap();
    let news = server.post("/v1/get_id_lists", &key, "{}").await.json()["vips"].clone();
    assert_ne!(news["fileID"], entry["fileID"]);
    assert!(news["creationTime"].as_i64() >= entry["creationTime"].as_i64());
    assert_eq!(server.get(&path, &[]).await.status, StatusCode::NOT_FOUND);
}
