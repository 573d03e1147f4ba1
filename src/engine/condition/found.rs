//! What a condition found of a user.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

use crate::domain::condition::number_text;
use crate::domain::time::Timestamp;

/// What a condition found of a user.
#[derive(Debug)]
pub(super) enum Found<'u> {
    /// Nothing.
    Missing,
    /// A text.
    Text(Cow<'u, str>),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// A list or an object.
    Structure(&'u Value),
}

impl<'u> Found<'u> {
    /// A JSON value of a user.
    pub(super) fn json(value: &'u Value) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Number(number) if number.is_f64() => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::Number(number) => match number.as_i64().filter(|whole| whole.unsigned_abs() < 1 << 53) {
                Some(whole) => Self::Number(whole as f64),
                None => Self::Text(Cow::Owned(number_text(number))),
            },
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Structure(value),
        }
    }

    /// The text it is compared by.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Flag(true) => Some(Cow::Borrowed("true")),
            Self::Flag(false) => Some(Cow::Borrowed("false")),
            Self::Structure(value) => Some(Cow::Owned(value.to_string())),
        }
    }

    /// The number it is, or whose text it is.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Missing | Self::Flag(_) | Self::Structure(_) => None,
        }
    }

    /// The time it is, in milliseconds since 1970: a whole number or digits of seconds or milliseconds, or a written time.
    pub(super) fn time(&self) -> Option<f64> {
        let number = match self {
            Self::Text(text) => match text.parse::<i64>() {
                Ok(digits) => digits as f64,
                Err(_) => return written_time(text),
            },
            Self::Number(number) if number.fract() == 0.0 && number.abs() < i64::MAX as f64 => *number,
            _ => return None,
        };
        Some(if number.abs() < SECONDS_BELOW { number * 1_000.0 } else { number })
    }
}

/// Numbers below this are seconds.
const SECONDS_BELOW: f64 = 1e10;

/// Lengths in bytes of written times. SDKs do not look at longer ones, so that there is no room for an offset or for
/// milliseconds.
const WRITTEN_BYTES: RangeInclusive<usize> = 8..=20;

/// RFC 3339, or a UTC date and time without a zone.
fn written_time(text: &str) -> Option<f64> {
    if !WRITTEN_BYTES.contains(&text.len()) {
        return None;
    }
    let with_zone = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let without = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map(|time| time.and_utc());
    let ms = with_zone.or_else(|_| without().map(|time| time.timestamp_millis()));
    ms.ok().map(|ms| ms as f64)
}

impl From<Timestamp> for Found<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Number(time.0 as f64)
    }
}
