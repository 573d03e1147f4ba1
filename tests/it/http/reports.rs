//! What SDKs report: events and exposures, in every packing, counted once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis::transport::grpc::wire::{CheckGateRequest, SdkKeyKind};
use serde_json::{Value, json};
use sqlx::Row;

use super::gzip;
use crate::documents::{button_color_v3, gate, ramp, step};
use crate::server::{Server, TestClock, eventually};
use crate::visitors::{check_gate, groups, ids, user};

fn custom(user: &str, name: &str, time: i64) -> Value {
    json!({ "eventName": name, "user": { "userID": user }, "value": null, "metadata": {}, "time": time })
}

fn gate_exposure(user: &str, gate: &str, rule: &str, passed: bool, time: i64) -> Value {
    json!({
        "eventName": "statsig::gate_exposure", "user": { "userID": user }, "time": time,
        "metadata": { "gate": gate, "gateValue": passed.to_string(), "ruleID": rule },
    })
}

fn batch(events: &[Value]) -> String {
    json!({ "events": events, "statsigMetadata": { "sessionID": "session-1", "sdkType": "py-server" } })
        .to_string()
}

impl Server {
    async fn report(&self, secret: &str, events: &[Value]) -> Value {
        let answer = self.post("/v1/log_event", &[("statsig-api-key", secret)], batch(events)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
        assert_eq!(answer.json()["success"], true);
        answer.json()
    }

    /// How many units each arm of each epoch has: epoch, arm, reverted.
    async fn arms(&self) -> BTreeMap<(i64, String, bool), i64> {
        let query = "select epoch, arm, case when reverted then 1 else 0 end as taken_back,
                            count(distinct unit_id) as units
                     from exposure group by epoch, arm, reverted";
        let rows = self.rows(query).await;
        rows.iter()
            .map(|row| {
                let reverted = row.get::<i64, _>("taken_back") != 0;
                ((row.get("epoch"), row.get("arm"), reverted), row.get("units"))
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_taken_in_every_packing() {
    let server = Server::start_with(&TestClock::new()).await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    let key = ("statsig-api-key", secret.as_str());
    let body = |name: &str| batch(&[custom("visitor", name, 1_772_452_000_000)]).into_bytes();
    let mut brotli = Vec::new();
    brotli::BrotliCompress(
        &mut body("br").as_slice(),
        &mut brotli,
        &brotli::enc::BrotliEncoderParams::default(),
    )
    .unwrap();
    let packed = [
        ("identity", body("identity")),
        ("gzip", gzip(&body("gzip"))),
        ("br", brotli),
        ("zstd", zstd::encode_all(body("zstd").as_slice(), 1).unwrap()),
    ];
    for (encoding, body) in packed {
        let answer = server.post("/v1/log_event", &[key, ("content-encoding", encoding)], body).await;
        assert_eq!(
            (answer.status, answer.json()["success"].clone()),
            (StatusCode::ACCEPTED, json!(true)),
            "{encoding}"
        );
    }
    let names: Vec<String> = server
        .rows("select name from event order by arrival, n")
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(names, ["identity", "gzip", "br", "zstd"]);

    let refused = async |encoding: &'static str, body: Vec<u8>| {
        server.post("/v1/log_event", &[key, ("content-encoding", encoding)], body).await.status
    };
    assert_eq!(refused("compress", body("x")).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(refused("gzip", body("not packed")).await, StatusCode::BAD_REQUEST);
    assert_eq!(refused("identity", b"{\"events\": 1}".to_vec()).await, StatusCode::BAD_REQUEST);
    // Small on the way, and more than can be taken once unpacked.
    let bomb = vec![b' '; 64 * 1024 * 1024];
    assert_eq!(refused("gzip", gzip(&bomb)).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        refused("zstd", zstd::encode_all(bomb.as_slice(), 1).unwrap()).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_sent_again_counts_once_even_after_a_restart() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    let now = clock.now_ms();
    let bought = json!({
        "eventName": "bought", "value": 9.5, "time": now - 1,
        "metadata": { "item": "shoe", "size": 42, "gift": null },
        "user": { "userID": "ada", "customIDs": { "companyID": "acme" }, "email": "ada@example.com",
                  "privateAttributes": { "income": "private-income" } },
    });
    let text = json!({ "eventName": "read", "value": "chapter 1", "time": now, "user": { "userID": "ada" } });
    let internal = ["statsig::diagnostics", "statsig::non_exposed_checks", "statsig::log_line"];
    let internal =
        internal.map(|name| json!({ "eventName": name, "user": null, "metadata": { "checks": "{}" } }));
    let wrong = [
        json!({ "user": { "userID": "ada" } }),
        custom("", "nobody", now),
        custom("ada", &"x".repeat(300), now),
        custom("ada", "tomorrow", now + 86_400_000),
        gate_exposure("ada", "gate", "everyone", true, now + 86_400_000),
        json!("no event at all"),
    ];
    let events = [&[bought, text][..], &internal, &wrong].concat();
    let answer = server.report(&secret, &events).await;
    assert_eq!(
        (&answer["events"], &answer["internal"], &answer["refused"]),
        (&json!(2), &json!(3), &json!(6))
    );
    assert_eq!(server.report(&secret, &events).await["duplicates"], 2);
    let server = Server::start_in(server.stop().await, clock.clock()).await;
    server.report(&secret, &events).await;
    // Another time is another event.
    server.report(&secret, &[custom("ada", "read", now - 5)]).await;

    let of_users =
        "select name, at, value, properties from event where unit_type = 'user_id' order by arrival, n";
    let rows = server.rows(of_users).await;
    let rows: Vec<(String, i64, Option<f64>, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let expected = [
        ("bought", now - 1, Some(9.5), r#"{"item":"shoe","size":"42"}"#),
        ("read", now, None, r#"{"value":"chapter 1"}"#),
        ("read", now - 5, None, "{}"),
    ];
    assert_eq!(
        rows,
        expected.map(|(name, at, value, properties)| (name.to_owned(), at, value, properties.to_owned()))
    );
    let units =
        server.rows("select unit_type, unit_id from event where name = 'bought' order by unit_type").await;
    let units: Vec<(String, String)> = units.iter().map(|row| (row.get(0), row.get(1))).collect();
    let unit = |unit_type: &str, id: &str| (unit_type.to_owned(), id.to_owned());
    assert_eq!(units, [unit("companyid", "acme"), unit("user_id", "ada")]);
    let home = server.stop().await;
    let stored = home.stored().await;
    for private in [&b"private-income"[..], b"ada@example.com"] {
        assert!(!stored.windows(private.len()).any(|window| window == private), "more than ids was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sdks_served_is_recorded_as_what_is_served_here() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    server.create_gate(gate("gate", 40.0)).await;
    server.run_experiment(button_color_v3()).await;
    let visitors = ids("visitor", 200);
    let passes = check_gate(&server, "gate", &visitors).await;
    let groups = groups(&server, "button_color_v3", &visitors).await;
    let before = eventually("all exposures are stored", async || {
        let arms = server.arms().await;
        if arms.values().sum::<i64>() == 400 { Ok(arms) } else { Err(format!("{arms:?}")) }
    })
    .await;
    let now = clock.now_ms();
    let exposures: Vec<Value> = visitors
        .iter()
        .flat_map(|visitor| {
            let group = &groups[visitor];
            let experiment = json!({
                "eventName": "statsig::config_exposure", "user": { "userID": visitor }, "time": now,
                "metadata": { "config": "button_color_v3", "ruleID": group, "rulePassed": "true" },
                // As often as SDKs like; a gate that another one asks is seen as well.
                "secondaryExposures": [
                    { "gate": "gate", "gateValue": passes[visitor].to_string(), "ruleID": "everyone" },
                    { "gate": "gate", "gateValue": passes[visitor].to_string(), "ruleID": "everyone" },
                    { "gate": "unknown", "gateValue": "true", "ruleID": "" },
                ],
            });
            [gate_exposure(visitor, "gate", "everyone", passes[visitor], now), experiment]
        })
        .collect();
    let answer = server.report(&secret, &exposures).await;
    assert_eq!((&answer["stale"], &answer["exposures"]), (&json!(0), &json!(800)));
    assert_eq!(server.arms().await, before, "the same arms, and none besides");

    // An earlier exposure than what is known makes the known one earlier.
    let first = "select min(at) from exposure where unit_id = 'visitor-0' group by epoch, arm";
    clock.advance(Duration::from_mins(1));
    let layer = json!({
        "eventName": "statsig::layer_exposure", "user": { "userID": "newcomer" }, "time": clock.now_ms(),
        "metadata": { "config": "some_layer", "ruleID": "Red", "parameterName": "Button Color",
                      "isExplicitParameter": "true", "allocatedExperiment": "button_color_v3" },
    });
    let mut earlier = layer.clone();
    earlier["time"] = json!(now + 5);
    server.report(&secret, &[layer]).await;
    server.report(&secret, &[earlier]).await;
    let rows =
        server.rows("select arm, min(at) from exposure where unit_id = 'newcomer' group by epoch, arm").await;
    let rows: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [("Red".to_owned(), now + 5)]);
    assert!(server.rows(first).await.iter().all(|row| row.get::<i64, _>(0) == now));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_with_older_rules_reports_for_the_epoch_that_they_were_of() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    let secret = server.new_key(SdkKeyKind::Server).await;
    server.create_gate(gate("gate", 0.0)).await;
    let minute = Duration::from_mins(1);
    server.set_rollout(ramp("gate", vec![step(20.0, 60_000, 0), step(60.0, 0, 0)])).await.unwrap();
    let visitors = ids("visitor", 300);
    let (begun, before) = (clock.now_ms(), asked(&server, &visitors).await);
    let old_rules = server.get(&format!("/v1/download_config_specs/{secret}.json"), &[]).await.json();
    clock.advance(minute);
    eventually("the step is taken", async || {
        if asked(&server, &visitors).await == before { Err("the same".to_owned()) } else { Ok(()) }
    })
    .await;
    let after = asked(&server, &visitors).await;
    clock.advance(minute);
    let of = |passed: [bool; 2]| -> Vec<&String> {
        visitors.iter().filter(|one| [before[*one], after[*one]] == passed).collect()
    };
    let now = clock.now_ms();
    let reported = |passed: [bool; 2], said: bool, at: i64| -> Vec<Value> {
        of(passed).iter().map(|one| gate_exposure(one, "gate", "everyone", said, at)).collect()
    };
    let (both, raised, neither) = ([true, true], [false, true], [false, false]);
    let counts = [both, raised, neither].map(|passed| i64::try_from(of(passed).len()).unwrap());
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    let [both_count, raised_count, neither_count] = counts;

    // What fits the rules in force, and what was served before the step was taken.
    server.report(&secret, &[reported(both, true, now), reported(neither, false, now)].concat()).await;
    server.report(&secret, &reported(raised, false, now)).await;
    let entry = |epoch: i64, arm: &str, units: i64| ((epoch, arm.to_owned(), false), units);
    let late = BTreeMap::from([
        entry(1, "control", raised_count),
        entry(2, "treatment", both_count),
        entry(2, "control", neither_count),
    ]);
    assert_eq!(server.arms().await, late);
    // What no epoch served is in no arm.
    let answer = server.report(&secret, &reported(neither, true, now)).await;
    assert_eq!(answer["stale"], neither_count);
    assert_eq!(server.arms().await, late);
    // What was served in time counts for its time, and not for a time before the launch.
    server.report(&secret, &reported(both, true, begun)).await;
    let answer = server.report(&secret, &reported(raised, false, begun - 1)).await;
    assert_eq!(answer["stale"], raised_count);
    let mut in_time = late;
    in_time.extend([entry(1, "treatment", both_count)]);
    assert_eq!(server.arms().await, in_time);
    // What is served alike by both rules goes by those that the SDK had, so that the arms stay in proportion.
    let mut from_old_rules = reported(neither, false, now);
    for event in &mut from_old_rules {
        event["metadata"]["lcut"] = json!(old_rules["time"].to_string());
    }
    server.report(&secret, &from_old_rules).await;
    in_time.extend([entry(1, "control", raised_count + neither_count)]);
    assert_eq!(server.arms().await, in_time);
}

/// What the gate says, without being seen.
async fn asked(server: &Server, visitors: &[String]) -> BTreeMap<String, bool> {
    let mut passes = BTreeMap::new();
    for visitor in visitors {
        let (user, gate) = (Some(user(visitor)), "gate".to_owned());
        let request = CheckGateRequest { user, gate, disable_exposure: true };
        let answer = server.evaluation().check_gate(request).await.expect("an answer of the gate");
        passes.insert(visitor.clone(), answer.into_inner().pass);
    }
    passes
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_report_with_names_hashed_and_bodies_wrapped() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    let secret = server.new_key(SdkKeyKind::Client).await;
    server.create_gate(gate("gate", 100.0)).await;
    let preflight = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,statsig-event-count"),
    ];
    for path in ["/v1/rgstr", "/v1/initialize", "/v1/log_event"] {
        let answer = server.http(Method::OPTIONS, path, &preflight, Vec::new()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        assert!(answer.header(header::ACCESS_CONTROL_ALLOW_METHODS).contains("POST"));
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS), "content-type,statsig-event-count");
    }
    let now = clock.now_ms();
    let body = |name: &str| {
        let metadata = json!({ "sessionID": "session-2", "stableID": "device-1" });
        let event = json!({ "eventName": name, "user": {}, "time": now, "metadata": null, "value": null });
        json!({ "events": [event], "statsigMetadata": metadata }).to_string().into_bytes()
    };
    let reversed = |body: &[u8]| STANDARD.encode(body).into_bytes().into_iter().rev().collect::<Vec<u8>>();
    let wrapped = [
        ("", body("plain")),
        ("&se=1", reversed(&body("reversed"))),
        ("&gz=1", gzip(&body("packed"))),
        ("&gz=1&se=1", reversed(&gzip(&body("both")))),
    ];
    for (flags, body) in wrapped {
        let path = format!("/v1/rgstr?k={secret}&st=javascript-client&ec=1{flags}");
        let answer = server.post(&path, &[("origin", "https://shop.example")], body).await;
        assert_eq!(
            (answer.status, answer.json()["events"].clone()),
            (StatusCode::ACCEPTED, json!(1)),
            "{flags}"
        );
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    }
    let rows = server.rows("select name, unit_type, unit_id from event order by arrival, n").await;
    let rows: Vec<(String, String, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let device = |name: &str| (name.to_owned(), "stableid".to_owned(), "device-1".to_owned());
    assert_eq!(rows, ["plain", "reversed", "packed", "both"].map(device));
    for flags in ["&se=1", "&gz=1"] {
        let answer = server.post(&format!("/v1/rgstr?k={secret}{flags}"), &[], "{ not wrapped }").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{flags}");
    }
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    let answer = server.post(&format!("/v1/rgstr?k={secret}&gz=1"), &[], bomb).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reports_more_than_can_be_stored_is_told_to_come_again() {
    let server = Server::start_narrow().await;
    let secret = Arc::new(server.new_key(SdkKeyKind::Server).await);
    let server = Arc::new(server);
    let mut writer = server.home().writer().await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (server, secret) = (Arc::clone(&server), Arc::clone(&secret));
        calls.spawn(async move {
            let body = batch(&[custom("visitor", "pressed", 1_000 + number)]);
            (number, server.post("/v1/log_event", &[("statsig-api-key", secret.as_str())], body).await.status)
        });
    }
    // What is refused is answered at once, and what waits is answered when the store goes on.
    let mut refused = Vec::new();
    while refused.len() < 20 {
        let (number, status) = calls.join_next().await.unwrap().unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        refused.push(number);
    }
    sqlx::raw_sql("rollback").execute(&mut writer).await.unwrap();
    let taken = calls.join_all().await;
    assert!(taken.iter().any(|(_, status)| *status == StatusCode::ACCEPTED), "{taken:?}");
    let again: Vec<Value> =
        refused.iter().map(|number| custom("visitor", "pressed", 1_000 + number)).collect();
    server.report(&secret, &again).await;
    for (number, status) in taken {
        if status == StatusCode::SERVICE_UNAVAILABLE {
            server.report(&secret, &[custom("visitor", "pressed", 1_000 + number)]).await;
        }
    }
    let stored: i64 = server.rows("select count(*) from event").await[0].get(0);
    assert_eq!(stored, 40);
}
