//! Batches of events and exposures from outside: each with its own result, whatever it was sent by.

use crate::clock::new_id;
use crate::domain::event::{Event, Exposure, MAX_BATCH};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::ingest::{Appended, Ingest};

/// What became of one event or exposure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Stored.
    Stored,
    /// It was there already.
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
pub(super) async fn log_events(ingest: &Ingest, events: Vec<Result<Event>>) -> Result<Vec<Outcome>> {
    let (good, refused) = sorted(ingest, events);
    outcomes(refused, ingest.log(good, Vec::new()).await?.events)
}

/// The same for exposures.
pub(super) async fn log_exposures(ingest: &Ingest, exposures: Vec<Result<Exposure>>) -> Result<Vec<Outcome>> {
    let (good, refused) = sorted(ingest, exposures);
    outcomes(refused, ingest.log(Vec::new(), good).await?.exposures)
}

/// Those that are good, and for each of all why it is refused; none where it is good.
fn sorted<T>(ingest: &Ingest, all: Vec<Result<T>>) -> (Vec<T>, Vec<Option<String>>) {
    let mut good = Vec::with_capacity(all.len());
    let refusal = |one: Result<T>| one.map(|one| good.push(one)).err().map(|error| error.to_string());
    let refused: Vec<_> = all.into_iter().map(refusal).collect();
    ingest.counts().refuse(refused.iter().flatten().count());
    (good, refused)
}

/// What became of all, where those that were not refused were appended.
fn outcomes(refused: Vec<Option<String>>, appended: Vec<Appended>) -> Result<Vec<Outcome>> {
    let mut appended = appended.into_iter();
    let outcome = |refused: Option<String>| match refused {
        Some(message) => Ok(Outcome::Refused(message)),
        None => match appended.next() {
            Some(Appended::Stored) => Ok(Outcome::Stored),
            Some(Appended::Duplicate) => Ok(Outcome::Duplicate),
            None => Err(Error::internal("what was appended has no outcome")),
        },
    };
    refused.into_iter().map(outcome).collect()
}
