//! Events: taken in batches, answered once durable, and shown as they come in.

mod exposures;
mod stream;
mod watch;

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::convert;
use super::wire::event_service_server::EventService;
use super::wire::{self, EventOutcome, EventResult, LogEventsRequest, LogEventsResponse};
use super::wire::{ExposureResult, LogExposuresRequest, LogExposuresResponse};
use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::launch::LaunchId;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::transport::batch::{self, Outcome};

/// Messages that may wait for a caller who reads slowly.
const WAITING: usize = 16;

/// The event service. Cloning shares its parts.
#[derive(Clone, Debug)]
pub(super) struct Events {
    pub(super) live: Arc<Live>,
    pub(super) ingest: Ingest,
    pub(super) clock: Clock,
    pub(super) max_event_skew_ms: i64,
    pub(super) stop: CancellationToken,
}

type Answer<T> = std::result::Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Events {
    type StreamEventsStream = Answers<wire::StreamEventsResponse>;
    type WatchExposuresStream = Answers<wire::WatchExposuresResponse>;

    async fn log_events(&self, request: Request<LogEventsRequest>) -> Answer<LogEventsResponse> {
        let outcomes = self.log(request.into_inner().events).await?;
        Ok(Response::new(LogEventsResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn log_exposures(&self, request: Request<LogExposuresRequest>) -> Answer<LogExposuresResponse> {
        let outcomes = self.log_served(request.into_inner().exposures).await?;
        let results = outcomes.into_iter().map(result);
        let results = results.map(|EventResult { outcome, message }| ExposureResult { outcome, message });
        Ok(Response::new(LogExposuresResponse { results: results.collect() }))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<wire::StreamEventsRequest>>,
    ) -> Answer<Self::StreamEventsStream> {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(stream::run(self.clone(), request.into_inner(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn watch_exposures(
        &self,
        request: Request<wire::WatchExposuresRequest>,
    ) -> Answer<Self::WatchExposuresStream> {
        let request = request.into_inner();
        let launch = match request.launch_id.as_str() {
            "" => None,
            id => Some(crate::admin::parse_id("launch_id", id).map(LaunchId)?),
        };
        let filter = watch::Filter { launch, key: request.key, event_names: request.event_names };
        let (sender, receiver) = mpsc::channel(WAITING);
        let watcher =
            watch::Watcher { live: Arc::clone(&self.live), filter, sender, stop: self.stop.clone() };
        tokio::spawn(watcher.run(self.ingest.watch()));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Events {
    /// Stores a batch; one outcome for each event, in order.
    async fn log(&self, events: Vec<wire::Event>) -> Result<Vec<Outcome>> {
        batch::check_count("events", events.len())?;
        let now = self.clock.now();
        let events = events.into_iter().map(|message| event(message, now, self.max_event_skew_ms)).collect();
        batch::log_events(&self.ingest, events).await
    }
}

fn event(message: wire::Event, now: Timestamp, max_skew_ms: i64) -> Result<Event> {
    let user = convert::unchecked_user("user", convert::required("user", message.user)?)?;
    let at = message.time.map(|time| convert::timestamp("time", &time)).transpose()?;
    let event = Event {
        id: batch::id_or_new(message.id, now),
        name: message.name,
        user,
        at: at.unwrap_or(now),
        received_at: now,
        value: message.value,
        properties: message.properties,
    };
    event.check(max_skew_ms)?;
    Ok(event)
}

fn result(outcome: Outcome) -> EventResult {
    let (outcome, message) = match outcome {
        Outcome::Stored => (EventOutcome::Stored, String::new()),
        Outcome::Duplicate => (EventOutcome::Duplicate, String::new()),
        Outcome::Refused(message) => (EventOutcome::Refused, message),
    };
    EventResult { outcome: outcome.into(), message }
}
