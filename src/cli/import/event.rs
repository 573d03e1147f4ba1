//! Rows as events.

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;
use tonic::transport::Channel;
use uuid::Builder;

use super::mapping::Chosen;
use super::record::{Kind, Record, check_given, check_user_and_time};
use crate::transport::grpc::wire::event_service_client::EventServiceClient;
use crate::transport::grpc::wire::{Event, EventOutcome, LogEventsRequest};

/// Events with properties from these columns.
#[derive(Clone, Debug)]
pub(super) struct Events {
    properties: Vec<String>,
}

impl Events {
    pub(super) fn new(properties: &[String]) -> Self {
        Self { properties: properties.to_vec() }
    }
}

impl Kind for Events {
    type Message = Event;
    const NAME: &'static str = "events";
    const FIELDS: &'static [&'static str] = &[
        "id",
        "name",
        "time",
        "value",
        "user_id",
        "custom_ids.",
        "country",
        "locale",
        "app_version",
        "custom.",
    ];

    fn check(&self, chosen: &Chosen) -> Result<(), String> {
        check_given(chosen, "name")?;
        check_user_and_time(chosen)
    }

    fn message(&self, record: &Record<'_>) -> Result<Event, String> {
        let properties = self.properties.iter().zip(&record.chosen.properties);
        let properties = properties.filter_map(|(name, place)| Some((name.clone(), record.column(*place)?)));
        let event = Event {
            id: record.text("id"),
            name: record.required("name")?,
            user: Some(record.user()),
            time: Some(record.time()?),
            value: record.number("value")?,
            properties: properties.collect(),
        };
        Ok(if event.id.is_empty() { with_own_id(event, record) } else { event })
    }

    async fn send(
        client: &mut EventServiceClient<Channel>,
        events: Vec<Event>,
    ) -> Result<Vec<(EventOutcome, String)>, Status> {
        let answer = client.log_events(LogEventsRequest { events }).await?.into_inner();
        Ok(answer.results.into_iter().map(|result| (result.outcome(), result.message)).collect())
    }
}

/// An id that follows from where the row stands and what it says, so that it is the same in every run: a UUID of version 8
/// (RFC 9562) of half a SHA-256.
fn with_own_id(event: Event, record: &Record<'_>) -> Event {
    let name = record.path.file_name().unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(name.as_encoded_bytes());
    hash.update([0]);
    hash.update(record.number.to_be_bytes());
    hash.update(event.encode_to_vec());
    let mut half = [0; 16];
    half.iter_mut().zip(hash.finalize()).for_each(|(own, byte)| *own = byte);
    Event { id: Builder::from_custom_bytes(half).into_uuid().to_string(), ..event }
}
