//! The edges: what speaks to the outside.

mod batch;
pub mod grpc;
pub mod http;

use std::sync::Arc;
use std::time::Duration;

use crate::admin::Admin;
use crate::clock::Clock;
use crate::ingest::Ingest;
use crate::live::Live;

/// When a call may be tried again that is not possible just now.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// All that the services stand on.
#[derive(Clone, Debug)]
pub struct Services {
    /// What is in force.
    pub live: Arc<Live>,
    /// Takes events and exposures.
    pub ingest: Ingest,
    /// Changes and queries.
    pub admin: Admin,
    /// Tells the time.
    pub clock: Clock,
    /// How far in the future an event may lie, in milliseconds.
    pub max_event_skew_ms: i64,
    /// How long a watcher of decisions may leave them untaken.
    pub watch_patience: Duration,
}
