//! gRPC: one file a service, and what converts between wire and domain.

mod administration;
pub mod codec;
mod condition;
mod configuration;
mod convert;
mod decisions;
mod deliveries;
mod documents;
mod evaluation;
mod events;
mod guard;
pub mod json;
mod keys;
mod metrics;
mod records;
mod scorecards;
mod status;
mod undefined;
mod verdicts;
pub mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::Services;
pub use administration::PRINCIPAL;
use wire::admin_service_server::AdminServiceServer;
use wire::configuration_service_server::ConfigurationServiceServer;
use wire::evaluation_service_server::EvaluationServiceServer;
use wire::event_service_server::EventServiceServer;
use wire::guard_service_server::GuardServiceServer;
use wire::key_service_server::KeyServiceServer;
use wire::metric_service_server::MetricServiceServer;
use wire::webhook_service_server::WebhookServiceServer;

/// Largest request in bytes. Above the field limits, so that an oversized field is named.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;
/// Largest message in bytes that carries a whole configuration.
pub const MAX_CONFIGURATION_BYTES: usize = 64 * 1024 * 1024;

/// What can keep the server from serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The connections failed.
    #[error("gRPC: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors are not usable.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves until the stop, then ends the calls that are under way.
pub async fn serve(
    services: Services,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let (health_reporter, health) = tonic_health::server::health_reporter();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let Services { live, ingest, admin, clock, max_event_skew_ms, watch_patience } = services;
    let evaluation =
        evaluation::Evaluation { live: Arc::clone(&live), ingest: ingest.clone(), clock: clock.clone() };
    let events = events::Events { live, ingest, clock: clock.clone(), max_event_skew_ms, stop: stop.clone() };
    let guard = guard::Guarding { admin: admin.clone(), clock, stop: stop.clone(), watch_patience };
    let configuring = configuration::Configuring { admin: admin.clone() };
    let measuring = metrics::Measuring { admin: admin.clone() };
    let keys = keys::Keys { admin: admin.clone() };
    let deliveries = deliveries::Deliveries { admin: admin.clone() };
    let administration = administration::Administration { admin };
    health_reporter.set_serving::<EvaluationServiceServer<evaluation::Evaluation>>().await;
    health_reporter.set_serving::<EventServiceServer<events::Events>>().await;
    health_reporter.set_serving::<AdminServiceServer<administration::Administration>>().await;
    health_reporter.set_serving::<ConfigurationServiceServer<configuration::Configuring>>().await;
    health_reporter.set_serving::<GuardServiceServer<guard::Guarding>>().await;
    health_reporter.set_serving::<KeyServiceServer<keys::Keys>>().await;
    health_reporter.set_serving::<MetricServiceServer<metrics::Measuring>>().await;
    health_reporter.set_serving::<WebhookServiceServer<deliveries::Deliveries>>().await;
    Server::builder()
        .add_service(health)
        .add_service(reflection().build_v1()?)
        // Many clients still ask by the older name.
        .add_service(reflection().build_v1alpha()?)
        .add_service(EvaluationServiceServer::new(evaluation).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(EventServiceServer::new(events).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(AdminServiceServer::new(administration).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(
            ConfigurationServiceServer::new(configuring).max_decoding_message_size(MAX_CONFIGURATION_BYTES),
        )
        .add_service(GuardServiceServer::new(guard).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(MetricServiceServer::new(measuring).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(KeyServiceServer::new(keys).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(WebhookServiceServer::new(deliveries).max_decoding_message_size(MAX_REQUEST_BYTES))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned())
        .await?;
    Ok(())
}
