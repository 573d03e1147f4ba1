//! What is wrong with an input: the field, and what would be right.

use std::fmt;

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as the caller wrote it, for example `gate.rules[0].percentage`.
    pub field: String,
    /// What would be right, and what was found.
    pub message: String,
}

/// Everything that is wrong with an input; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Violation>);

impl Invalid {
    /// One wrong field.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![Violation { field: field.into(), message: message.into() }])
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(out, "{separator}{}: {}", violation.field, violation.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Collects violations, so that a caller learns of all of them at once.
#[derive(Debug, Default)]
pub struct Checks(Vec<Violation>);

impl Checks {
    /// Notes a violation unless `holds`.
    pub fn require(&mut self, holds: bool, field: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.0.push(Violation { field: field.into(), message: message.into() });
        }
    }

    /// Notes what another check found.
    pub fn absorb(&mut self, outcome: Result<(), Invalid>) {
        if let Err(Invalid(violations)) = outcome {
            self.0.extend(violations);
        }
    }

    /// All that was noted.
    pub fn finish(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.0)) }
    }
}
