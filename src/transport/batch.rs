//! Batches of events and exposures from outside: each with its own result, whatever it was sent by.

use crate::clock::new_id;
use crate::domain::event::{Event, MAX_BATCH};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::ingest::{Appended, Ingest};

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Stored.
    Stored,
    /// An event of this id was there already.
    Duplicate,
    /// Not stored; the message says why.
    Refused(String),
}

/// Checks how many there are in a field.
pub(super) fn check_count(field: &str, count: usize) -> Result<()> {
    if (1..=MAX_BATCH).contains(&count) {
        return Ok(());
    }
    Err(Error::field(field, format!("must have 1 to {MAX_BATCH}, has {count}")))
}

/// The id that was given, or a new one.
pub(super) fn id_or_new(id: String, now: Timestamp) -> String {
    if id.is_empty() { new_id(now).to_string() } else { id }
}

/// Stores the events that are good; once it returns they are durable. One outcome for each, in order.
pub(super) async fn log(ingest: &Ingest, events: Vec<Result<Event>>) -> Result<Vec<Outcome>> {
    let mut good = Vec::with_capacity(events.len());
    let refused: Vec<Option<String>> = events
        .into_iter()
        .map(|event| match event {
            Ok(event) => {
                good.push(event);
                None
            }
            Err(error) => Some(error.to_string()),
        })
        .collect();
    ingest.counts().refuse(refused.iter().flatten().count());
    let appended = if good.is_empty() { Vec::new() } else { ingest.log(good, Vec::new()).await? };
    let mut appended = appended.into_iter();
    let outcome = |refused: Option<String>| match (refused, &mut appended) {
        (Some(message), _) => Ok(Outcome::Refused(message)),
        (None, appended) => match appended.next() {
            Some(Appended::Stored) => Ok(Outcome::Stored),
            Some(Appended::Duplicate) => Ok(Outcome::Duplicate),
            None => Err(Error::internal("an event has no outcome")),
        },
    };
    refused.into_iter().map(outcome).collect()
}
