//! Between wire messages and domain types. What does not convert is an error that names the field.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{Duration, ListValue, Struct, Timestamp as WireTime, Value as WireValue};
use serde_json::{Number, Value};

use super::wire;
use crate::domain::decision_kind::DecisionKind;
use crate::domain::launch::{Needs, Step, Target};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::error::{Error, Result};

/// Deepest nesting of a JSON value.
const MAX_DEPTH: usize = 32;
/// Whole numbers below this are exact as doubles.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;
/// The attribute that stands for the browser family.
const BROWSER_NAME: &str = "browser_name";

/// A message field that must be there.
pub(super) fn required<T>(field: &str, message: Option<T>) -> Result<T> {
    message.ok_or_else(|| Error::field(field, "is required"))
}

/// `text`, or the default where it is empty.
pub(super) fn or_default(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

/// The user of a request, checked.
pub(super) fn user(field: &str, message: Option<wire::User>) -> Result<User> {
    let user = unchecked_user(field, required(field, message)?)?;
    user.check(field)?;
    Ok(user)
}

/// The user of an event; the event's own check covers it.
pub(super) fn unchecked_user(field: &str, message: wire::User) -> Result<User> {
    let mut custom = attributes(&format!("{field}.custom"), message.custom)?;
    let private = attributes(&format!("{field}.private"), message.private)?;
    if !message.browser.is_empty() && !private.contains_key(BROWSER_NAME) {
        custom.entry(BROWSER_NAME.to_owned()).or_insert(Value::String(message.browser));
    }
    Ok(User {
        user_id: message.user_id,
        custom_ids: message.custom_ids,
        email: message.email,
        ip: message.ip,
        user_agent: message.user_agent,
        country: message.country,
        locale: message.locale,
        app_version: message.app_version,
        environment: message.environment,
        custom,
        private,
    })
}

fn attributes(
    field: &str,
    messages: BTreeMap<String, wire::AttributeValue>,
) -> Result<BTreeMap<String, Value>> {
    let attribute = |(name, message): (String, wire::AttributeValue)| {
        let field = format!("{field}[{name}]");
        let value = match message.value {
            Some(wire::attribute_value::Value::Text(text)) => Value::String(text),
            Some(wire::attribute_value::Value::Number(value)) => number(&field, value)?,
            Some(wire::attribute_value::Value::Flag(flag)) => Value::Bool(flag),
            Some(wire::attribute_value::Value::Json(value)) => json(&field, value)?,
            None => return Err(Error::field(field, "holds no value")),
        };
        Ok((name, value))
    };
    messages.into_iter().map(attribute).collect()
}

/// Parameters by name.
pub(super) fn parameters(field: &str, message: Option<Struct>) -> Result<BTreeMap<String, Value>> {
    let fields = message.map(|message| message.fields).unwrap_or_default();
    let convert = |(name, value)| {
        let value = json(&format!("{field}[{name}]"), value)?;
        Ok((name, value))
    };
    fields.into_iter().map(convert).collect()
}

/// A JSON value.
pub(super) fn json(field: &str, value: WireValue) -> Result<Value> {
    json_within(field, value, MAX_DEPTH)
}

fn json_within(field: &str, value: WireValue, depth: usize) -> Result<Value> {
    if depth == 0 {
        return Err(Error::field(field, format!("must be nested at most {MAX_DEPTH} deep")));
    }
    let kind = value.kind.ok_or_else(|| Error::field(field, "holds no value"))?;
    Ok(match kind {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(flag) => Value::Bool(flag),
        Kind::NumberValue(value) => number(field, value)?,
        Kind::StringValue(text) => Value::String(text),
        Kind::ListValue(list) => {
            let values = list.values.into_iter().map(|value| json_within(field, value, depth - 1));
            Value::Array(values.collect::<Result<_>>()?)
        }
        Kind::StructValue(object) => {
            let fields = object.fields.into_iter();
            let fields = fields.map(|(name, value)| Ok((name, json_within(field, value, depth - 1)?)));
            Value::Object(fields.collect::<Result<_>>()?)
        }
    })
}

/// A finite number. A whole one is kept as such, so that it is written without a fraction.
fn number(field: &str, number: f64) -> Result<Value> {
    if number.fract() == 0.0 && number.abs() < MAX_WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
        return Ok(Value::Number((number as i64).into()));
    }
    let number = Number::from_f64(number).ok_or_else(|| Error::field(field, "must be a finite number"))?;
    Ok(Value::Number(number))
}

/// A JSON value as it is sent.
pub(super) fn wire_value(value: &Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(wire_value).collect() })
        }
        Value::Object(fields) => Kind::StructValue(wire_struct(fields)),
    };
    WireValue { kind: Some(kind) }
}

/// Values by name as they are sent.
pub(super) fn wire_struct<'v>(fields: impl IntoIterator<Item = (&'v String, &'v Value)>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, value)| (name.clone(), wire_value(value))).collect() }
}

/// A point in time, to the millisecond.
pub(super) fn timestamp(field: &str, time: &WireTime) -> Result<Timestamp> {
    let ms = (0..1_000_000_000)
        .contains(&time.nanos)
        .then(|| time.seconds.checked_mul(1_000))
        .flatten()
        .and_then(|ms| ms.checked_add(i64::from(time.nanos / 1_000_000)));
    ms.map(Timestamp)
        .ok_or_else(|| Error::field(field, "must be a point in time with nanos from 0 to 999,999,999"))
}

/// A point in time as it is sent.
pub(super) fn wire_time(time: Timestamp) -> WireTime {
    let nanos = i32::try_from(time.0.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    WireTime { seconds: time.0.div_euclid(1_000), nanos }
}

/// A length of time in whole milliseconds.
pub(super) fn duration_ms(field: &str, duration: &Duration) -> Result<i64> {
    let ms = duration.seconds.checked_mul(1_000);
    let ms = ms.and_then(|ms| ms.checked_add(i64::from(duration.nanos / 1_000_000)));
    ms.ok_or_else(|| Error::field(field, "is too long"))
}

/// A length of time as it is sent.
pub(super) fn wire_duration(ms: i64) -> Duration {
    let nanos = i32::try_from(ms % 1_000 * 1_000_000).unwrap_or_default();
    Duration { seconds: ms / 1_000, nanos }
}

/// A step of a ramp.
pub(super) fn step(field: &str, message: &wire::RampStep) -> Result<Step> {
    let duration = message.min_duration.as_ref();
    let min_duration_ms =
        duration.map(|duration| duration_ms(&format!("{field}.min_duration"), duration)).transpose()?;
    let min_units = u64::try_from(message.min_units)
        .map_err(|_| Error::field(format!("{field}.min_units"), "must not be negative"))?;
    let needs = match wire::StepNeeds::try_from(message.needs) {
        Ok(wire::StepNeeds::Unspecified | wire::StepNeeds::Time) => Needs::Time,
        Ok(wire::StepNeeds::Approval) => Needs::Approval,
        Ok(wire::StepNeeds::Evidence) => Needs::Evidence,
        Err(_) => {
            return Err(Error::field(format!("{field}.needs"), "must be TIME, APPROVAL or EVIDENCE"));
        }
    };
    let min_duration_ms = min_duration_ms.unwrap_or_default();
    Ok(Step { percentage: message.percentage, min_duration_ms, min_units, needs })
}

/// A step of a ramp as it is sent.
pub(super) fn wire_step(step: &Step) -> wire::RampStep {
    let needs = match step.needs {
        Needs::Time => wire::StepNeeds::Time,
        Needs::Approval => wire::StepNeeds::Approval,
        Needs::Evidence => wire::StepNeeds::Evidence,
    };
    wire::RampStep {
        percentage: step.percentage,
        min_duration: Some(wire_duration(step.min_duration_ms)),
        min_units: count(step.min_units),
        needs: needs.into(),
    }
}

/// A target as it is sent.
pub(super) fn wire_target(target: &Target) -> wire::Target {
    let (kind, key, rule_id) = match target {
        Target::GateRule { gate, rule } => (wire::TargetKind::GateRule, gate.clone(), rule.clone()),
        Target::ConfigRule { config, rule } => (wire::TargetKind::ConfigRule, config.clone(), rule.clone()),
        Target::Experiment { experiment } => {
            (wire::TargetKind::Experiment, experiment.clone(), String::new())
        }
        Target::Shipment { experiment } => (wire::TargetKind::Shipment, experiment.clone(), String::new()),
        Target::Holdout { holdout } => (wire::TargetKind::Holdout, holdout.clone(), String::new()),
    };
    wire::Target { kind: kind.into(), key, rule_id }
}

/// A count as it is sent.
pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A page size from 1 to 1,000, or 100 where none is given.
pub(super) fn page_size(size: i32) -> Result<usize> {
    match usize::try_from(size) {
        Ok(0) => Ok(100),
        Ok(size) if size <= 1_000 => Ok(size),
        _ => Err(Error::field("page_size", format!("must be from 1 to 1,000, is {size}"))),
    }
}

/// Kinds of decisions that are asked for.
pub(super) fn decision_kinds(field: &str, kinds: &[i32]) -> Result<Vec<DecisionKind>> {
    let kind = |(index, kind): (usize, &i32)| match wire::DecisionKind::try_from(*kind) {
        Ok(wire::DecisionKind::Allow) => Ok(DecisionKind::Allow),
        Ok(wire::DecisionKind::Hold) => Ok(DecisionKind::Hold),
        Ok(wire::DecisionKind::Block) => Ok(DecisionKind::Block),
        Ok(wire::DecisionKind::RollBack) => Ok(DecisionKind::RollBack),
        Ok(wire::DecisionKind::Unspecified) | Err(_) => {
            Err(Error::field(format!("{field}[{index}]"), "must be ALLOW, HOLD, BLOCK or ROLL_BACK"))
        }
    };
    kinds.iter().enumerate().map(kind).collect()
}
