//! Configuration, launches, latches, decisions and audit. The only place with their SQL.

pub mod change;
pub mod outbox;
mod read;
mod write;

use crate::database::Relational;

pub use read::{DecisionQuery, LaunchQuery, Recorded};

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
