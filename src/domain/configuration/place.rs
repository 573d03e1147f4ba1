//! Where in a text a field stands.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use yaml_serde::Value;

/// The line of a field, from 1, or of the innermost thing around it that is written down.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let steps = steps(path);
    (1..=steps.len()).rev().find_map(|length| {
        let steps = steps.get(..length)?;
        // The walk stops at the field with an error, which is how the reader tells the place.
        let stopped = Walk { steps }.deserialize(yaml_serde::Deserializer::from_str(text));
        stopped.err()?.location().map(|location| location.line())
    })
}

/// The path of the first number that is infinite or none, which JSON can not hold.
pub(super) fn non_finite(text: &str) -> Option<String> {
    find_non_finite(&yaml_serde::from_str(text).ok()?)
}

fn find_non_finite(value: &Value) -> Option<String> {
    let joined = |step: String, rest: String| {
        let separator = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
        format!("{step}{separator}{rest}")
    };
    match value {
        Value::Number(number) => number.as_f64().filter(|number| !number.is_finite()).map(|_| String::new()),
        Value::Sequence(values) => values
            .iter()
            .enumerate()
            .find_map(|(index, value)| Some(joined(format!("[{index}]"), find_non_finite(value)?))),
        Value::Mapping(fields) => fields.iter().find_map(|(name, value)| {
            Some(joined(name.as_str().unwrap_or_default().to_owned(), find_non_finite(value)?))
        }),
        Value::Tagged(tagged) => find_non_finite(&tagged.value),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// The steps of a path such as `gates[0].rules[1].percentage`.
fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        steps.push(step);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

/// Goes down to a field. Where the way ends early, the reader stops there with an error of its own.
struct Walk<'p> {
    steps: &'p [&'p str],
}

/// Accepts nothing, and so stops the reader where it stands.
struct Stop;

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.steps.is_empty() {
            deserializer.deserialize_any(Stop)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'p> Walk<'p> {
    fn split(&self) -> (&'p str, Walk<'p>) {
        match self.steps.split_first() {
            Some((first, rest)) => (first, Walk { steps: rest }),
            None => ("", Walk { steps: &[] }),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list or fields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let (step, rest) = self.split();
        let Ok(index) = step.parse::<usize>() else { return skip_values(values) };
        for _ in 0..index {
            if values.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        values.next_element_seed(rest)?;
        skip_values(values)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let (step, rest) = self.split();
        while let Some(name) = fields.next_key::<String>()? {
            if name == step {
                fields.next_value_seed(Walk { steps: rest.steps })?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

fn skip_values<'de, A: SeqAccess<'de>>(mut values: A) -> Result<(), A::Error> {
    while values.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

impl Visitor<'_> for Stop {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("nothing")
    }
}
