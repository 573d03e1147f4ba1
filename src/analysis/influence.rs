//! No single moment carries a rollback: what is left of the evidence when any one bucket of event time is taken away.
//!
//! Rows of one arm that come late, or twice, look like harm for one bucket. Taking a bucket away can only make a
//! rollback rarer, so that the error rate stays what it is.

use super::comparison::Comparison;
use super::decision::Bucket;
use super::evidence::{Marked, ln_e_harm};
use super::tally::Tally;
use crate::domain::time::Timestamp;

/// The least evidence with marks of enough treated units, over the whole and over everything but one bucket; and the
/// bucket without which the launch-level e-value is least, none where that is the whole.
///
/// Scales are those of the whole. What has no evidence left counts as 1, and so does what is undefined.
pub(super) fn least<'l>(
    comparisons: &[Comparison<'l>],
    weights: &[f64],
    kept_from: Option<Timestamp>,
) -> (Tally<'l>, Option<Bucket>) {
    let tally = |comparisons: &[Comparison<'l>]| {
        let own = comparisons.iter().map(|comparison| ln_e_harm(comparison, Marked::Enough));
        Tally::new(comparisons, weights, own.collect())
    };
    let whole = (tally(comparisons), None);
    buckets(comparisons, kept_from).into_iter().fold(whole, |(least, carrier), bucket| {
        let without: Vec<Comparison<'l>> = comparisons.iter().map(|one| one.without(&bucket)).collect();
        let without = tally(&without);
        let carrier = if without.launch < least.launch { Some(bucket) } else { carrier };
        (least.least(&without), carrier)
    })
}

/// The kept buckets in which anything came: between one change and the next, and from the last one to the end.
fn buckets(comparisons: &[Comparison<'_>], kept_from: Option<Timestamp>) -> Vec<Bucket> {
    let (Some(kept_from), Some(first)) = (kept_from, comparisons.first()) else {
        return Vec::new();
    };
    let past = comparisons.iter().flat_map(Comparison::moments).flat_map(|moments| &moments.past);
    let mut ends: Vec<Timestamp> = past.map(|past| past.at).filter(|at| *at > kept_from).collect();
    ends.push(first.as_of);
    ends.sort_unstable();
    ends.dedup();
    let begins = std::iter::once(kept_from).chain(ends.iter().copied());
    begins.zip(&ends).map(|(from, to)| Bucket { from, to: *to }).collect()
}
