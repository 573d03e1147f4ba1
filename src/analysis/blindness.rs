//! Since when nothing can be said of a metric.

use super::decision::{Judgement, ReasonCode};
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;

/// Since when a metric is blind for a reason; none where that is not known.
///
/// A metric that an audit found blind has been so since it was first published so, one that is too old since it was, and one
/// without enough units since these were first looked for.
#[must_use]
pub fn blind_since(
    launch: &Launch,
    judgement: &Judgement,
    metric: &str,
    reason: ReasonCode,
) -> Option<Timestamp> {
    let published = judgement.blind.get(metric);
    match reason {
        ReasonCode::Stale | ReasonCode::AuditFailed | ReasonCode::Undefined if published.is_some() => {
            published?.since
        }
        ReasonCode::Stale => {
            let pinned = launch.metrics.iter().find(|pinned| pinned.metric.key == metric)?;
            Some(judgement.watermark?.plus_ms(pinned.metric.freshness_ms))
        }
        ReasonCode::NoData => Some(launch.started_at),
        ReasonCode::BurnIn => {
            let mut verdicts = judgement.verdicts.iter();
            let has_scale = verdicts.any(|found| found.metric == metric && found.scale.is_some());
            // Where there were enough once, it is the share in force that has too few.
            let epoch = launch.epoch().filter(|_| has_scale);
            Some(epoch.map_or(launch.started_at, |epoch| epoch.started_at))
        }
        _ => None,
    }
}

/// What stands between why a metric is blind and since when.
const SINCE: &str = "; blind since ";

/// Why a metric is blind, and since when.
pub(super) fn with_since(message: String, since: Option<Timestamp>) -> String {
    match since {
        Some(since) => format!("{message}{SINCE}{}", since.rfc3339()),
        None => message,
    }
}

/// Takes back what [`with_since`] added.
pub(super) fn without_since(message: &mut String) {
    if let Some(end) = message.rfind(SINCE) {
        message.truncate(end);
    }
}
