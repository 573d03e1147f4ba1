//! Whole configurations: read, planned and applied through the audited function.

use tonic::{Request, Response, Status};

use super::administration::principal;
use super::convert::count;
use super::wire::configuration_service_server::ConfigurationService;
use super::{records, wire};
use crate::admin::{Admin, PlannedChange, Wanted};
use crate::domain::configuration::{Action, Configuration, located};
use crate::domain::policy::Policy;
use crate::error::{Error, Result};

/// The configuration service.
#[derive(Debug)]
pub(super) struct Configuring {
    pub(super) admin: Admin,
}

#[tonic::async_trait]
impl ConfigurationService for Configuring {
    async fn export_configuration(
        &self,
        _: Request<wire::ExportConfigurationRequest>,
    ) -> std::result::Result<Response<wire::ExportConfigurationResponse>, Status> {
        let (configuration, revision) = self.admin.export_configuration();
        let yaml = configuration.to_yaml().map_err(Error::internal)?;
        Ok(Response::new(wire::ExportConfigurationResponse { yaml, revision }))
    }

    async fn plan_configuration(
        &self,
        request: Request<wire::PlanConfigurationRequest>,
    ) -> std::result::Result<Response<wire::PlanConfigurationResponse>, Status> {
        let actor = principal(request.metadata())?;
        let wire::PlanConfigurationRequest { yaml, prune } = request.into_inner();
        let planned = self.admin.plan_configuration(&actor, &wanted(&yaml, prune)?).await;
        let plan = planned.map_err(|error| with_lines(&yaml, error))?;
        Ok(Response::new(wire::PlanConfigurationResponse {
            revision: plan.revision,
            changes: plan.changes.iter().map(wire_change).collect(),
            unchanged_count: count(plan.unchanged as u64),
        }))
    }

    async fn apply_configuration(
        &self,
        request: Request<wire::ApplyConfigurationRequest>,
    ) -> std::result::Result<Response<wire::ApplyConfigurationResponse>, Status> {
        let actor = principal(request.metadata())?;
        let wire::ApplyConfigurationRequest { yaml, prune, revision } = request.into_inner();
        let applied = self.admin.apply_configuration(&actor, &wanted(&yaml, prune)?, revision).await;
        let plan = applied.map_err(|error| with_lines(&yaml, error))?;
        Ok(Response::new(wire::ApplyConfigurationResponse {
            revision: plan.revision,
            changes: plan.changes.iter().map(wire_change).collect(),
        }))
    }

    async fn replay_policy(
        &self,
        request: Request<wire::ReplayPolicyRequest>,
    ) -> std::result::Result<Response<wire::ReplayPolicyResponse>, Status> {
        let policy = only_policy(&request.into_inner().yaml)?;
        let launches = self.admin.replay_policy(&policy).await?;
        let launches: Vec<_> = launches.iter().map(records::replayed).collect();
        let look_count = launches.iter().map(|launch| launch.decision_count).sum();
        Ok(Response::new(wire::ReplayPolicyResponse { launches, look_count }))
    }
}

/// The policy of a text that has one.
fn only_policy(yaml: &str) -> Result<Policy> {
    let mut policies = Configuration::from_yaml(yaml)?.policies;
    match (policies.pop(), policies.is_empty()) {
        (Some(policy), true) => Ok(policy),
        _ => Err(Error::field("policies", "must be one policy")),
    }
}

fn wanted(yaml: &str, prune: bool) -> Result<Wanted> {
    Ok(Wanted { configuration: Configuration::from_yaml(yaml)?, prune })
}

/// The same error with the lines of the text that it is about.
fn with_lines(yaml: &str, error: Error) -> Error {
    match error {
        Error::Invalid(invalid) => Error::Invalid(located(yaml, invalid)),
        error => error,
    }
}

fn wire_change(change: &PlannedChange) -> wire::ConfigurationChange {
    let action = match change.difference.action {
        Action::Create => wire::ConfigurationAction::Create,
        Action::Change => wire::ConfigurationAction::Change,
        Action::Archive => wire::ConfigurationAction::Archive,
    };
    wire::ConfigurationChange {
        kind: change.difference.kind.to_owned(),
        key: change.difference.key.clone(),
        action: action.into(),
        difference: change.difference.lines.clone(),
        effects: change.effects.clone(),
        refusal: change.refusal.clone().unwrap_or_default(),
    }
}
