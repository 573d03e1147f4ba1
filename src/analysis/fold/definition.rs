//! What of a launch decides how its units are folded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analysis::history::Exposed;
use crate::analysis::measurement::{Columns, KEPT_BUCKETS, LAST_WEEK, OTHER, WEEK_MS, segment_name};
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;

/// Changes when the same histories are folded to other cells than before, so that stored cells are made anew.
const VERSION: u32 = 2;
/// Most values of one column that have a segment of their own; the rest is together.
const MAX_SEGMENT_VALUES: usize = 10;

/// What of a launch decides how its units are folded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    version: u32,
    /// Milliseconds of a bucket of event time, at least 1.
    pub width_ms: i64,
    /// Its epochs, oldest first.
    pub epochs: Vec<Span>,
    /// Thresholds of quantiles, by metric, frozen when they were first known.
    #[serde(default)]
    pub thresholds: BTreeMap<String, f64>,
    /// Columns that make segments, with the values that have one of their own; none while too few units have come to tell
    /// which these are. Once known they stay.
    #[serde(default)]
    pub segments: Option<Columns>,
    /// Reverted units count in the arm that was turned off, to tell what became of them since.
    #[serde(default)]
    pub with_reverted: bool,
    /// Only exposures since one arm was stopped count, to tell the same of it while the others go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_stop: Option<Stop>,
}

/// When an arm was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The arm.
    pub arm: String,
    /// When.
    pub at: Timestamp,
}

impl Stop {
    /// Whether an exposure came since, and its unit did not get what was stopped from rules that were older.
    fn counts(&self, exposed: &Exposed) -> bool {
        exposed.at >= self.at && (exposed.arm != self.arm || exposed.reverted)
    }
}

/// The time of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its number.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// The bucket bound at or before its end; none while it is in force.
    pub ended_at: Option<Timestamp>,
}

impl Definition {
    /// Of a launch as it stands, with buckets of a width in milliseconds.
    #[must_use]
    pub fn of(launch: &Launch, width_ms: i64) -> Self {
        let width_ms = width_ms.max(1);
        let span = |epoch: &crate::domain::launch::Epoch| Span {
            number: epoch.number,
            started_at: epoch.started_at,
            ended_at: epoch.ended_at.map(|end| floor(end, width_ms)),
        };
        Self {
            version: VERSION,
            width_ms,
            epochs: launch.epochs.iter().map(span).collect(),
            thresholds: BTreeMap::new(),
            segments: None,
            with_reverted: false,
            since_stop: None,
        }
    }

    /// Whether an exposure counts in its arm.
    pub(super) fn counts(&self, exposed: &Exposed) -> bool {
        self.with_reverted || !exposed.reverted
    }

    /// Whether an exposure says where a unit belongs.
    pub(super) fn knows(&self, exposed: &Exposed) -> bool {
        let span = self.epoch(exposed.epoch);
        span.is_some_and(|span| span.ended_at.is_none_or(|end| exposed.at < end))
            && self.since_stop.as_ref().is_none_or(|stop| stop.counts(exposed))
    }

    /// Keeps what was frozen under an earlier definition.
    pub fn keep_frozen(&mut self, earlier: &Self) {
        self.thresholds.clone_from(&earlier.thresholds);
        self.segments.clone_from(&earlier.segments);
    }

    /// The values of each column of a launch that have a segment of their own: the most frequent ones, of equally frequent
    /// ones the first by name.
    #[must_use]
    pub fn frequent(launch: &Launch, counts: &BTreeMap<(String, String), u64>) -> Columns {
        let of_column = |column: &String| {
            let mut counted: Vec<(&str, u64)> = counts
                .iter()
                .filter(|((of, _), _)| of == column)
                .map(|((_, value), count)| (value.as_str(), *count))
                .collect();
            counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let values = counted.iter().take(MAX_SEGMENT_VALUES).map(|(value, _)| (*value).to_owned());
            (column.clone(), values.collect())
        };
        launch.policy.policy.segments.iter().map(of_column).collect()
    }

    /// Whether cells under an earlier definition, merged before a bucket, can be carried on by what is new. Where they
    /// cannot, everything is folded anew.
    #[must_use]
    pub fn carries_on(&self, earlier: &Self, merged_before: Timestamp) -> bool {
        self.version == earlier.version
            && self.width_ms == earlier.width_ms
            && self.segments == earlier.segments
            && self.thresholds == earlier.thresholds
            && self.with_reverted == earlier.with_reverted
            && self.since_stop == earlier.since_stop
            && self.ended_since(earlier).all(|end| end >= merged_before)
            && earlier.epochs.iter().all(|span| {
                let now = self.epoch(span.number);
                now.is_some_and(|now| {
                    now.started_at == span.started_at
                        && (span.ended_at.is_none() || now.ended_at == span.ended_at)
                })
            })
    }

    /// Exposures that count otherwise than under an earlier definition: those of an epoch from a moment on. An epoch that
    /// has ended takes no more, and one that was not known takes all.
    pub fn changed_since<'d>(&'d self, earlier: &'d Self) -> impl Iterator<Item = (u32, Timestamp)> + 'd {
        self.epochs.iter().filter_map(|span| match earlier.epoch(span.number) {
            None => {
                Some((span.number, self.since_stop.as_ref().map_or_else(Timestamp::default, |stop| stop.at)))
            }
            Some(earlier) if earlier.ended_at.is_some() => None,
            Some(_) => span.ended_at.map(|end| (span.number, end)),
        })
    }

    /// Where kept buckets begin at a cut.
    #[must_use]
    pub fn kept_from(&self, as_of: Timestamp) -> Timestamp {
        as_of.plus_ms(self.width_ms.saturating_mul(-KEPT_BUCKETS))
    }

    /// The bucket of a moment.
    #[must_use]
    pub fn bucket(&self, at: Timestamp) -> Timestamp {
        floor(at, self.width_ms)
    }

    /// The bucket in which what came in another is kept: the same from `kept_from` on, else the beginning of its stretch
    /// between the ends of epochs.
    #[must_use]
    pub fn home(&self, bucket: Timestamp, kept_from: Timestamp) -> Timestamp {
        if bucket >= kept_from {
            return bucket;
        }
        let ends = self.epochs.iter().filter_map(|span| span.ended_at);
        ends.filter(|end| *end <= bucket).max().unwrap_or_default()
    }

    /// The buckets that others are merged in.
    pub fn homes(&self) -> impl Iterator<Item = Timestamp> {
        std::iter::once(Timestamp::default()).chain(self.epochs.iter().filter_map(|span| span.ended_at))
    }

    /// Ends that an earlier definition did not have.
    fn ended_since<'d>(&'d self, earlier: &'d Self) -> impl Iterator<Item = Timestamp> + 'd {
        let known = |end: &Timestamp| earlier.epochs.iter().any(|span| span.ended_at == Some(*end));
        self.epochs.iter().filter_map(|span| span.ended_at).filter(move |end| !known(end))
    }

    pub(super) fn epoch(&self, number: u32) -> Option<&Span> {
        self.epochs.iter().find(|span| span.number == number)
    }

    /// The segments of a unit with these attributes; in none of a column of which it has no value.
    pub(super) fn segments_of<'d>(
        &'d self,
        attributes: &'d BTreeMap<String, String>,
    ) -> impl Iterator<Item = String> + 'd {
        self.segments.iter().flatten().filter_map(|(column, values)| {
            let value = attributes.get(column)?;
            let shown = if values.contains(value) { value.as_str() } else { OTHER };
            Some(segment_name(column, shown))
        })
    }
}

impl Span {
    /// The week of the epoch in which a moment lies.
    pub(super) fn week(&self, at: Timestamp) -> u32 {
        let week = at.ms_since(self.started_at).max(0) / WEEK_MS;
        u32::try_from(week).map_or(LAST_WEEK, |week| week.min(LAST_WEEK))
    }
}

/// The bucket bound at or before a moment.
fn floor(at: Timestamp, width_ms: i64) -> Timestamp {
    Timestamp(at.0.div_euclid(width_ms).saturating_mul(width_ms))
}
