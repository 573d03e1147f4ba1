//! What metrics of some kinds have besides.

use crate::domain::metric::MetricKind;
use crate::domain::metric::audits::Audits;
use crate::domain::metric::filter::{Filter, FilterOperator, FilterSubject};
use crate::domain::metric::kind::{Activity, Of, Part, Returned, Side, StateChange, Tail};
use crate::error::{Error, Result};
use crate::transport::grpc::wire;

pub(super) fn read_kind(field: &str, kind: i32) -> Result<MetricKind> {
    Ok(match wire::MetricKind::try_from(kind) {
        Ok(wire::MetricKind::Conversion) => MetricKind::Conversion,
        Ok(wire::MetricKind::Count) => MetricKind::Count,
        Ok(wire::MetricKind::Sum) => MetricKind::Sum,
        Ok(wire::MetricKind::ActiveDays) => MetricKind::ActiveDays,
        Ok(wire::MetricKind::Mean) => MetricKind::Mean,
        Ok(wire::MetricKind::Ratio) => MetricKind::Ratio,
        Ok(wire::MetricKind::Retention) => MetricKind::Retention,
        Ok(wire::MetricKind::Quantile) => MetricKind::Quantile,
        Ok(wire::MetricKind::StateChange) => MetricKind::StateChange,
        Ok(wire::MetricKind::Unspecified) | Err(_) => {
            let kinds =
                "CONVERSION, COUNT, SUM, ACTIVE_DAYS, MEAN, RATIO, RETENTION, QUANTILE or STATE_CHANGE";
            return Err(Error::field(field, format!("must be {kinds}")));
        }
    })
}

pub(super) fn wire_kind(kind: MetricKind) -> wire::MetricKind {
    match kind {
        MetricKind::Conversion => wire::MetricKind::Conversion,
        MetricKind::Count => wire::MetricKind::Count,
        MetricKind::Sum => wire::MetricKind::Sum,
        MetricKind::ActiveDays => wire::MetricKind::ActiveDays,
        MetricKind::Mean => wire::MetricKind::Mean,
        MetricKind::Ratio => wire::MetricKind::Ratio,
        MetricKind::Retention => wire::MetricKind::Retention,
        MetricKind::Quantile => wire::MetricKind::Quantile,
        MetricKind::StateChange => wire::MetricKind::StateChange,
    }
}

pub(super) fn read_filters(field: &str, filters: Vec<wire::MetricFilter>) -> Result<Vec<Filter>> {
    let read = |(index, filter): (usize, wire::MetricFilter)| {
        let wrong = |name: &str, names: &str| {
            Error::field(format!("{field}[{index}].{name}"), format!("must be {names}"))
        };
        let of = match wire::MetricFilterSubject::try_from(filter.of) {
            Ok(wire::MetricFilterSubject::Attribute) => FilterSubject::Attribute,
            Ok(wire::MetricFilterSubject::Property | wire::MetricFilterSubject::Unspecified) => {
                FilterSubject::Property
            }
            Err(_) => return Err(wrong("of", "PROPERTY or ATTRIBUTE")),
        };
        let operator = match wire::MetricFilterOperator::try_from(filter.operator) {
            Ok(wire::MetricFilterOperator::Any | wire::MetricFilterOperator::Unspecified) => {
                FilterOperator::Any
            }
            Ok(wire::MetricFilterOperator::None) => FilterOperator::None,
            Ok(wire::MetricFilterOperator::Present) => FilterOperator::Present,
            Ok(wire::MetricFilterOperator::Absent) => FilterOperator::Absent,
            Err(_) => return Err(wrong("operator", "ANY, NONE, PRESENT or ABSENT")),
        };
        Ok(Filter { of, name: filter.name, operator, values: filter.values })
    };
    filters.into_iter().enumerate().map(read).collect()
}

pub(super) fn filters(filters: &[Filter]) -> Vec<wire::MetricFilter> {
    let sent = |filter: &Filter| {
        let of = match filter.of {
            FilterSubject::Property => wire::MetricFilterSubject::Property,
            FilterSubject::Attribute => wire::MetricFilterSubject::Attribute,
        };
        let operator = match filter.operator {
            FilterOperator::Any => wire::MetricFilterOperator::Any,
            FilterOperator::None => wire::MetricFilterOperator::None,
            FilterOperator::Present => wire::MetricFilterOperator::Present,
            FilterOperator::Absent => wire::MetricFilterOperator::Absent,
        };
        let (name, values) = (filter.name.clone(), filter.values.clone());
        wire::MetricFilter { of: of.into(), name, operator: operator.into(), values }
    };
    filters.iter().map(sent).collect()
}

pub(super) fn read_part(field: &str, part: wire::MetricPart) -> Result<Part> {
    let kind = match part.kind() {
        wire::MetricKind::Unspecified if part.kind == 0 => MetricKind::Count,
        _ => read_kind(&format!("{field}.kind"), part.kind)?,
    };
    let filters = read_filters(&format!("{field}.filters"), part.filters)?;
    Ok(Part { event: part.event, kind, filters })
}

pub(super) fn part(part: &Part) -> wire::MetricPart {
    let (event, filters) = (part.event.clone(), filters(&part.filters));
    wire::MetricPart { event, kind: wire_kind(part.kind).into(), filters }
}

pub(super) fn read_returned(returned: wire::MetricReturned) -> Result<Returned> {
    Ok(Returned {
        from_day: whole("metric.returned.from_day", returned.from_day)?,
        to_day: whole("metric.returned.to_day", returned.to_day)?,
    })
}

pub(super) fn returned(returned: Returned) -> wire::MetricReturned {
    wire::MetricReturned { from_day: days(returned.from_day), to_day: days(returned.to_day) }
}

pub(super) fn read_tail(tail: wire::MetricTail) -> Result<Tail> {
    let side = match wire::MetricTailSide::try_from(tail.side) {
        Ok(wire::MetricTailSide::Above | wire::MetricTailSide::Unspecified) => Side::Above,
        Ok(wire::MetricTailSide::Below) => Side::Below,
        Err(_) => return Err(Error::field("metric.tail.side", "must be ABOVE or BELOW")),
    };
    let of = match wire::MetricTailOf::try_from(tail.of) {
        Ok(wire::MetricTailOf::Events | wire::MetricTailOf::Unspecified) => Of::Events,
        Ok(wire::MetricTailOf::Units) => Of::Units,
        Err(_) => return Err(Error::field("metric.tail.of", "must be EVENTS or UNITS")),
    };
    Ok(Tail { quantile: tail.quantile, threshold: tail.threshold, side, of })
}

pub(super) fn tail(tail: &Tail) -> wire::MetricTail {
    let side = match tail.side {
        Side::Above => wire::MetricTailSide::Above,
        Side::Below => wire::MetricTailSide::Below,
    };
    let of = match tail.of {
        Of::Events => wire::MetricTailOf::Events,
        Of::Units => wire::MetricTailOf::Units,
    };
    wire::MetricTail { quantile: tail.quantile, threshold: tail.threshold, side: side.into(), of: of.into() }
}

pub(super) fn read_state(state: wire::MetricStateChange) -> Result<StateChange> {
    let to = match wire::MetricActivity::try_from(state.to) {
        Ok(wire::MetricActivity::Churned) => Activity::Churned,
        Ok(wire::MetricActivity::Resurrected) => Activity::Resurrected,
        Ok(wire::MetricActivity::Stale) => Activity::Stale,
        Ok(wire::MetricActivity::New) => Activity::New,
        Ok(wire::MetricActivity::Unspecified) | Err(_) => {
            return Err(Error::field("metric.state.to", "must be CHURNED, RESURRECTED, STALE or NEW"));
        }
    };
    Ok(StateChange { to, days: whole("metric.state.days", state.days)? })
}

pub(super) fn state(state: StateChange) -> wire::MetricStateChange {
    let to = match state.to {
        Activity::Churned => wire::MetricActivity::Churned,
        Activity::Resurrected => wire::MetricActivity::Resurrected,
        Activity::Stale => wire::MetricActivity::Stale,
        Activity::New => wire::MetricActivity::New,
    };
    wire::MetricStateChange { to: to.into(), days: days(state.days) }
}

pub(super) fn read_audits(audits: &wire::MetricAudits) -> Audits {
    Audits {
        min_volume: audits.min_volume,
        max_volume: audits.max_volume,
        max_without_value: audits.max_without_value,
        max_without_unit: audits.max_without_unit,
        min_value: audits.min_value,
        max_value: audits.max_value,
        max_duplicates: audits.max_duplicates,
        max_skewed: audits.max_skewed,
        min_joined: audits.min_joined,
        max_in_two_arms: audits.max_in_two_arms,
    }
}

/// None where every bound has its default.
pub(super) fn audits(audits: &Audits) -> Option<wire::MetricAudits> {
    (*audits != Audits::default()).then_some(wire::MetricAudits {
        min_volume: audits.min_volume,
        max_volume: audits.max_volume,
        max_without_value: audits.max_without_value,
        max_without_unit: audits.max_without_unit,
        min_value: audits.min_value,
        max_value: audits.max_value,
        max_duplicates: audits.max_duplicates,
        max_skewed: audits.max_skewed,
        min_joined: audits.min_joined,
        max_in_two_arms: audits.max_in_two_arms,
    })
}

fn whole(field: &str, days: i32) -> Result<u32> {
    u32::try_from(days).map_err(|_| Error::field(field, "must not be negative"))
}

fn days(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}
