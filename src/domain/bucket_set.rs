//! A set of buckets: which of the 1,000 parts of a layer or an experiment are given to someone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Shares of experiments are dealt in this many buckets.
pub const BUCKETS: i64 = 1_000;

/// A set of buckets from 0 to 999. It is written as ranges, for example `0-249,500`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketSet {
    /// Sorted, each once.
    buckets: Vec<u16>,
}

/// A text that is no set of buckets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be buckets from 0 to 999 as ranges such as `0-249,500`, found `{0}`")]
pub struct NotBuckets(String);

impl BucketSet {
    /// The first `count` buckets, at most all.
    #[must_use]
    pub fn first(count: u64) -> Self {
        Self::of((0..BUCKETS).take(usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// These buckets; what is no bucket is left out.
    #[must_use]
    pub fn of(buckets: impl IntoIterator<Item = i64>) -> Self {
        let buckets = buckets.into_iter().filter(|bucket| (0..BUCKETS).contains(bucket));
        let mut buckets: Vec<u16> = buckets.filter_map(|bucket| u16::try_from(bucket).ok()).collect();
        buckets.sort_unstable();
        buckets.dedup();
        Self { buckets }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Whether it is all of them.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        i64::try_from(self.buckets.len()) == Ok(BUCKETS)
    }

    /// Whether a bucket is one of them.
    #[must_use]
    pub fn contains(&self, bucket: i64) -> bool {
        u16::try_from(bucket).is_ok_and(|bucket| self.buckets.binary_search(&bucket).is_ok())
    }

    /// The buckets in order.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.buckets.iter().map(|bucket| i64::from(*bucket))
    }

    /// The buckets of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::of(self.iter().chain(other.iter()))
    }

    /// The first `count` buckets that are not in the set; fewer when there are not so many.
    #[must_use]
    pub fn free(&self, count: u64) -> Self {
        let free = (0..BUCKETS).filter(|bucket| !self.contains(*bucket));
        Self::of(free.take(usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// Whether all buckets of the other set are in it.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        other.iter().all(|bucket| self.contains(bucket))
    }
}

impl fmt::Display for BucketSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.buckets.chunk_by(|before, after| before + 1 == *after);
        for (index, range) in ranges.enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match range {
                [only] => write!(out, "{separator}{only}")?,
                [first, .., last] => write!(out, "{separator}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl FromStr for BucketSet {
    type Err = NotBuckets;

    fn from_str(text: &str) -> Result<Self, NotBuckets> {
        let bucket = |part: &str| part.trim().parse().ok().filter(|bucket| (0..BUCKETS).contains(bucket));
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(bucket(first)?..=bucket(last)?).filter(|range| !range.is_empty())
        };
        let parts = text.split(',').filter(|_| !text.trim().is_empty());
        let ranges: Option<Vec<_>> = parts.map(range).collect();
        let ranges = ranges.ok_or_else(|| NotBuckets(text.to_owned()))?;
        Ok(Self::of(ranges.into_iter().flatten()))
    }
}

impl TryFrom<String> for BucketSet {
    type Error = NotBuckets;

    fn try_from(text: String) -> Result<Self, NotBuckets> {
        text.parse()
    }
}

impl From<BucketSet> for String {
    fn from(set: BucketSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written_back() {
        for text in ["", "0", "0-249,500", "3,5,7-9", "0-999"] {
            assert_eq!(text.parse::<BucketSet>().unwrap().to_string(), text);
        }
        assert_eq!(" 7 - 9, 8, 3".parse::<BucketSet>().unwrap().to_string(), "3,7-9");
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        for text in ["1000", "-1", "5-3", "a", "1,", "1--2", "1;2"] {
            assert!(text.parse::<BucketSet>().is_err(), "{text}");
        }
    }

    #[test]
    fn free_buckets_are_those_of_nobody() {
        let taken = "0-9,20".parse::<BucketSet>().unwrap();
        assert_eq!(taken.free(12).to_string(), "10-19,21-22");
        assert_eq!(taken.free(5_000).len(), 989);
        assert!(BucketSet::first(1_000).is_everything() && BucketSet::first(1_000).free(1).is_empty());
    }
}
