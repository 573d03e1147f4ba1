//! What is published of a launch: numbers that were audited, whole and for good.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::audit::{Audit, Check};
use super::measurement::{Blindness, Cause, Measurement};
use crate::domain::launch::LaunchId;
use crate::domain::time::Timestamp;

/// What is published of a launch. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The launch.
    pub launch: LaunchId,
    /// From 1, and one more with each.
    pub number: i64,
    /// When it was made.
    pub at: Timestamp,
    /// All numbers; those of a metric whose audit failed are its last good ones.
    pub measurement: Measurement,
    /// By metric: what was checked, and up to which event time its numbers are.
    pub metrics: BTreeMap<String, Audited>,
}

/// One metric of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audited {
    /// Event time up to which its numbers are; none where it never had good ones.
    pub as_of: Option<Timestamp>,
    /// Time of the latest event that it goes by; none before the first one.
    pub watermark: Option<Timestamp>,
    /// Every check with its figures.
    pub audits: Vec<Audit>,
}

impl Published {
    /// Publishes what was measured and audited. A metric whose audit failed keeps the numbers that it has in the snapshot
    /// before, and is blind; one that is merely stale is blind, and its numbers go on. One that was blind when it was measured
    /// stays so by that cause, unless its audit failed. Since when it is blind is kept for as long as it stays so.
    #[must_use]
    pub fn publish(
        launch: LaunchId,
        at: Timestamp,
        mut measurement: Measurement,
        mut metrics: BTreeMap<String, Audited>,
        before: Option<&Self>,
    ) -> Self {
        for (key, audited) in &mut metrics {
            let failed: Vec<&Audit> = audited.failed().collect();
            let told = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let earlier = before.and_then(|before| before.measurement.blind.get(key));
            let since = earlier.and_then(|earlier| earlier.since).or(Some(at));
            let cause = if failed.iter().any(|audit| audit.check != Check::Freshness) {
                Cause::Audit
            } else if let Some(blind) = measurement.blind.get_mut(key) {
                // That it has no numbers at all says more than that they are old.
                blind.since = since;
                continue;
            } else if !failed.is_empty() {
                Cause::Stale
            } else if !measurement.metrics.contains_key(key) {
                Cause::Undefined
            } else {
                continue;
            };
            let message = match cause {
                Cause::Undefined => "its numbers cannot be computed from what is stored".to_owned(),
                Cause::Stale | Cause::Audit | Cause::NoBaseline => told,
            };
            measurement.blind.insert(key.clone(), Blindness { cause, message, since });
            if cause != Cause::Stale {
                let last = before.and_then(|before| before.measurement.metrics.get(key));
                audited.as_of = before.and_then(|before| before.metrics.get(key)).and_then(|last| last.as_of);
                measurement.metrics.insert(key.clone(), last.cloned().unwrap_or_default());
                if before.is_some_and(|before| before.measurement.stripped.contains(key)) {
                    measurement.stripped.insert(key.clone());
                }
                measurement.segments.remove(key);
                let segments = before.and_then(|before| before.measurement.segments.get(key));
                measurement.segments.extend(segments.map(|segments| (key.clone(), segments.clone())));
            }
        }
        Self { launch, number: before.map_or(1, |before| before.number + 1), at, measurement, metrics }
    }

    /// The same without what was measured at the ends of kept buckets. Judgements record those that they rest on.
    #[must_use]
    pub fn without_buckets(&self) -> Self {
        let mut plain = self.clone();
        let measured = &mut plain.measurement;
        measured.kept_from = None;
        measured.stripped = measured.metrics.keys().cloned().collect();
        let of_segments = measured.segments.values_mut().flat_map(BTreeMap::values_mut);
        let rows = measured.metrics.values_mut().chain(of_segments).flatten();
        rows.for_each(|row| row.past = Vec::new());
        plain
    }

    /// Whether it has what was measured at the ends of kept buckets.
    #[must_use]
    pub fn has_buckets(&self) -> bool {
        self.measurement.kept_from.is_some()
    }

    /// Each check that a metric failed, with the name of the events that it is of, where there are several.
    #[must_use]
    pub fn failed(&self) -> BTreeSet<(&str, &str, Check)> {
        let all = self.metrics.iter().map(|(key, audited)| (key.as_str(), audited.failed()));
        all.flat_map(|(key, failed)| failed.map(move |audit| (key, audit.event.as_str(), audit.check)))
            .collect()
    }

    /// Whether any check failed, and not just those that failed in the snapshot before.
    #[must_use]
    pub fn fails_anew(&self, before: Option<&Self>) -> bool {
        let failed = self.failed();
        !failed.is_empty() && before.is_none_or(|before| before.failed() != failed)
    }

    /// Whether it says what the one before it says: the same numbers, as of the same event time, and the same checks passed.
    /// How old the events are that they rest on, and other figures of checks, may have gone on.
    #[must_use]
    pub fn repeats(&self, before: &Self) -> bool {
        let reach = |published: &Self| -> Vec<(String, Option<Timestamp>, Option<Timestamp>)> {
            let of_metric =
                |(key, audited): (&String, &Audited)| (key.clone(), audited.as_of, audited.watermark);
            published.metrics.iter().map(of_metric).collect()
        };
        self.failed() == before.failed() && reach(self) == reach(before) && self.numbers() == before.numbers()
    }

    /// The same under the number of the one before it, which it repeats, and with what that one says of its checks.
    #[must_use]
    pub fn as_before(self, before: &Self) -> Self {
        let blind = before.measurement.blind.clone();
        let measurement = Measurement { blind, ..self.measurement };
        Self { number: before.number, at: before.at, measurement, metrics: before.metrics.clone(), ..self }
    }

    /// What was measured without its buckets, and without figures of why a metric is blind.
    fn numbers(&self) -> Measurement {
        let mut numbers = self.without_buckets().measurement;
        numbers.blind.values_mut().for_each(|blind| blind.message.clear());
        numbers
    }
}

impl Audited {
    fn failed(&self) -> impl Iterator<Item = &Audit> {
        self.audits.iter().filter(|audit| !audit.passes())
    }
}
