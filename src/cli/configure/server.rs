//! What is asked of the server about configurations.

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Wanted;
use crate::cli::server::Connection;
use crate::transport::grpc::wire;

/// Why a configuration was not applied.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is at another revision than the plan.
    Moved,
    /// Something else, in words for people.
    Other(String),
}

impl Connection {
    pub(super) async fn export(&self) -> Result<String, String> {
        let request = self.request(wire::ExportConfigurationRequest {});
        let answer = self.configuration().export_configuration(request).await;
        answer.map(|answer| answer.into_inner().yaml).map_err(|status| failure("the server", &status))
    }

    pub(super) async fn plan(&self, wanted: Wanted<'_>) -> Result<wire::PlanConfigurationResponse, String> {
        let Wanted { yaml, name, prune } = wanted;
        let request = self.request(wire::PlanConfigurationRequest { yaml: yaml.to_owned(), prune });
        let answer = self.configuration().plan_configuration(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(name, &status))
    }

    pub(super) async fn replay_policy(
        &self,
        yaml: &str,
        name: &str,
    ) -> Result<wire::ReplayPolicyResponse, String> {
        let request = self.request(wire::ReplayPolicyRequest { yaml: yaml.to_owned() });
        let answer = self.configuration().replay_policy(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(name, &status))
    }

    pub(super) async fn apply(
        &self,
        wanted: Wanted<'_>,
        revision: i64,
    ) -> Result<wire::ApplyConfigurationResponse, Refusal> {
        let Wanted { yaml, name, prune } = wanted;
        let message = wire::ApplyConfigurationRequest { yaml: yaml.to_owned(), prune, revision };
        let answer = self.configuration().apply_configuration(self.request(message)).await;
        answer.map(tonic::Response::into_inner).map_err(|status| match status.code() {
            Code::Aborted => Refusal::Moved,
            _ => Refusal::Other(failure(name, &status)),
        })
    }
}

/// What went wrong with a text, one field a line.
fn failure(name: &str, status: &Status) -> String {
    let violations = status.get_error_details().bad_request().map(|bad| bad.field_violations.clone());
    match violations.filter(|violations| !violations.is_empty()) {
        Some(violations) => {
            let lines: Vec<String> = violations
                .iter()
                .map(|each| format!("{name}: {}: {}", each.field, each.description))
                .collect();
            lines.join("\n")
        }
        None => format!("{name}: {}", status.message()),
    }
}
