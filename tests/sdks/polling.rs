//! SDKs get an edit by themselves, and go on with what they have while the server is away.

use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::SdkKeyKind;
use serde_json::{Value, json};

use crate::documents::{gate, percentage};
use crate::driver::{Driver, Sdk};
use crate::project;
use crate::server::{Server, settings};

/// How often an SDK asks for changes at most, and how late it may be on a busy machine.
fn next_poll(sdk: Sdk) -> Duration {
    let interval = if matches!(sdk, Sdk::NodeLegacy) { 5 } else { 1 };
    Duration::from_secs(interval + 2)
}

/// What a driver says of a gate for a user.
fn value_of(driver: &mut Driver, gate: &str, user: &Value) -> Value {
    let answer = driver.ask(&json!({"do": "evaluate", "users": [user], "gates": [gate]}));
    answer["answers"][0]["gates"][gate]["value"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sdks_take_an_edit_at_their_next_poll_and_keep_the_last_one_through_a_restart() {
    let server = Server::start().await;
    let key = project::make_key(&server, SdkKeyKind::Server).await;
    server.create_gate(gate("switch", 0.0)).await;
    let user = json!({"userID": "ada"});
    let mut drivers = Sdk::SERVER_SIDE.map(|sdk| (sdk, Driver::ready(sdk, server.http_address(), &key)));
    for (sdk, driver) in &mut drivers {
        assert_eq!(value_of(driver, "switch", &user), false, "{sdk:?} before the edit");
    }

    server.set_rollout(percentage("switch", 100.0)).await.unwrap();
    for (sdk, driver) in &mut drivers {
        driver.wait_for("switch", &user, true, next_poll(*sdk));
    }

    let address = server.http_address();
    let home = server.stop().await;
    // Long enough for every SDK to ask in vain.
    tokio::time::sleep(next_poll(Sdk::NodeLegacy)).await;
    for (sdk, driver) in &mut drivers {
        assert_eq!(value_of(driver, "switch", &user), true, "{sdk:?} while the server is away");
    }

    let settings = ServeSettings { http_listen: address, ..settings(&home) };
    let server = Server::start_as(home, settings, Clock::system()).await;
    for (sdk, driver) in &mut drivers {
        assert_eq!(value_of(driver, "switch", &user), true, "{sdk:?} after the restart");
    }
    server.set_rollout(percentage("switch", 0.0)).await.unwrap();
    for (sdk, driver) in &mut drivers {
        driver.wait_for("switch", &user, false, next_poll(*sdk));
    }
    for (_, driver) in drivers {
        driver.shut_down();
    }
}
