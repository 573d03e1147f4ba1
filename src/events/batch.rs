//! What one write adds, worked out before any statement: every engine stores the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{Appended, Intake, LATE_MS};
use crate::domain::event::{Assignment, Event, Exposure};
use crate::domain::time::Timestamp;
use crate::domain::user::{USER_ID, canonical_unit_type};
use crate::error::{Error, Result};

/// Milliseconds of the minute by which is counted what comes in.
pub(super) const MINUTE_MS: i64 = 60_000;
/// The watermark's name that stands for all events.
pub(super) const ALL_EVENTS: &str = "";

/// The id of an event as it is stored: the 16 bytes of a UUID, else the bytes of the text.
pub(super) fn stored_id(id: &str) -> Vec<u8> {
    let is_plain = matches!(id.len(), 32 | 36);
    let uuid = is_plain.then(|| Uuid::try_parse(id).ok()).flatten();
    uuid.map_or_else(|| id.as_bytes().to_vec(), |uuid| uuid.as_bytes().to_vec())
}

/// Events with their ids as they are stored.
#[derive(Debug)]
pub(super) struct Batch<'e> {
    events: &'e [&'e Event],
    ids: Vec<Vec<u8>>,
}

impl<'e> Batch<'e> {
    pub(super) fn of(events: &'e [&'e Event]) -> Self {
        Self { events, ids: events.iter().map(|event| stored_id(&event.id)).collect() }
    }

    /// Each id once, with the day of its event, in the order of ids: two writers that have some in common wait for each
    /// other one way only.
    pub(super) fn ids(&self) -> Vec<(&[u8], i64)> {
        let mut ids: Vec<_> =
            self.ids.iter().zip(self.events).map(|(id, event)| (id.as_slice(), event.at.day())).collect();
        ids.sort_by_key(|(id, _)| *id);
        ids.dedup_by_key(|(id, _)| *id);
        ids
    }

    /// What became of each event, where these ids were new. Of two events of one id the first is the one that is stored.
    pub(super) fn outcomes(&self, mut new: HashSet<Vec<u8>>) -> Vec<Appended> {
        let outcome = |id| if new.remove(id) { Appended::Stored } else { Appended::Duplicate };
        self.ids.iter().map(outcome).collect()
    }
}

/// A new event with its texts as they are stored.
#[derive(Debug)]
pub(super) struct NewEvent<'e> {
    event: &'e Event,
    properties: String,
    attributes: String,
}

/// The events that are new.
pub(super) fn new_events<'e>(events: &[&'e Event], outcomes: &[Appended]) -> Result<Vec<NewEvent<'e>>> {
    let text = |texts: &BTreeMap<String, String>| serde_json::to_string(texts).map_err(Error::internal);
    let new = events.iter().zip(outcomes).filter(|(_, outcome)| **outcome == Appended::Stored);
    new.map(|(event, _)| {
        let attributes = text(&event.user.public_attributes())?;
        Ok(NewEvent { event, properties: text(&event.properties)?, attributes })
    })
    .collect()
}

/// An event as it is stored for one of its units.
#[derive(Debug)]
pub(super) struct UnitEvent<'e> {
    pub(super) unit_type: Cow<'e, str>,
    pub(super) unit_id: &'e str,
    /// Tells events of one unit, time and write apart.
    pub(super) n: i32,
    pub(super) event: &'e Event,
    /// JSON.
    pub(super) properties: &'e str,
    /// JSON.
    pub(super) attributes: &'e str,
}

/// A row for each unit of each event, in the order in which units are stored.
pub(super) fn unit_events<'e>(new: &'e [NewEvent<'e>]) -> Vec<UnitEvent<'e>> {
    let rows = new.iter().zip(0..).flat_map(|(new, n)| {
        let NewEvent { event, properties, attributes } = new;
        let units = event.user.units().into_iter();
        units.map(move |(unit_type, unit_id)| UnitEvent {
            unit_type,
            unit_id,
            n,
            event,
            properties,
            attributes,
        })
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| (&a.unit_type, a.unit_id, a.event.at).cmp(&(&b.unit_type, b.unit_id, b.event.at)));
    rows
}

/// A unit on a UTC day.
pub(super) type UnitDay<'e> = (Cow<'e, str>, &'e str, i64);

/// The days on which units did something, exposures included.
pub(super) fn unit_days<'e>(new: &'e [NewEvent<'e>], exposures: &'e [&Exposure]) -> Vec<UnitDay<'e>> {
    let of_events = new.iter().flat_map(|NewEvent { event, .. }| {
        let units = event.user.units().into_iter();
        units.map(|(unit_type, unit_id)| (unit_type, unit_id, event.at.day()))
    });
    let of_exposures = exposures.iter().map(|exposure| {
        (canonical_unit_type(&exposure.unit_type), exposure.unit_id.as_str(), exposure.at.day())
    });
    let days: BTreeSet<UnitDay<'_>> = of_events.chain(of_exposures).collect();
    days.into_iter().collect()
}

/// An exposure as it is stored.
#[derive(Debug)]
pub(super) struct FirstExposure<'e> {
    /// Its place in the batch.
    place: usize,
    pub(super) launch: String,
    pub(super) exposure: &'e Exposure,
    pub(super) assignment: &'e Assignment,
    /// JSON.
    pub(super) attributes: String,
}

impl FirstExposure<'_> {
    fn key(&self) -> (&str, &str, i64, &str) {
        let Assignment { epoch, arm, .. } = self.assignment;
        (&self.launch, &self.exposure.unit_id, i64::from(*epoch), arm)
    }
}

/// The earliest exposure of each unit to each arm of each epoch of a launch.
pub(super) fn first_exposures<'e>(exposures: &[&'e Exposure]) -> Result<Vec<FirstExposure<'e>>> {
    let mut first: HashMap<_, (usize, &Exposure, &Assignment)> = HashMap::new();
    for (place, exposure) in exposures.iter().enumerate() {
        let Some(assignment) = &exposure.assignment else {
            continue;
        };
        let key = (assignment.launch, exposure.unit_id.as_str(), assignment.epoch, assignment.arm.as_str());
        let known = first.entry(key).or_insert((place, exposure, assignment));
        if exposure.at < known.1.at {
            *known = (place, exposure, assignment);
        }
    }
    let mut first: Vec<_> = first.into_iter().collect();
    first.sort_by_key(|(key, _)| *key);
    let row = |(place, exposure, assignment): (usize, &'e Exposure, &'e Assignment)| {
        let attributes = serde_json::to_string(&exposure.attributes).map_err(Error::internal)?;
        Ok(FirstExposure { place, launch: assignment.launch.to_string(), exposure, assignment, attributes })
    };
    first.into_iter().map(|(_, found)| row(found)).collect()
}

/// Launch, unit, epoch and arm of a row that was added.
pub(super) type AddedExposure = (String, String, i64, String);

/// What became of a batch's exposures, where these first ones were sent and those were added.
pub(super) fn exposure_outcomes(
    exposures: &[&Exposure],
    sent: &[FirstExposure<'_>],
    added: &[AddedExposure],
) -> Vec<Appended> {
    let places: HashMap<_, usize> = sent.iter().map(|row| (row.key(), row.place)).collect();
    let added =
        added.iter().map(|(launch, unit, epoch, arm)| (launch.as_str(), unit.as_str(), *epoch, arm.as_str()));
    let added: HashSet<usize> = added.filter_map(|key| places.get(&key).copied()).collect();
    let outcome = |(place, exposure): (usize, &&Exposure)| {
        let is_new = exposure.assignment.is_none() || added.contains(&place);
        if is_new { Appended::Stored } else { Appended::Duplicate }
    };
    exposures.iter().enumerate().map(outcome).collect()
}

/// What came in, by name and minute.
pub(super) fn intake<'e>(events: &[&'e Event], outcomes: &[Appended]) -> BTreeMap<(&'e str, i64), Intake> {
    let mut counted: BTreeMap<_, Intake> = BTreeMap::new();
    for (event, outcome) in events.iter().zip(outcomes) {
        let minute = event.received_at.0.div_euclid(MINUTE_MS);
        let intake = counted.entry((event.name.as_str(), minute)).or_default();
        let is_late = event.received_at.ms_since(event.at) > LATE_MS;
        if *outcome == Appended::Duplicate {
            intake.duplicates += u64::from(!is_late);
            continue;
        }
        intake.events += 1;
        intake.without_value += u64::from(event.value.is_none());
        intake.without_user_id += u64::from(event.user.unit(USER_ID).is_none());
        intake.late += u64::from(is_late);
        intake.early += u64::from(event.at > event.received_at);
        intake.least = least(intake.least, event.value);
        intake.greatest = greatest(intake.greatest, event.value);
    }
    counted
}

/// Event time up to which events have come in, by name and of all. An event from the future must not claim that everything
/// up to it has come in.
pub(super) fn watermarks<'e>(events: &[&'e Event]) -> BTreeMap<&'e str, Timestamp> {
    let mut watermarks = BTreeMap::new();
    for event in events {
        let at = event.at.min(event.received_at);
        for name in [ALL_EVENTS, event.name.as_str()] {
            let known = watermarks.entry(name).or_insert(at);
            *known = at.max(*known);
        }
    }
    watermarks
}

fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::min)
}

fn greatest(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}
