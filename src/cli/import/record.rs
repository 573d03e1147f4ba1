//! One row as fields, and what kinds of messages are made of it.

use std::path::Path;

use chrono::DateTime;
use tonic::Status;
use tonic::transport::Channel;

use super::mapping::{Chosen, TimeUnit};
use super::table::Cell;
use crate::domain::time::Timestamp;
use crate::transport::grpc::wire::event_service_client::EventServiceClient;
use crate::transport::grpc::wire::{AttributeValue, EventOutcome, User, attribute_value};

/// Fields of a user; those that end with a dot stand for all that begin so.
const CUSTOM_ID: &str = "custom_ids.";
const CUSTOM: &str = "custom.";

/// What a file is brought in as.
pub(super) trait Kind {
    /// What is sent of one row.
    type Message: prost::Message + Clone;
    /// Its name in the words of a person.
    const NAME: &'static str;
    /// Fields that a row may have; one that ends with a dot stands for all that begin so.
    const FIELDS: &'static [&'static str];

    /// Says which fields are missing, before any row is read.
    fn check(&self, chosen: &Chosen) -> Result<(), String>;

    /// What is sent of a row, or why it is refused: the field, and what would be right.
    fn message(&self, record: &Record<'_>) -> Result<Self::Message, String>;

    /// Sends a batch; one outcome with its message for each, in order.
    async fn send(
        client: &mut EventServiceClient<Channel>,
        batch: Vec<Self::Message>,
    ) -> Result<Vec<(EventOutcome, String)>, Status>;
}

/// One row of a file.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) path: &'r Path,
    /// From 1; a line of names does not count.
    pub(super) number: u64,
    pub(super) chosen: &'r Chosen,
    pub(super) cells: Vec<Option<Cell>>,
    pub(super) time_unit: Option<TimeUnit>,
}

impl Record<'_> {
    /// Whether the row has what `--only` asks for.
    pub(super) fn is_wanted(&self) -> bool {
        self.chosen.only.iter().all(|(place, wanted)| match self.cell(*place) {
            Some(Cell::Text(text)) => text == wanted,
            Some(Cell::Time(time)) => time.rfc3339() == *wanted,
            None => wanted.is_empty(),
        })
    }

    /// The text of a field; empty where there is none.
    pub(super) fn text(&self, field: &str) -> String {
        match self.chosen.fields.get(field) {
            Some(place) => self.column(*place).unwrap_or_default(),
            None => self.chosen.constants.get(field).cloned().unwrap_or_default(),
        }
    }

    /// The text of a field that must be there.
    pub(super) fn required(&self, field: &str) -> Result<String, String> {
        let text = self.text(field);
        if text.is_empty() { Err(format!("{field}: must not be empty")) } else { Ok(text) }
    }

    /// A field that is yes or no.
    pub(super) fn flag(&self, field: &str) -> Result<bool, String> {
        match self.required(field)?.to_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("{field}: must be true, false, 1 or 0, is `{other}`")),
        }
    }

    /// A field that is a number, where there is one.
    pub(super) fn number(&self, field: &str) -> Result<Option<f64>, String> {
        let text = self.text(field);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.trim().parse().map_err(|_| format!("{field}: must be a number, is `{text}`"))?;
        Ok(Some(number))
    }

    /// The time of the row.
    pub(super) fn time(&self) -> Result<prost_types::Timestamp, String> {
        let place = self.chosen.fields.get("time");
        let time = match place.and_then(|place| self.cell(*place)) {
            Some(Cell::Time(time)) => *time,
            _ => parse_time(&self.required("time")?, self.time_unit)?,
        };
        let nanos = i32::try_from(time.0.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
        Ok(prost_types::Timestamp { seconds: time.0.div_euclid(1_000), nanos })
    }

    /// The user of the row.
    pub(super) fn user(&self) -> User {
        let given = || self.chosen.fields.keys().chain(self.chosen.constants.keys());
        let named = |prefix: &'static str| {
            let name = move |field: &String| Some((field.strip_prefix(prefix)?.to_owned(), self.text(field)));
            given().filter_map(name).filter(|(_, text)| !text.is_empty())
        };
        let attribute = |text| AttributeValue { value: Some(attribute_value::Value::Text(text)) };
        User {
            user_id: self.text("user_id"),
            custom_ids: named(CUSTOM_ID).collect(),
            country: self.text("country"),
            locale: self.text("locale"),
            app_version: self.text("app_version"),
            custom: named(CUSTOM).map(|(name, text)| (name, attribute(text))).collect(),
            ..User::default()
        }
    }

    /// What a column has, as a text.
    pub(super) fn column(&self, place: usize) -> Option<String> {
        self.cell(place).map(|cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Time(time) => time.rfc3339(),
        })
    }

    fn cell(&self, place: usize) -> Option<&Cell> {
        self.cells.get(place)?.as_ref()
    }
}

/// Says so where rows have no id of a user, or no time.
pub(super) fn check_user_and_time(chosen: &Chosen) -> Result<(), String> {
    let has_id = chosen.has("user_id") || chosen.fields.keys().any(|field| field.starts_with(CUSTOM_ID));
    if !has_id {
        return Err(
            "whom it happened to is missing: give --map user_id=COLUMN or --map custom_ids.TYPE=COLUMN"
                .to_owned(),
        );
    }
    check_given(chosen, "time")
}

/// Says so where a field is missing.
pub(super) fn check_given(chosen: &Chosen, field: &str) -> Result<(), String> {
    if chosen.has(field) {
        return Ok(());
    }
    Err(format!("`{field}` is missing: give --map {field}=COLUMN or --set {field}=VALUE"))
}

fn parse_time(text: &str, unit: Option<TimeUnit>) -> Result<Timestamp, String> {
    let text = text.trim();
    let Some(unit) = unit else {
        return DateTime::parse_from_rfc3339(text).map(|time| Timestamp(time.timestamp_millis())).map_err(
            |_| {
                let hint = if text.parse::<f64>().is_ok() {
                    "; for numbers give --time-unit s, ms or us"
                } else {
                    ""
                };
                format!("time: must be as in 2026-03-01T12:00:00Z, is `{text}`{hint}")
            },
        );
    };
    let whole = text.parse::<i64>().ok().and_then(|number| match unit {
        TimeUnit::S => number.checked_mul(1_000),
        TimeUnit::Ms => Some(number),
        TimeUnit::Us => Some(number.div_euclid(1_000)),
    });
    let fraction = || {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        let ms = match unit {
            TimeUnit::S => number * 1_000.0,
            TimeUnit::Ms => number,
            TimeUnit::Us => number / 1_000.0,
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast clamps, and the server refuses such times"
        )]
        Some(ms.round() as i64)
    };
    let ms = whole.or_else(fraction).ok_or_else(|| format!("time: must be a number, is `{text}`"))?;
    Ok(Timestamp(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_or_numbers_of_a_unit() {
        let cases = [
            ("2026-03-01T12:00:00Z", None, 1_772_366_400_000),
            ("2026-03-01T13:00:00.5+01:00", None, 1_772_366_400_500),
            ("1772366400", Some(TimeUnit::S), 1_772_366_400_000),
            ("1772366400.25", Some(TimeUnit::S), 1_772_366_400_250),
            ("1772366400001", Some(TimeUnit::Ms), 1_772_366_400_001),
            ("1772366400001999", Some(TimeUnit::Us), 1_772_366_400_001),
            ("-1", Some(TimeUnit::Us), -1),
        ];
        for (text, unit, ms) in cases {
            assert_eq!(parse_time(text, unit), Ok(Timestamp(ms)), "{text}");
        }
        let number = parse_time("1772366400", None).unwrap_err();
        assert!(number.ends_with("give --time-unit s, ms or us"), "{number}");
        for (text, unit) in [("noon", Some(TimeUnit::S)), ("2026-03-01", None), ("NaN", Some(TimeUnit::Ms))] {
            assert!(parse_time(text, unit).is_err(), "{text}");
        }
    }
}
