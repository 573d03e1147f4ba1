//! The event store: what happened, who was exposed to what, and what is stored of each unit.
//!
//! Everything is a set: a batch goes in by one transaction, histories come out by the page. So an engine needs no more than
//! a few statements for each call, however many rows there are.

mod batch;
pub mod folding;
pub mod postgres;
pub mod spool;
pub mod sqlite;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use self::batch::ALL_EVENTS;
use crate::analysis::history::History;
use crate::database::{Database, NativePool};
use crate::domain::event::{Event, Exposure};
use crate::domain::launch::LaunchId;
use crate::domain::time::Timestamp;
use crate::error::Result;
use postgres::PostgresEvents;
use sqlite::SqliteEvents;

/// A store of events and exposures.
///
/// Each write has a number, its arrival: from 1, without gaps, in the order of commits. Rows are only ever added. So what
/// is read up to an arrival is the same whenever it is read, until retention drops it.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync {
    /// Stores events and exposures in one transaction; once it returns they are durable. Of an exposure the first is kept,
    /// and each that turns out to be earlier.
    async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes>;

    /// How many appends are worth having under way at a time; further ones would only wait for these.
    fn writes_at_once(&self) -> usize;

    /// How far the store is, and up to which event time events have come in. What it tells is durable.
    async fn reach(&self, names: &[&str]) -> Result<Reach>;

    /// The units of a launch of which something is new, each with all that is stored of it: by unit id, those after
    /// `after`, at most `limit`. Fewer than that are the last.
    async fn histories(&self, asked: &Asked, after: Option<&str>, limit: usize) -> Result<Vec<History>>;

    /// What came in of a name, by minute of arrival, from the minute of `since` on.
    async fn intake(&self, name: &str, since: Timestamp) -> Result<Vec<Intake>>;

    /// Drops events, activity and counts of the days before. It may leave some of them where dropping more at once is
    /// cheaper. Exposures stay.
    async fn drop_before(&self, at: Timestamp) -> Result<Dropped>;
}

/// The event store in an opened database, by the engine's own driver.
#[must_use]
pub fn of(database: &Database) -> Arc<dyn EventStore> {
    match database.native() {
        NativePool::Sqlite(pool) => Arc::new(SqliteEvents::new(pool.clone())),
        NativePool::Postgres(pool) => Arc::new(PostgresEvents::new(pool.clone())),
    }
}

/// What became of a batch: one result for each, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Of its events.
    pub events: Vec<Appended>,
    /// Of its exposures.
    pub exposures: Vec<Appended>,
}

/// What became of one event or exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Stored. So is each exposure of no launch.
    Stored,
    /// An event of this id, or an exposure of the unit to this arm in this epoch that is no later, was there already.
    Duplicate,
}

/// How far the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Number of the last write; 0 before the first one.
    pub arrival: i64,
    /// Event time up to which events have come in; none before the first one.
    pub watermark: Option<Timestamp>,
    /// The same for each name that was asked for and of which there are events.
    pub by_name: BTreeMap<String, Timestamp>,
}

impl Reach {
    /// Takes over a stored watermark, of all events or of one name; none where there is no row.
    fn note(&mut self, name: Option<String>, at: Option<i64>) {
        match (name, at.map(Timestamp)) {
            (Some(name), at) if name == ALL_EVENTS => self.watermark = at,
            (Some(name), Some(at)) => drop(self.by_name.insert(name, at)),
            _ => {}
        }
    }
}

/// Which histories are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Units that were exposed in this launch.
    pub launch: LaunchId,
    /// Type of its units, by its canonical name.
    pub unit_type: String,
    /// The events to read.
    pub names: Vec<Name>,
    /// Whether to read active days.
    pub days: bool,
    /// Events and days before it are not needed.
    pub since: Timestamp,
    /// Events from then on are not needed; none where all are.
    pub until: Option<Timestamp>,
    /// Only units of which something came after this arrival; 0 for all.
    pub from: i64,
    /// Nothing that came after this arrival is read.
    pub to: i64,
    /// Units exposed in one of these epochs at its time or later are read as well.
    pub also: Vec<(u32, Timestamp)>,
}

impl Asked {
    /// The time before which events are read.
    fn end(&self) -> i64 {
        self.until.map_or(i64::MAX, |until| until.0)
    }
}

/// Events of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: String,
    /// Whether to read their properties.
    pub with_properties: bool,
    /// Whether to read the users' attributes.
    pub with_attributes: bool,
}

/// What came in of a name in a minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intake {
    /// When the minute of arrival began.
    pub minute: Timestamp,
    /// Events that were stored.
    pub events: u64,
    /// Events that were there already, but for those that are late: history may be brought in more than once.
    pub duplicates: u64,
    /// Stored ones without a value.
    pub without_value: u64,
    /// Stored ones whose user has no `user_id`.
    pub without_user_id: u64,
    /// Stored ones that happened more than [`LATE_MS`] before they arrived.
    pub late: u64,
    /// Stored ones whose time is after their arrival.
    pub early: u64,
    /// The least value; none without values.
    pub least: Option<f64>,
    /// The greatest value; none without values.
    pub greatest: Option<f64>,
}

/// What retention dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Rows of events that were deleted one by one.
    pub rows: u64,
    /// Stretches of time that were dropped whole.
    pub partitions: u64,
}

/// An event that arrives later than this after its time is late, in milliseconds.
pub const LATE_MS: i64 = 3_600_000;
