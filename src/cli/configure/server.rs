//! The server that a command speaks to.

use clap::Args;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::Wanted;
use crate::transport::grpc::wire::configuration_service_client::ConfigurationServiceClient;
use crate::transport::grpc::{MAX_CONFIGURATION_BYTES, PRINCIPAL, wire};

/// Which server.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Address {
    /// Address of the server's gRPC port.
    #[arg(long, env = "PORTCULLIS_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(in crate::cli) server: String,
}

/// Which server, and in whose name.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArgs {
    #[command(flatten)]
    address: Address,
    /// The name that changes are recorded under.
    #[arg(long, env = "PORTCULLIS_PRINCIPAL", value_name = "NAME")]
    principal: Option<String>,
}

/// A connection to the server.
#[derive(Debug)]
pub(super) struct Connection {
    client: ConfigurationServiceClient<Channel>,
    principal: Option<AsciiMetadataValue>,
}

/// Why a configuration was not applied.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is at another revision than the plan.
    Moved,
    /// Something else, in words for people.
    Other(String),
}

/// Runs what waits for a server.
pub(in crate::cli) fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(work)
}

impl Address {
    /// A channel to the server, once it answers.
    pub(in crate::cli) async fn channel(&self) -> Result<Channel, String> {
        let unusable = |error: &dyn std::fmt::Display| format!("--server {}: {error}", self.server);
        let endpoint = Endpoint::from_shared(self.server.clone()).map_err(|error| unusable(&error))?;
        endpoint
            .connect()
            .await
            .map_err(|_| unusable(&"no server answers there; start one with `portcullis serve`"))
    }
}

impl ServerArgs {
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let channel = self.address.channel().await?;
        let principal = self.principal.as_deref().map(str::parse).transpose();
        let principal = principal.map_err(|_| "--principal: must be ASCII text".to_owned())?;
        let client = ConfigurationServiceClient::new(channel)
            .max_decoding_message_size(MAX_CONFIGURATION_BYTES)
            .max_encoding_message_size(MAX_CONFIGURATION_BYTES);
        Ok(Connection { client, principal })
    }
}

impl Connection {
    pub(super) async fn export(&mut self) -> Result<String, String> {
        let request = self.request(wire::ExportConfigurationRequest {});
        let answer = self.client.export_configuration(request).await;
        answer.map(|answer| answer.into_inner().yaml).map_err(|status| failure("the server", &status))
    }

    pub(super) async fn plan(
        &mut self,
        wanted: Wanted<'_>,
    ) -> Result<wire::PlanConfigurationResponse, String> {
        let Wanted { yaml, name, prune } = wanted;
        let request = self.request(wire::PlanConfigurationRequest { yaml: yaml.to_owned(), prune });
        let answer = self.client.plan_configuration(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(name, &status))
    }

    pub(super) async fn apply(
        &mut self,
        wanted: Wanted<'_>,
        revision: i64,
    ) -> Result<wire::ApplyConfigurationResponse, Refusal> {
        let Wanted { yaml, name, prune } = wanted;
        let message = wire::ApplyConfigurationRequest { yaml: yaml.to_owned(), prune, revision };
        let request = self.request(message);
        let answer = self.client.apply_configuration(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| match status.code() {
            Code::Aborted => Refusal::Moved,
            _ => Refusal::Other(failure(name, &status)),
        })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(principal) = &self.principal {
            request.metadata_mut().insert(PRINCIPAL, principal.clone());
        }
        request
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
