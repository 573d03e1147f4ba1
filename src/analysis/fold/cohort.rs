//! To which arm and epoch a unit belongs, as event time goes on.

use std::collections::BTreeMap;

use super::definition::Definition;
use crate::analysis::history::{Exposed, History};
use crate::domain::time::Timestamp;

/// To what a unit belongs from a moment on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stay<'h> {
    /// Since when.
    pub from: Timestamp,
    /// Where; none where it is left out.
    pub place: Option<Place<'h>>,
    /// Whether it is left out because it was seen in two arms.
    pub epoch_of_two_arms: Option<u32>,
}

/// Where a unit is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place<'h> {
    pub epoch: u32,
    pub week: u32,
    pub arm: &'h str,
    pub settled: bool,
    pub attributes: &'h BTreeMap<String, String>,
}

/// The first exposure of each epoch and arm that counts, in the order of epochs: an exposure that was recorded for an
/// epoch after its end does not. Of several at one moment the one that was stored first stands.
pub(super) fn firsts<'h>(history: &'h History, arrival: i64, definition: &Definition) -> Vec<&'h Exposed> {
    let mut firsts: Vec<&'h Exposed> = Vec::new();
    for exposed in history.exposures.iter().filter(|exposed| exposed.arrival <= arrival) {
        if !definition.knows(exposed) {
            continue;
        }
        let same = |first: &&mut &'h Exposed| first.epoch == exposed.epoch && first.arm == exposed.arm;
        match firsts.iter_mut().find(same) {
            Some(first) if (exposed.at, exposed.arrival) < (first.at, first.arrival) => *first = exposed,
            Some(_) => {}
            None => firsts.push(exposed),
        }
    }
    firsts.sort_unstable_by(|one, other| {
        (one.epoch, one.at, &one.arm).cmp(&(other.epoch, other.at, &other.arm))
    });
    firsts
}

/// To what a unit belongs, from its first exposure on: to the arm of its first epoch. One that was seen in two arms of it
/// is left out of both.
pub(super) fn stays<'h>(firsts: &[&'h Exposed], definition: &Definition) -> Vec<Stay<'h>> {
    let mut times: Vec<Timestamp> = firsts.iter().map(|first| first.at).collect();
    times.sort_unstable();
    times.dedup();
    let mut stays: Vec<Stay<'h>> = Vec::new();
    for from in times {
        let mut seen = firsts.iter().filter(|first| first.at <= from);
        let Some(epoch) = seen.clone().map(|first| first.epoch).min() else {
            continue;
        };
        let mut arms = seen.by_ref().filter(|first| first.epoch == epoch && definition.counts(first));
        let (only, more) = (arms.next(), arms.next());
        let place = match (only, more) {
            (Some(first), None) => place(first, definition),
            _ => None,
        };
        let epoch_of_two_arms = more.map(|_| epoch);
        let goes_on = stays
            .last()
            .is_some_and(|last| last.place == place && last.epoch_of_two_arms == epoch_of_two_arms);
        if !goes_on {
            stays.push(Stay { from, place, epoch_of_two_arms });
        }
    }
    stays
}

fn place<'h>(first: &'h Exposed, definition: &Definition) -> Option<Place<'h>> {
    let span = definition.epoch(first.epoch)?;
    Some(Place {
        epoch: first.epoch,
        week: span.week(first.at),
        arm: &first.arm,
        settled: first.settled,
        attributes: &first.attributes,
    })
}
