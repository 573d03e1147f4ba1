//! Who acts for the guard, as health and metrics tell it.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::live::Live;

/// What names the server that acts.
type Leader = Vec<(&'static str, String)>;

/// What is told of the lease to Prometheus.
#[derive(Debug, Default)]
pub(super) struct LeaseGauges {
    held: Gauge,
    fence: Gauge,
    leader: Family<Leader, Gauge>,
}

/// Whether this server acts, and who does, under which number and since when (by the database's clock, in milliseconds since
/// 1970). Null where the store has not been asked yet.
pub(super) fn described(live: &Live) -> Value {
    let leadership = live.leadership();
    let leads = leadership.leads().is_some();
    let Some(lease) = leadership.lease else {
        return Value::Null;
    };
    json!({ "leads": leads, "leader": lease.name, "fencing_number": lease.fence.0, "since_ms": lease.since.0 })
}

impl LeaseGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        let held = "Whether this server acts for the guard";
        registry.register("portcullis_lease_held", held, self.held.clone());
        let fence = "The fencing number of the server that acts for the guard";
        registry.register("portcullis_lease_fencing_number", fence, self.fence.clone());
        let leader =
            "The server that acts for the guard: since when, by the database's clock, in seconds since 1970";
        registry.register("portcullis_lease_leader_since_seconds", leader, self.leader.clone());
    }

    /// Sets them to what is now.
    pub(super) fn look(&self, live: &Live) {
        let leadership = live.leadership();
        self.held.set(i64::from(leadership.leads().is_some()));
        self.leader.clear();
        if let Some(lease) = leadership.lease {
            self.fence.set(lease.fence.0);
            self.leader.get_or_create(&vec![("leader", lease.name)]).set(lease.since.0 / 1_000);
        }
    }
}
