//! Configuration, launches, latches, decisions and audit. The only place with their SQL.

pub mod change;
mod measures;
pub mod outbox;
mod read;
mod versions;
mod write;

use crate::database::Relational;

pub use measures::{Moved, Position};
pub use read::{DecisionQuery, LaunchQuery, Recorded};
pub use versions::MetricVersion;

/// The store of everything but events. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Store {
    database: Relational,
}

impl Store {
    /// A store in an opened database.
    #[must_use]
    pub fn new(database: Relational) -> Self {
        Self { database }
    }
}
