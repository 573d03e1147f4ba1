//! Metrics.

use super::DocumentMessage;
use crate::domain::limit::{DEFAULT_LIMIT_UNITS, DEFAULT_LIMIT_WINDOW_MS, Limit};
use crate::domain::metric::{
    DEFAULT_FRESHNESS_MS, DEFAULT_MIN_UNITS, DEFAULT_SHIP_MARGIN, Direction, Metric, MetricKind,
};
use crate::domain::stored::Stored;
use crate::error::{Error, Result};
use crate::transport::grpc::convert::{count, duration_ms, wire_duration, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Metric {
    type Document = Metric;

    fn read(self) -> Result<(Metric, i64)> {
        let kind = match self.kind() {
            wire::MetricKind::Conversion => MetricKind::Conversion,
            wire::MetricKind::Count => MetricKind::Count,
            wire::MetricKind::Sum => MetricKind::Sum,
            wire::MetricKind::ActiveDays => MetricKind::ActiveDays,
            wire::MetricKind::Unspecified => {
                return Err(Error::field("metric.kind", "must be CONVERSION, COUNT, SUM or ACTIVE_DAYS"));
            }
        };
        let direction = match wire::MetricDirection::try_from(self.direction) {
            Ok(wire::MetricDirection::LowerIsBetter) => Direction::LowerIsBetter,
            Ok(wire::MetricDirection::HigherIsBetter | wire::MetricDirection::Unspecified) => {
                Direction::HigherIsBetter
            }
            Err(_) => {
                return Err(Error::field("metric.direction", "must be HIGHER_IS_BETTER or LOWER_IS_BETTER"));
            }
        };
        let min_units = self.min_units.map(u64::try_from).transpose();
        let min_units = min_units.map_err(|_| Error::field("metric.min_units", "must not be negative"))?;
        let window = self.window.as_ref().map(|window| duration_ms("metric.window", window)).transpose()?;
        let freshness = self.freshness.as_ref();
        let freshness = freshness.map(|freshness| duration_ms("metric.freshness", freshness)).transpose()?;
        let metric = Metric {
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            kind,
            event: self.event,
            direction,
            margin: self.margin,
            ship_margin: self.ship_margin.unwrap_or(DEFAULT_SHIP_MARGIN),
            weight: self.weight.unwrap_or(1.0),
            window_ms: window,
            freshness_ms: freshness.unwrap_or(DEFAULT_FRESHNESS_MS),
            min_units: min_units.unwrap_or(DEFAULT_MIN_UNITS),
            limit: self.limit.as_ref().map(limit).transpose()?,
        };
        Ok((metric, self.revision))
    }

    fn sent(stored: &Stored<Metric>) -> Self {
        let metric = &stored.document;
        let kind = match metric.kind {
            MetricKind::Conversion => wire::MetricKind::Conversion,
            MetricKind::Count => wire::MetricKind::Count,
            MetricKind::Sum => wire::MetricKind::Sum,
            MetricKind::ActiveDays => wire::MetricKind::ActiveDays,
        };
        let direction = match metric.direction {
            Direction::HigherIsBetter => wire::MetricDirection::HigherIsBetter,
            Direction::LowerIsBetter => wire::MetricDirection::LowerIsBetter,
        };
        Self {
            key: metric.key.clone(),
            revision: stored.revision,
            description: metric.description.clone(),
            owner: metric.owner.clone(),
            tags: metric.tags.clone(),
            kind: kind.into(),
            event: metric.event.clone(),
            direction: direction.into(),
            margin: metric.margin,
            ship_margin: Some(metric.ship_margin),
            weight: Some(metric.weight),
            window: metric.window_ms.map(wire_duration),
            freshness: Some(wire_duration(metric.freshness_ms)),
            min_units: Some(count(metric.min_units)),
            limit: metric.limit.map(sent_limit),
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}

fn limit(message: &wire::MetricLimit) -> Result<Limit> {
    let window = message.window.as_ref();
    let window = window.map(|window| duration_ms("metric.limit.window", window)).transpose()?;
    let units = message.min_units.map(u64::try_from).transpose();
    let units = units.map_err(|_| Error::field("metric.limit.min_units", "must not be negative"))?;
    Ok(Limit {
        level: message.level,
        window_ms: window.unwrap_or(DEFAULT_LIMIT_WINDOW_MS),
        min_units: units.unwrap_or(DEFAULT_LIMIT_UNITS),
    })
}

fn sent_limit(limit: Limit) -> wire::MetricLimit {
    wire::MetricLimit {
        level: limit.level,
        window: Some(wire_duration(limit.window_ms)),
        min_units: Some(count(limit.min_units)),
    }
}
