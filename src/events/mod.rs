//! The event store: what happened, who was exposed to what, and the moments that follow.

mod append;
mod moments;

use sqlx::SqlitePool;

pub use append::Appended;
pub use moments::Cut;

/// The store of events and exposures. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct EventStore {
    pool: SqlitePool,
}

impl EventStore {
    /// An event store in an opened database.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }
}
