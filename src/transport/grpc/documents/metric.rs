//! Metrics.

mod parts;

use self::parts::{
    audits, filters, part, read_audits, read_filters, read_kind, read_part, read_returned, read_state,
    read_tail, returned, state, tail, wire_kind,
};
use super::DocumentMessage;
use crate::domain::limit::{DEFAULT_LIMIT_UNITS, DEFAULT_LIMIT_WINDOW_MS, Limit};
use crate::domain::metric::{
    Action, DEFAULT_FRESHNESS_MS, DEFAULT_MIN_UNITS, DEFAULT_SHIP_MARGIN, Direction, Metric,
};
use crate::domain::stored::Stored;
use crate::error::{Error, Result};
use crate::transport::grpc::convert::{count, duration_ms, wire_duration, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Metric {
    type Document = Metric;

    fn read(self) -> Result<(Metric, i64)> {
        let kind = read_kind("metric.kind", self.kind)?;
        let direction = match wire::MetricDirection::try_from(self.direction) {
            Ok(wire::MetricDirection::LowerIsBetter) => Direction::LowerIsBetter,
            Ok(wire::MetricDirection::HigherIsBetter | wire::MetricDirection::Unspecified) => {
                Direction::HigherIsBetter
            }
            Err(_) => {
                return Err(Error::field("metric.direction", "must be HIGHER_IS_BETTER or LOWER_IS_BETTER"));
            }
        };
        let action = match wire::MetricAction::try_from(self.action) {
            Ok(wire::MetricAction::RollBack | wire::MetricAction::Unspecified) => Action::RollBack,
            Ok(wire::MetricAction::Hold) => Action::Hold,
            Ok(wire::MetricAction::Report) => Action::Report,
            Err(_) => return Err(Error::field("metric.action", "must be ROLL_BACK, HOLD or REPORT")),
        };
        let min_units = self.min_units.map(u64::try_from).transpose();
        let min_units = min_units.map_err(|_| Error::field("metric.min_units", "must not be negative"))?;
        let window = self.window.as_ref().map(|window| duration_ms("metric.window", window)).transpose()?;
        let covariate = self.covariate.as_ref();
        let covariate = covariate.map(|covariate| duration_ms("metric.covariate", covariate)).transpose()?;
        let freshness = self.freshness.as_ref();
        let freshness = freshness.map(|freshness| duration_ms("metric.freshness", freshness)).transpose()?;
        let metric = Metric {
            key: self.key,
            name: self.name,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            kind,
            event: self.event,
            unit_type: self.unit_type,
            filters: read_filters("metric.filters", self.filters)?,
            numerator: self.numerator.map(|part| read_part("metric.numerator", part)).transpose()?,
            denominator: self.denominator.map(|part| read_part("metric.denominator", part)).transpose()?,
            returned: self.returned.map(read_returned).transpose()?,
            tail: self.tail.map(read_tail).transpose()?,
            state: self.state.map(read_state).transpose()?,
            cap: self.cap,
            covariate_ms: covariate,
            direction,
            margin: self.margin,
            ship_margin: self.ship_margin.unwrap_or(DEFAULT_SHIP_MARGIN),
            weight: self.weight.unwrap_or(1.0),
            window_ms: window,
            freshness_ms: freshness.unwrap_or(DEFAULT_FRESHNESS_MS),
            min_units: min_units.unwrap_or(DEFAULT_MIN_UNITS),
            rare: self.rare,
            action,
            audits: self.audits.map(|audits| read_audits(&audits)).unwrap_or_default(),
            limit: self.limit.as_ref().map(limit).transpose()?,
        };
        Ok((metric, self.revision))
    }

    fn sent(stored: &Stored<Metric>) -> Self {
        let metric = &stored.document;
        let direction = match metric.direction {
            Direction::HigherIsBetter => wire::MetricDirection::HigherIsBetter,
            Direction::LowerIsBetter => wire::MetricDirection::LowerIsBetter,
        };
        let action = match metric.action {
            Action::RollBack => wire::MetricAction::RollBack,
            Action::Hold => wire::MetricAction::Hold,
            Action::Report => wire::MetricAction::Report,
        };
        Self {
            key: metric.key.clone(),
            name: metric.name.clone(),
            revision: stored.revision,
            description: metric.description.clone(),
            owner: metric.owner.clone(),
            tags: metric.tags.clone(),
            kind: wire_kind(metric.kind).into(),
            event: metric.event.clone(),
            unit_type: metric.unit_type.clone(),
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
            filters: filters(&metric.filters),
            numerator: metric.numerator.as_ref().map(part),
            denominator: metric.denominator.as_ref().map(part),
            returned: metric.returned.map(returned),
            tail: metric.tail.as_ref().map(tail),
            state: metric.state.map(state),
            cap: metric.cap,
            covariate: metric.covariate_ms.map(wire_duration),
            rare: metric.rare,
            action: action.into(),
            audits: audits(&metric.audits),
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
