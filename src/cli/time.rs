//! Points in time for people, and those that people mean.

use std::time::{Duration, UNIX_EPOCH};

use prost_types::Timestamp;

use crate::clock::Clock;

/// A point in time in UTC, to the second.
pub(super) fn shown(time: &Timestamp) -> String {
    let since = Duration::from_secs(u64::try_from(time.seconds).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// The point in time after a while from now.
pub(super) fn after(lasting: Duration) -> Timestamp {
    let now = u64::try_from(Clock::system().now().0).unwrap_or_default();
    let since = Duration::from_millis(now).saturating_add(lasting);
    let nanos = i32::try_from(since.subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos }
}
