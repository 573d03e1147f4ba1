//! Batches on their way to the server, again and again while it is away.

use std::time::{Duration, Instant};

use tonic::transport::Channel;
use tonic::{Code, Status};

use super::record::Kind;
use crate::transport::grpc::wire::EventOutcome;
use crate::transport::grpc::wire::event_service_client::EventServiceClient;

/// The first pause; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends to one server.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) channel: Channel,
    /// How long a server that is away is tried again.
    pub(super) retry_for: Duration,
}

impl Sender {
    /// Sends a batch until it is answered. To send one again is safe: what is stored already is not stored twice.
    pub(super) async fn send<K: Kind>(
        &self,
        batch: &[K::Message],
    ) -> Result<Vec<(EventOutcome, String)>, String> {
        let mut client = EventServiceClient::new(self.channel.clone());
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let status = match K::send(&mut client, batch.to_vec()).await {
                Ok(outcomes) if outcomes.len() == batch.len() => return Ok(outcomes),
                Ok(_) => return Err("the server did not answer for every row".to_owned()),
                Err(status) => status,
            };
            if !may_pass(&status) || begun.elapsed() + pause > self.retry_for {
                return Err(format!("the server did not take a batch: {}", status.message()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether the same call may go through later. What the client makes of a connection that breaks is unknown, or cancelled.
fn may_pass(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}
