//! Whether the server serves, and how far it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use super::lease::described;
use crate::admin::Admin;
use crate::clock::Clock;
use crate::ingest::Ingest;
use crate::live::Live;

/// What the answer is made of.
#[derive(Clone)]
struct Sources {
    live: Arc<Live>,
    admin: Admin,
    ingest: Ingest,
    clock: Clock,
}

/// Answers with what is in force, how long ago the guard last judged new numbers of a launch (null where it never did), whether
/// it has stalled, so that nothing is raised while serving goes on, who acts for the guard, and what waits on the local disk
/// for the store.
pub(super) fn route(live: Arc<Live>, admin: Admin, ingest: Ingest, clock: Clock) -> MethodRouter {
    get(health).with_state(Sources { live, admin, ingest, clock })
}

async fn health(State(sources): State<Sources>) -> Json<Value> {
    let Sources { live, admin, ingest, clock } = sources;
    let guard = admin.guard_health();
    let spooled = ingest.spooled();
    Json(json!({
        "status": "serving",
        "config_revision": live.in_force().catalogue.revision,
        "guard": if guard.stalled_launches == 0 { "working" } else { "stalled" },
        "guard_age_ms": guard.age_ms,
        "stalled_launches": guard.stalled_launches,
        "lease": described(&live),
        "spool": {
            "batches": spooled.batches,
            "bytes": spooled.bytes,
            "oldest_age_ms": spooled.oldest.map(|at| clock.now().ms_since(at)),
            "refused": spooled.refused,
        },
    }))
}
