//! Events: taken in batches, answered once durable.

use tonic::{Request, Response, Status};

use super::convert;
use super::wire::event_service_server::EventService;
use super::wire::{self, EventOutcome, EventResult, LogEventsRequest, LogEventsResponse};
use crate::clock::{Clock, new_id};
use crate::domain::event::{Event, MAX_BATCH};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::ingest::{Appended, Ingest};

/// The event service.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) ingest: Ingest,
    pub(super) clock: Clock,
    pub(super) max_event_skew_ms: i64,
}

#[tonic::async_trait]
impl EventService for Events {
    async fn log_events(
        &self,
        request: Request<LogEventsRequest>,
    ) -> std::result::Result<Response<LogEventsResponse>, Status> {
        let events = request.into_inner().events;
        let count = events.len();
        if !(1..=MAX_BATCH).contains(&count) {
            return Err(Error::field("events", format!("must have 1 to {MAX_BATCH}, has {count}")).into());
        }
        let now = self.clock.now();
        let mut good = Vec::with_capacity(count);
        let refused: Vec<Option<String>> = events
            .into_iter()
            .map(|message| match event(message, now, self.max_event_skew_ms) {
                Ok(event) => {
                    good.push(event);
                    None
                }
                Err(error) => Some(error.to_string()),
            })
            .collect();
        let outcomes = if good.is_empty() { Vec::new() } else { self.ingest.log(good, Vec::new()).await? };
        let mut outcomes = outcomes.into_iter();
        let result = |refusal: Option<String>| match refusal {
            Some(message) => EventResult { outcome: EventOutcome::Refused.into(), message },
            None => EventResult { outcome: outcome(outcomes.next()).into(), message: String::new() },
        };
        Ok(Response::new(LogEventsResponse { results: refused.into_iter().map(result).collect() }))
    }
}

fn event(message: wire::Event, now: Timestamp, max_skew_ms: i64) -> Result<Event> {
    let user = convert::unchecked_user("user", convert::required("user", message.user)?)?;
    let at = message.time.map(|time| convert::timestamp("time", &time)).transpose()?;
    let event = Event {
        id: if message.id.is_empty() { new_id(now).to_string() } else { message.id },
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

fn outcome(appended: Option<Appended>) -> EventOutcome {
    match appended {
        Some(Appended::Stored) => EventOutcome::Stored,
        Some(Appended::Duplicate) => EventOutcome::Duplicate,
        None => EventOutcome::Unspecified,
    }
}
