//! Administration: converts, calls the audited functions, converts back.

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::convert::{page_size, step};
use super::wire::admin_service_server::AdminService;
use super::{documents, records, wire};
use crate::admin::{Admin, Outcome, Principal, RollbackTo, Rollout};
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::Step;
use crate::domain::metric::Metric;
use crate::error::{Error, Result};

/// Metadata that names the caller.
pub(super) const PRINCIPAL: &str = "portcullis-principal";
/// The caller's name where none is given.
const ANONYMOUS: &str = "anonymous";
/// Most bytes in a caller's name.
const MAX_PRINCIPAL_BYTES: usize = 256;

/// The admin service.
#[derive(Debug)]
pub(super) struct Administration {
    pub(super) admin: Admin,
}

/// The caller's name, if one is given.
pub(super) fn named_principal(metadata: &MetadataMap) -> Result<Option<Principal>> {
    let Some(value) = metadata.get(PRINCIPAL) else {
        return Ok(None);
    };
    let name = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|name| !name.is_empty() && name.len() <= MAX_PRINCIPAL_BYTES);
    let message = || format!("must be 1 to {MAX_PRINCIPAL_BYTES} bytes of ASCII text");
    name.map(|name| Some(Principal(name.to_owned()))).ok_or_else(|| Error::field(PRINCIPAL, message()))
}

/// The caller, named or not.
pub(super) fn principal(metadata: &MetadataMap) -> Result<Principal> {
    Ok(named_principal(metadata)?.unwrap_or_else(|| Principal(ANONYMOUS.to_owned())))
}

/// The steps that a request asks for, with their path.
fn steps(rollout: Option<wire::set_rollout_request::Rollout>) -> Result<(&'static str, Vec<Step>)> {
    match rollout {
        Some(wire::set_rollout_request::Rollout::Percentage(percentage)) => {
            let fits = (0.0..=100.0).contains(&percentage);
            let message = || format!("must be a number from 0 to 100, is {percentage}");
            if fits {
                Ok(("percentage", vec![Step::at_once(percentage)]))
            } else {
                Err(Error::field("percentage", message()))
            }
        }
        Some(wire::set_rollout_request::Rollout::Ramp(ramp)) => {
            let steps = ramp.steps.iter().enumerate();
            let steps = steps.map(|(index, message)| step(&format!("ramp.steps[{index}]"), message));
            Ok(("ramp.steps", steps.collect::<Result<_>>()?))
        }
        None => Err(Error::field("rollout", "one of percentage and ramp is required")),
    }
}

fn rollback_to(value: i32) -> Result<Option<RollbackTo>> {
    match wire::RollbackTo::try_from(value) {
        Ok(wire::RollbackTo::Unspecified) => Ok(None),
        Ok(wire::RollbackTo::Zero) => Ok(Some(RollbackTo::Zero)),
        Ok(wire::RollbackTo::Previous) => Ok(Some(RollbackTo::Previous)),
        Err(_) => Err(Error::field("rollback_to", "must be ZERO or PREVIOUS")),
    }
}

/// What a call is answered with.
pub(super) type Answer<T> = std::result::Result<Response<T>, Status>;

#[tonic::async_trait]
impl AdminService for Administration {
    async fn create_gate(
        &self,
        request: Request<wire::CreateGateRequest>,
    ) -> Answer<wire::CreateGateResponse> {
        let actor = principal(request.metadata())?;
        let (gate, _) = documents::gate(request.into_inner().gate)?;
        let stored = self.admin.create_gate(&actor, gate).await?;
        Ok(Response::new(wire::CreateGateResponse { gate: Some(documents::wire_gate(&stored)) }))
    }

    async fn get_gate(&self, request: Request<wire::GetGateRequest>) -> Answer<wire::GetGateResponse> {
        let stored = self.admin.get::<Gate>(&request.into_inner().key)?;
        Ok(Response::new(wire::GetGateResponse { gate: Some(documents::wire_gate(&stored)) }))
    }

    async fn list_gates(&self, request: Request<wire::ListGatesRequest>) -> Answer<wire::ListGatesResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let page = self.admin.list::<Gate>(&request.page_token, size, request.include_archived);
        Ok(Response::new(wire::ListGatesResponse {
            gates: page.entries.iter().map(|stored| documents::wire_gate(stored)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn update_gate(
        &self,
        request: Request<wire::UpdateGateRequest>,
    ) -> Answer<wire::UpdateGateResponse> {
        let actor = principal(request.metadata())?;
        let (gate, revision) = documents::gate(request.into_inner().gate)?;
        let stored = self.admin.update_gate(&actor, gate, revision).await?;
        Ok(Response::new(wire::UpdateGateResponse { gate: Some(documents::wire_gate(&stored)) }))
    }

    async fn archive_gate(
        &self,
        request: Request<wire::ArchiveGateRequest>,
    ) -> Answer<wire::ArchiveGateResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let stored = self.admin.archive_gate(&actor, &request.key, request.revision).await?;
        Ok(Response::new(wire::ArchiveGateResponse { gate: Some(documents::wire_gate(&stored)) }))
    }

    async fn create_experiment(
        &self,
        request: Request<wire::CreateExperimentRequest>,
    ) -> Answer<wire::CreateExperimentResponse> {
        let actor = principal(request.metadata())?;
        let (experiment, _) = documents::experiment(request.into_inner().experiment)?;
        let stored = self.admin.create_experiment(&actor, experiment).await?;
        Ok(Response::new(wire::CreateExperimentResponse {
            experiment: Some(documents::wire_experiment(&stored)),
        }))
    }

    async fn get_experiment_document(
        &self,
        request: Request<wire::GetExperimentDocumentRequest>,
    ) -> Answer<wire::GetExperimentDocumentResponse> {
        let stored = self.admin.get::<Experiment>(&request.into_inner().key)?;
        Ok(Response::new(wire::GetExperimentDocumentResponse {
            experiment: Some(documents::wire_experiment(&stored)),
        }))
    }

    async fn list_experiments(
        &self,
        request: Request<wire::ListExperimentsRequest>,
    ) -> Answer<wire::ListExperimentsResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let page = self.admin.list::<Experiment>(&request.page_token, size, request.include_archived);
        Ok(Response::new(wire::ListExperimentsResponse {
            experiments: page.entries.iter().map(|stored| documents::wire_experiment(stored)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn update_experiment(
        &self,
        request: Request<wire::UpdateExperimentRequest>,
    ) -> Answer<wire::UpdateExperimentResponse> {
        let actor = principal(request.metadata())?;
        let (experiment, revision) = documents::experiment(request.into_inner().experiment)?;
        let stored = self.admin.update_experiment(&actor, experiment, revision).await?;
        Ok(Response::new(wire::UpdateExperimentResponse {
            experiment: Some(documents::wire_experiment(&stored)),
        }))
    }

    async fn archive_experiment(
        &self,
        request: Request<wire::ArchiveExperimentRequest>,
    ) -> Answer<wire::ArchiveExperimentResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let stored = self.admin.archive_experiment(&actor, &request.key, request.revision).await?;
        Ok(Response::new(wire::ArchiveExperimentResponse {
            experiment: Some(documents::wire_experiment(&stored)),
        }))
    }

    async fn create_holdout(
        &self,
        request: Request<wire::CreateHoldoutRequest>,
    ) -> Answer<wire::CreateHoldoutResponse> {
        let actor = principal(request.metadata())?;
        let (holdout, _) = documents::holdout(request.into_inner().holdout)?;
        let stored = self.admin.create_holdout(&actor, holdout).await?;
        Ok(Response::new(wire::CreateHoldoutResponse { holdout: Some(documents::wire_holdout(&stored)) }))
    }

    async fn get_holdout(
        &self,
        request: Request<wire::GetHoldoutRequest>,
    ) -> Answer<wire::GetHoldoutResponse> {
        let stored = self.admin.get::<Holdout>(&request.into_inner().key)?;
        Ok(Response::new(wire::GetHoldoutResponse { holdout: Some(documents::wire_holdout(&stored)) }))
    }

    async fn list_holdouts(
        &self,
        request: Request<wire::ListHoldoutsRequest>,
    ) -> Answer<wire::ListHoldoutsResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let page = self.admin.list::<Holdout>(&request.page_token, size, request.include_archived);
        Ok(Response::new(wire::ListHoldoutsResponse {
            holdouts: page.entries.iter().map(|stored| documents::wire_holdout(stored)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn update_holdout(
        &self,
        request: Request<wire::UpdateHoldoutRequest>,
    ) -> Answer<wire::UpdateHoldoutResponse> {
        let actor = principal(request.metadata())?;
        let (holdout, revision) = documents::holdout(request.into_inner().holdout)?;
        let stored = self.admin.update_holdout(&actor, holdout, revision).await?;
        Ok(Response::new(wire::UpdateHoldoutResponse { holdout: Some(documents::wire_holdout(&stored)) }))
    }

    async fn archive_holdout(
        &self,
        request: Request<wire::ArchiveHoldoutRequest>,
    ) -> Answer<wire::ArchiveHoldoutResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let stored = self.admin.archive_holdout(&actor, &request.key, request.revision).await?;
        Ok(Response::new(wire::ArchiveHoldoutResponse { holdout: Some(documents::wire_holdout(&stored)) }))
    }

    async fn create_metric(
        &self,
        request: Request<wire::CreateMetricRequest>,
    ) -> Answer<wire::CreateMetricResponse> {
        let actor = principal(request.metadata())?;
        let (metric, _) = documents::metric(request.into_inner().metric)?;
        let stored = self.admin.create_metric(&actor, metric).await?;
        Ok(Response::new(wire::CreateMetricResponse { metric: Some(documents::wire_metric(&stored)) }))
    }

    async fn get_metric(&self, request: Request<wire::GetMetricRequest>) -> Answer<wire::GetMetricResponse> {
        let stored = self.admin.get::<Metric>(&request.into_inner().key)?;
        Ok(Response::new(wire::GetMetricResponse { metric: Some(documents::wire_metric(&stored)) }))
    }

    async fn list_metrics(
        &self,
        request: Request<wire::ListMetricsRequest>,
    ) -> Answer<wire::ListMetricsResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let page = self.admin.list::<Metric>(&request.page_token, size, request.include_archived);
        Ok(Response::new(wire::ListMetricsResponse {
            metrics: page.entries.iter().map(|stored| documents::wire_metric(stored)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn update_metric(
        &self,
        request: Request<wire::UpdateMetricRequest>,
    ) -> Answer<wire::UpdateMetricResponse> {
        let actor = principal(request.metadata())?;
        let (metric, revision) = documents::metric(request.into_inner().metric)?;
        let stored = self.admin.update_metric(&actor, metric, revision).await?;
        Ok(Response::new(wire::UpdateMetricResponse { metric: Some(documents::wire_metric(&stored)) }))
    }

    async fn archive_metric(
        &self,
        request: Request<wire::ArchiveMetricRequest>,
    ) -> Answer<wire::ArchiveMetricResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let stored = self.admin.archive_metric(&actor, &request.key, request.revision).await?;
        Ok(Response::new(wire::ArchiveMetricResponse { metric: Some(documents::wire_metric(&stored)) }))
    }

    async fn set_rollout(
        &self,
        request: Request<wire::SetRolloutRequest>,
    ) -> Answer<wire::SetRolloutResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let (field, steps) = steps(request.rollout)?;
        let rollout = Rollout {
            gate: request.gate,
            rule: request.rule_id,
            field,
            steps,
            rollback_to: rollback_to(request.rollback_to)?,
            revision: Some(request.revision).filter(|revision| *revision != 0),
        };
        let (gate, launch) = self.admin.set_rollout(&actor, rollout).await?;
        Ok(Response::new(wire::SetRolloutResponse {
            gate: Some(documents::wire_gate(&gate)),
            launch: launch.as_ref().map(records::launch),
        }))
    }

    async fn start_experiment(
        &self,
        request: Request<wire::StartExperimentRequest>,
    ) -> Answer<wire::StartExperimentResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let (stored, launch) = self.admin.start_experiment(&actor, &request.key, request.revision).await?;
        Ok(Response::new(wire::StartExperimentResponse {
            experiment: Some(documents::wire_experiment(&stored)),
            launch: launch.as_ref().map(records::launch),
        }))
    }

    async fn decide_experiment(
        &self,
        request: Request<wire::DecideExperimentRequest>,
    ) -> Answer<wire::DecideExperimentResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let outcome = match request.decision {
            Some(wire::decide_experiment_request::Decision::ShipGroup(group)) => Outcome::Ship(group),
            Some(wire::decide_experiment_request::Decision::Abandon(true)) => Outcome::Abandon,
            Some(wire::decide_experiment_request::Decision::Abandon(false)) | None => {
                return Err(
                    Error::field("decision", "one of ship_group and abandon: true is required").into()
                );
            }
        };
        let stored = self.admin.decide_experiment(&actor, &request.key, request.revision, outcome).await?;
        let experiment = Some(documents::wire_experiment(&stored));
        Ok(Response::new(wire::DecideExperimentResponse { experiment }))
    }
}
