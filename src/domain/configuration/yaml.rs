//! The text of a configuration: YAML, with errors that name the field and the line.

use serde::Serialize;

use super::Configuration;
use super::place::{line_of, non_finite};
use crate::domain::violation::{Invalid, Violation};

/// Of this many violations the line is looked up; each look reads the text.
const MAX_LOCATED: usize = 20;

impl Configuration {
    /// Reads a text and checks every document for itself. What is wrong is named with its path and line.
    pub fn from_yaml(text: &str) -> Result<Self, Invalid> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let reader = yaml_serde::Deserializer::from_str(text);
        let configuration: Self =
            serde_path_to_error::deserialize(reader).map_err(|error| unreadable(&error))?;
        if let Some(path) = non_finite(text) {
            return Err(located(text, Invalid::field(path, "must be a finite number")));
        }
        configuration.check().map_err(|invalid| located(text, invalid))?;
        Ok(configuration)
    }

    /// The text, in the same order whenever the documents are the same.
    pub fn to_yaml(&self) -> Result<String, yaml_serde::Error> {
        if self.is_empty() {
            return Ok(String::new());
        }
        yaml_serde::to_string(self)
    }
}

/// The text of one document.
pub(super) fn document_yaml<T: Serialize>(document: &T) -> Result<String, yaml_serde::Error> {
    yaml_serde::to_string(document)
}

fn unreadable(error: &serde_path_to_error::Error<yaml_serde::Error>) -> Invalid {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    // The reader names most of the path itself.
    let message = match message.split_once(": ") {
        Some((place, rest)) if path.starts_with(place) => rest.to_owned(),
        _ => message,
    };
    // The whole text has no path.
    let path = if path == "." { "configuration".to_owned() } else { path };
    Invalid::field(path, message)
}

/// What is wrong with the text of a configuration, with the line of each field.
#[must_use]
pub fn located(text: &str, invalid: Invalid) -> Invalid {
    let with_line = |(index, violation): (usize, Violation)| {
        let line = (index < MAX_LOCATED).then(|| line_of(text, &violation.field)).flatten();
        let message = match line {
            Some(line) => format!("{} (line {line})", violation.message),
            None => violation.message,
        };
        Violation { field: violation.field, message }
    };
    Invalid(invalid.0.into_iter().enumerate().map(with_line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Configuration::from_yaml(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path_and_line() {
        let gate =
            "gates:\n- key: new_checkout\n  unit_type: user_id\n  salt: s\n  rules:\n  - id: everyone\n";
        let cases = [
            (format!("{gate}    percentag: 10\n"), "gates[0].rules[0].percentag: unknown field", "line 7"),
            (format!("{gate}    percentage: ten\n"), "gates[0].rules[0].percentage: invalid type", "line 7"),
            (gate.to_owned(), "gates[0].rules[0]: missing field `percentage`", "line 6"),
            (
                format!("{gate}    percentage: 101\n"),
                "gates[0].rules[0].percentage: must be a number",
                "line 7",
            ),
            (format!("# A comment.\n\n{gate}    percentage: 1\n    name: [\n"), "gates", "line"),
            ("gates: []\ngatez: []\n".to_owned(), "gatez: unknown field `gatez`", ""),
            (
                format!("{gate}    percentage: 1\n- key: new_checkout\n  unit_type: u\n  salt: s\n"),
                "gates[1].key",
                "line 8",
            ),
            (
                "configs:\n- key: c\n  unit_type: user_id\n  salt: s\n  default_value: {a: [1, .inf]}\n"
                    .to_owned(),
                "configs[0].default_value.a[1]: must be a finite number",
                "line 5",
            ),
        ];
        for (text, path, line) in cases {
            let found = wrong(&text);
            assert!(found.starts_with(path) && found.contains(line), "{found} for\n{text}");
        }
    }

    #[test]
    fn an_empty_text_is_an_empty_configuration() {
        for text in ["", "\n", "# Nothing yet.\n", "{}\n"] {
            assert_eq!(Configuration::from_yaml(text), Ok(Configuration::default()), "{text}");
        }
        assert_eq!(Configuration::default().to_yaml().unwrap(), "");
    }
}
