//! Configuration, launches, latches, decisions and audit. The only place with their SQL.

pub mod change;
pub mod lease;
mod measures;
pub mod outbox;
mod read;
mod versions;
mod write;

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use crate::database::Relational;

pub use measures::{Moved, Position};
pub use read::{DecisionQuery, LaunchQuery, Recorded};
pub use versions::MetricVersion;

/// A statement with what is bound to it.
type Statement<'q> = Query<'q, Any, AnyArguments>;

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
