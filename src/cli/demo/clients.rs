//! The demo's connections to its server.

use std::net::SocketAddr;

use tonic::transport::{Channel, Endpoint};

use crate::transport::grpc::wire::admin_service_client::AdminServiceClient;
use crate::transport::grpc::wire::evaluation_service_client::EvaluationServiceClient;
use crate::transport::grpc::wire::event_service_client::EventServiceClient;
use crate::transport::grpc::wire::guard_service_client::GuardServiceClient;

/// One client a service, over one connection.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) admin: AdminServiceClient<Channel>,
    pub(super) evaluation: EvaluationServiceClient<Channel>,
    pub(super) events: EventServiceClient<Channel>,
    pub(super) guard: GuardServiceClient<Channel>,
}

impl Clients {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let channel =
            endpoint.connect().await.map_err(|error| format!("no connection to {address}: {error}"))?;
        Ok(Self {
            admin: AdminServiceClient::new(channel.clone()),
            evaluation: EvaluationServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel.clone()),
            guard: GuardServiceClient::new(channel),
        })
    }
}
