//! What SDKs log is counted, and counted once.

use portcullis::transport::grpc::wire::{CheckLaunchResponse, Metric, MetricKind};
use serde_json::{Value, json};

use crate::documents::{gate, guardrail, percentage};
use crate::driver::{Driver, Sdk};
use crate::project;
use crate::server::{Server, gate_target};

/// Visitors of each SDK.
const VISITORS: usize = 40;
/// What one purchase costs.
const PRICE: f64 = 2.5;

/// How many things a visitor buys.
fn purchases_of(visitor: usize) -> usize {
    visitor % 4
}

/// Units, and the sum of their values, over both arms of a launch.
fn counted(answer: &CheckLaunchResponse, metric: &str) -> (i64, f64) {
    let verdicts = answer.verdicts.iter().filter(|verdict| verdict.metric == metric);
    let sides =
        verdicts.flat_map(|verdict| &verdict.epochs).flat_map(|epoch| [&epoch.control, &epoch.treatment]);
    sides.flatten().fold((0, 0.0), |(n, sum), moments| (n + moments.n, sum + moments.sum))
}

#[tokio::test(flavor = "multi_thread")]
async fn exposures_and_events_of_every_sdk_are_counted_once() {
    let server = Server::start().await;
    for (key, kind) in [("purchases", MetricKind::Count), ("revenue", MetricKind::Sum)] {
        server.create_metric(Metric { kind: kind.into(), ..guardrail(key, "purchase") }).await;
    }
    server.create_gate(gate("shop", 0.0)).await;
    server.set_rollout(percentage("shop", 50.0)).await.expect("a launch");

    let (mut units, mut purchases) = (0, 0);
    for sdk in Sdk::ALL {
        let key = project::make_key(&server, sdk.key_kind()).await;
        let mut driver = Driver::ready(sdk, server.http_address(), &key);
        let users: Vec<Value> =
            (0..VISITORS).map(|visitor| json!({"userID": format!("{sdk:?}-{visitor}")})).collect();
        driver.ask(&json!({"do": "evaluate", "users": users, "gates": ["shop"], "exposures": true}));
        let purchase = json!({"name": "purchase", "value": PRICE, "metadata": {"page": "shop"}});
        let mut events = Vec::new();
        for (visitor, user) in users.iter().enumerate() {
            for _ in 0..purchases_of(visitor) {
                let mut event = purchase.clone();
                event["user"] = user.clone();
                // The same thing bought twice at once is two purchases.
                event["metadata"]["number"] = json!(events.len().to_string());
                events.push(event);
            }
        }
        units += i64::try_from(users.len()).expect("a count");
        purchases += events.len();
        driver.ask(&json!({"do": "log", "events": events}));
        driver.ask(&json!({"do": "flush"}));
        let expected = (units, purchases as f64, purchases as f64 * PRICE);
        let seen = |answer: &CheckLaunchResponse| {
            let ((units, purchases), (_, revenue)) =
                (counted(answer, "purchases"), counted(answer, "revenue"));
            (units, purchases, revenue) == expected
        };
        let what = format!("{expected:?} units, purchases and revenue are counted after {sdk:?}");
        server.check_until(&gate_target("shop"), &what, seen).await;

        // Its last words repeat nothing.
        driver.shut_down();
        let again = server.check_until(&gate_target("shop"), &what, seen).await;
        assert!(seen(&again), "{again:#?}");
    }
}
