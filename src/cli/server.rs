//! The server that a command speaks to.

use clap::Args;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::transport::grpc::wire::configuration_service_client::ConfigurationServiceClient;
use crate::transport::grpc::wire::guard_service_client::GuardServiceClient;
use crate::transport::grpc::wire::metric_service_client::MetricServiceClient;
use crate::transport::grpc::wire::webhook_service_client::WebhookServiceClient;
use crate::transport::grpc::{MAX_CONFIGURATION_BYTES, PRINCIPAL};

/// Which server.
#[derive(Args, Clone, Debug)]
pub(super) struct Address {
    /// Address of the server's gRPC port.
    #[arg(long, env = "PORTCULLIS_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(super) server: String,
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
    channel: Channel,
    principal: Option<AsciiMetadataValue>,
}

/// Runs what waits for a server.
pub(super) fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(work)
}

/// What the server says of a call that failed, as every other caller hears it.
pub(super) fn failure(status: &Status) -> String {
    status.message().to_owned()
}

impl Address {
    /// A channel to the server, once it answers.
    pub(super) async fn channel(&self) -> Result<Channel, String> {
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
        Ok(Connection { channel, principal })
    }
}

impl Connection {
    pub(super) fn configuration(&self) -> ConfigurationServiceClient<Channel> {
        ConfigurationServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_CONFIGURATION_BYTES)
            .max_encoding_message_size(MAX_CONFIGURATION_BYTES)
    }

    /// Records of decisions may be as large as configurations.
    pub(super) fn guard(&self) -> GuardServiceClient<Channel> {
        GuardServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_CONFIGURATION_BYTES)
    }

    /// Scorecards with many segments may be as large as configurations.
    pub(super) fn metrics(&self) -> MetricServiceClient<Channel> {
        MetricServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_CONFIGURATION_BYTES)
    }

    pub(super) fn webhooks(&self) -> WebhookServiceClient<Channel> {
        WebhookServiceClient::new(self.channel.clone())
    }

    /// A request in the caller's name.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(principal) = &self.principal {
            request.metadata_mut().insert(PRINCIPAL, principal.clone());
        }
        request
    }
}
