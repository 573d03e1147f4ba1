//! One audited function for each change. People and the guard call the same ones.

mod documents;
mod edit;
mod experiments;
mod gates;
mod guarding;
mod latches;
mod queries;

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::live::Live;
use crate::store::Store;

pub use experiments::Outcome;
pub use gates::{RollbackTo, Rollout};
pub(crate) use queries::parse_id;
pub use queries::{Answer, Page, Subject};
// What queries are made of and answered with, so that callers need not know the store.
pub use crate::store::{DecisionQuery, LaunchQuery, Recorded};

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

/// Everything that changes what is configured. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Store,
    live: Arc<Live>,
    clock: Clock,
    /// One change at a time: each is made from the configuration that the one before left.
    writer: Arc<Mutex<()>>,
}

impl Admin {
    /// Functions over a store and what is in force.
    #[must_use]
    pub fn new(store: Store, live: Arc<Live>, clock: Clock) -> Self {
        Self { store, live, clock, writer: Arc::new(Mutex::new(())) }
    }
}
