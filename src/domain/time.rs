//! Points and lengths of time, in whole milliseconds.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

/// Milliseconds of one UTC day.
pub const DAY_MS: i64 = 86_400_000;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The point `ms` milliseconds later; it stops at the ends of the range.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point; negative when this point comes first.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As a text, to the millisecond; empty where no calendar has it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let time = DateTime::from_timestamp_millis(self.0);
        time.map(|time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default()
    }

    /// Number of the UTC day, counted from 1970-01-01.
    #[must_use]
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc() {
        assert_eq!(Timestamp(1_772_366_400_500).rfc3339(), "2026-03-01T12:00:00.500Z");
        assert_eq!(Timestamp(i64::MAX).rfc3339(), "");
    }
}
