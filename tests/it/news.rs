//! What one server changes, others on the same PostgreSQL database serve at once, because they are told.

use std::time::{Duration, Instant};

use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::GetGateRequest;

use sqlx::Row;

use crate::documents::gate;
use crate::home::Home;
use crate::server::{Server, eventually, settings};

/// Longer than the test takes: whoever serves a change sooner was told of it.
const SELDOM: Duration = Duration::from_mins(1);
/// Ends connections that listen; the pool's own never do.
const CUT: &str = "select count(pg_terminate_backend(pid)) as cut from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and query like 'LISTEN%'";

/// Counts them.
const LISTENING: &str = "select count(*) as count from pg_stat_activity
     where datname = current_database() and query like 'LISTEN%'";

/// How long it takes until the server knows a gate.
async fn known_after(server: &Server, key: &str) -> Duration {
    let begun = Instant::now();
    eventually("the server knows the gate", async || {
        let request = GetGateRequest { key: key.to_owned() };
        server.admin().get_gate(request).await.map_err(|status| status.to_string())
    })
    .await;
    begun.elapsed()
}

async fn two_servers() -> (Server, Server) {
    let home = Home::with_postgres().await;
    let settings = ServeSettings { follow_every: SELDOM, ..settings(&home) };
    let one = Server::start_as(home, settings, Clock::system()).await;
    let other = one.beside(|settings| settings.follow_every = SELDOM).await;
    until_both_listen(&one).await;
    (one, other)
}

/// Both listen. Each asks once since it does, whenever that is; otherwise it is told, or waits for a minute.
async fn until_both_listen(server: &Server) {
    eventually("both listen", async || match server.home().rows(LISTENING).await[0].get::<i64, _>("count") {
        2 => Ok(()),
        count => Err(count.to_string()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_one_server_is_served_by_the_other_at_once() {
    let (one, other) = two_servers().await;
    let mut took = Vec::new();
    for (round, (here, there)) in [(&one, &other), (&other, &one)].repeat(5).into_iter().enumerate() {
        // At 0 %: nothing begins that the guard would write of meanwhile.
        let key = format!("gate-{round}");
        here.create_gate(gate(&key, 0.0)).await;
        took.push(known_after(there, &key).await);
    }
    took.sort();
    assert!(took[took.len() - 1] < SELDOM / 2, "{took:?}");
    other.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_connection_is_cut_listens_again_and_asks_for_what_it_missed() {
    let (one, other) = two_servers().await;
    let cut: i64 = one.home().rows(CUT).await[0].get("cut");
    assert_eq!(cut, 2);
    // Nobody listens just now.
    one.create_gate(gate("missed", 0.0)).await;
    let missed = known_after(&other, "missed").await;
    assert!(missed < SELDOM / 2, "{missed:?}");
    until_both_listen(&one).await;
    // More often than it asks.
    for round in 0..3 {
        let key = format!("told-{round}");
        one.create_gate(gate(&key, 0.0)).await;
        let told = known_after(&other, &key).await;
        assert!(told < SELDOM / 2, "{told:?}");
    }
    other.stop().await;
    one.stop().await;
}
