//! Rows as exposures.

use tonic::Status;
use tonic::transport::Channel;

use super::mapping::Chosen;
use super::record::{Kind, Record, check_given, check_user_and_time};
use crate::transport::grpc::wire::event_service_client::EventServiceClient;
use crate::transport::grpc::wire::exposure::Served;
use crate::transport::grpc::wire::{
    EventOutcome, Exposure, LogExposuresRequest, ServedExperiment, ServedGate,
};

/// What units were served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exposures;

impl Kind for Exposures {
    type Message = Exposure;
    const NAME: &'static str = "exposures";
    const FIELDS: &'static [&'static str] = &[
        "gate",
        "pass",
        "rule_id",
        "experiment",
        "group",
        "time",
        "user_id",
        "custom_ids.",
        "country",
        "locale",
        "app_version",
        "custom.",
    ];

    fn check(&self, chosen: &Chosen) -> Result<(), String> {
        match (chosen.has("gate"), chosen.has("experiment")) {
            (true, false) => check_given(chosen, "pass")?,
            (false, true) => check_given(chosen, "group")?,
            (true, true) => {
                return Err("`gate` and `experiment` are given; a row is of one of them".to_owned());
            }
            (false, false) => {
                let message = "what was served is missing: give --set gate=KEY and --map pass=COLUMN, \
                               or --set experiment=KEY and --map group=COLUMN";
                return Err(message.to_owned());
            }
        }
        check_user_and_time(chosen)
    }

    fn message(&self, record: &Record<'_>) -> Result<Exposure, String> {
        let served = if record.chosen.has("gate") {
            let (key, pass) = (record.required("gate")?, record.flag("pass")?);
            Served::Gate(ServedGate { key, pass, rule_id: record.text("rule_id") })
        } else {
            let (key, group) = (record.required("experiment")?, record.required("group")?);
            Served::Experiment(ServedExperiment { key, group })
        };
        Ok(Exposure { user: Some(record.user()), served: Some(served), time: Some(record.time()?) })
    }

    async fn send(
        client: &mut EventServiceClient<Channel>,
        exposures: Vec<Exposure>,
    ) -> Result<Vec<(EventOutcome, String)>, Status> {
        let answer = client.log_exposures(LogExposuresRequest { exposures }).await?.into_inner();
        Ok(answer.results.into_iter().map(|result| (result.outcome(), result.message)).collect())
    }
}
