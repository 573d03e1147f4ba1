//! Laws of event stores: what holds on every engine.

mod histories;
mod retention;
mod server;
mod writes;

use std::collections::BTreeMap;

use tempfile::TempDir;
use uuid::Uuid;

use super::postgres::PostgresEvents;
use super::sqlite::SqliteEvents;
use super::{Appended, Asked, EventStore, Name, Outcomes};
use crate::analysis::history::History;
use crate::database::{Database, DatabaseUrl, NativePool};
use crate::domain::event::{Assignment, Event, Exposure};
use crate::domain::launch::LaunchId;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::User;
use server::TestDatabase;

/// When events arrive, unless it is said otherwise: a noon in March.
const NOW: Timestamp = Timestamp(1_772_452_800_000);

/// Runs a law on each engine, with a store of its own.
async fn on_every_engine(law: impl AsyncFn(&dyn EventStore)) {
    let folder = TempDir::new().expect("a folder");
    let database = Database::open(&DatabaseUrl::sqlite(&folder.path().join("events.db"))).await;
    let database = database.expect("a database");
    let NativePool::Sqlite(pool) = database.native() else {
        panic!("a file is no server");
    };
    law(&SqliteEvents::new(pool.clone())).await;
    database.close().await;

    let database = TestDatabase::make().await;
    law(&PostgresEvents::new(database.pool.clone())).await;
    database.remove().await;
}

fn launch() -> LaunchId {
    LaunchId(Uuid::from_u128(7))
}

/// What a user did, `ms` after [`NOW`].
fn event(id: &str, user_id: &str, name: &str, ms: i64) -> Event {
    Event {
        id: id.to_owned(),
        name: name.to_owned(),
        user: User { user_id: user_id.to_owned(), ..User::default() },
        at: NOW.plus_ms(ms),
        received_at: NOW,
        value: None,
        properties: BTreeMap::new(),
    }
}

/// A user served an arm, `ms` after [`NOW`].
fn exposure(user_id: &str, epoch: u32, arm: &str, ms: i64) -> Exposure {
    let assignment =
        Assignment { launch: launch(), epoch, arm: arm.to_owned(), settled: false, reverted: false };
    Exposure {
        unit_type: "user_id".to_owned(),
        unit_id: user_id.to_owned(),
        at: NOW.plus_ms(ms),
        assignment: Some(assignment),
        attributes: BTreeMap::new(),
    }
}

async fn append(store: &dyn EventStore, events: &[Event], exposures: &[Exposure]) -> Outcomes {
    let events: Vec<&Event> = events.iter().collect();
    let exposures: Vec<&Exposure> = exposures.iter().collect();
    store.append(&events, &exposures).await.expect("stored")
}

async fn arrival(store: &dyn EventStore) -> i64 {
    store.reach(&[]).await.expect("an answer").arrival
}

/// Everything of the launch's units, and events of these names without their properties.
fn all(names: &[&str], to: i64) -> Asked {
    let name =
        |name: &&str| Name { name: (*name).to_owned(), with_properties: false, with_attributes: false };
    Asked {
        launch: launch(),
        unit_type: "user_id".to_owned(),
        names: names.iter().map(name).collect(),
        days: true,
        since: Timestamp(0),
        until: None,
        from: 0,
        to,
        also: Vec::new(),
    }
}

/// Reads all pages of two units each.
async fn read(store: &dyn EventStore, asked: &Asked) -> Vec<History> {
    let mut read: Vec<History> = Vec::new();
    loop {
        let after = read.last().map(|history| history.unit_id.clone());
        let page = store.histories(asked, after.as_deref(), 2).await.expect("histories");
        let last = page.len() < 2;
        read.extend(page);
        if last {
            return read;
        }
    }
}

fn units(histories: &[History]) -> Vec<&str> {
    histories.iter().map(|history| history.unit_id.as_str()).collect()
}
