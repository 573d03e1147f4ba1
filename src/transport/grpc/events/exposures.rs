//! Exposures from elsewhere: what callers say that units were served.

use super::Events;
use crate::domain::event::Exposure;
use crate::domain::time::Timestamp;
use crate::domain::violation::Invalid;
use crate::engine::assign::{Told, assign};
use crate::error::{Error, Result};
use crate::live::InForce;
use crate::transport::batch::{self, Outcome};
use crate::transport::grpc::convert;
use crate::transport::grpc::wire::{self, exposure::Served};

impl Events {
    /// Stores a batch; one outcome for each exposure, in order.
    pub(super) async fn log_served(&self, exposures: Vec<wire::Exposure>) -> Result<Vec<Outcome>> {
        batch::check_count("exposures", exposures.len())?;
        let (in_force, now) = (self.live.in_force(), self.clock.now());
        let exposures = exposures.into_iter().map(|message| self.exposure(&in_force, message, now)).collect();
        batch::log_exposures(&self.ingest, exposures).await
    }

    fn exposure(&self, in_force: &InForce, message: wire::Exposure, now: Timestamp) -> Result<Exposure> {
        let user = convert::user("user", message.user)?;
        let at = message.time.map(|time| convert::timestamp("time", &time)).transpose()?.unwrap_or(now);
        let (skew, most) = (at.ms_since(now), self.max_event_skew_ms);
        if skew > most {
            return Err(Error::field(
                "time",
                format!("must be at most {most} ms in the future, is {skew} ms"),
            ));
        }
        let served = convert::required("served", message.served)?;
        let told = match &served {
            Served::Gate(gate) => Told::Gate { key: &gate.key, rule_id: &gate.rule_id, passed: gate.pass },
            Served::Experiment(group) => Told::Experiment { key: &group.key, group: &group.group },
        };
        let exposed = assign(&in_force.snapshot, &in_force.catalogue.launches, told, at, &user)?;
        let record = exposed.record(&user);
        record.ok_or_else(|| Invalid::field("user", "has no id of the launch's unit type").into())
    }
}
