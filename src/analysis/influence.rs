//! No single moment carries a rollback: what is left of the evidence when any one bucket of event time is taken away.
//!
//! Rows of one arm that come late, or twice, look like harm for one bucket. Taking a bucket away can only make a
//! rollback rarer, so that the error rate stays what it is.

use std::collections::BTreeSet;

use super::decision::{Bucket, Least};
use super::evidence::Marked;
use super::measurement::Measurement;
use super::tally::Tally;
use super::tested::{Of, Tested, tested};
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;

/// What is left of a launch's evidence of harm without the one bucket whose absence leaves least.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// Of the launch-level e-value, with the bucket that was left out.
    pub launch: Least,
    /// ln of the least e-value of each comparison, in the order of the judgement's verdicts and before those of segments and
    /// limits, whichever bucket that takes.
    pub own: Vec<f64>,
}

/// The least evidence of harm with any one kept bucket left out, however much there is of it; none where the data have no
/// buckets. The guard asks for it only where the whole reaches the level of harm.
#[must_use]
pub fn left_without_one_bucket(launch: &Launch, measurement: &Measurement) -> Option<Left> {
    without_each(&tested(launch, Some(measurement)), measurement.kept_from, &measurement.stripped)
        .map(|(tally, bucket)| Left {
            launch: Least { ln_e: tally.launch, bucket: Some(bucket) },
            own: tally.own,
        })
        .reduce(|least, other| Left {
            launch: if other.launch.ln_e < least.launch.ln_e { other.launch } else { least.launch },
            own: least.own.iter().zip(&other.own).map(|(one, other)| one.min(*other)).collect(),
        })
}

/// The least evidence with marks of enough treated units, over the whole and over everything but one bucket; and the
/// bucket without which the launch-level e-value is least, none where that is the whole.
///
/// Scales are those of the whole. What has no evidence left counts as 1, and so does what is undefined.
/// What metrics show whose buckets were left out is not known to be left, and counts as none.
pub(super) fn least<'l>(
    tested: &[Tested<'l>],
    kept_from: Option<Timestamp>,
    stripped: &BTreeSet<String>,
) -> (Tally<'l>, Option<Bucket>) {
    let whole = (tally(tested, stripped), None);
    without_each(tested, kept_from, stripped).fold(whole, |(least, carrier), (without, bucket)| {
        let carrier = if without.launch < least.launch { Some(bucket) } else { carrier };
        (least.least(&without), carrier)
    })
}

/// The evidence without each of the kept buckets.
fn without_each<'l>(
    tested: &[Tested<'l>],
    kept_from: Option<Timestamp>,
    stripped: &BTreeSet<String>,
) -> impl Iterator<Item = (Tally<'l>, Bucket)> {
    buckets(tested, kept_from).into_iter().map(|bucket| {
        let without: Vec<Tested<'l>> = tested.iter().map(|one| one.without(&bucket)).collect();
        (tally(&without, stripped), bucket)
    })
}

/// The evidence with marks of enough treated units; none of metrics whose buckets were left out.
fn tally<'l>(tested: &[Tested<'l>], stripped: &BTreeSet<String>) -> Tally<'l> {
    let own = |one: &Tested<'_>| {
        let is_known = !stripped.contains(&one.comparison.pinned.metric.key);
        if is_known { one.ln_e(Marked::Enough) } else { 0.0 }
    };
    Tally::new(tested, tested.iter().map(own).collect())
}

/// The kept buckets in which anything came: between one change and the next, and from the last one to the end. What changes a
/// segment changes the whole.
fn buckets(tested: &[Tested<'_>], kept_from: Option<Timestamp>) -> Vec<Bucket> {
    let (Some(kept_from), Some(first)) = (kept_from, tested.first()) else {
        return Vec::new();
    };
    let wholes = tested.iter().filter(|one| one.of == Of::Whole);
    let past = wholes.flat_map(|one| one.comparison.moments()).flat_map(|moments| &moments.past);
    let mut ends: Vec<Timestamp> = past.map(|past| past.at).filter(|at| *at > kept_from).collect();
    ends.push(first.comparison.as_of);
    ends.sort_unstable();
    ends.dedup();
    let begins = std::iter::once(kept_from).chain(ends.iter().copied());
    begins.zip(&ends).map(|(from, to)| Bucket { from, to: *to }).collect()
}
