//! What is different between two versions of one document.

use std::fmt;

use similar::TextDiff;

use super::Section;
use super::yaml::document_yaml;

/// Lines around a change that are shown with it.
const CONTEXT_LINES: usize = 3;

/// What is to become of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is taken out of use for good.
    Archive,
}

/// One document that is to become another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its kind.
    pub kind: &'static str,
    /// Its key.
    pub key: String,
    /// What is to become of it.
    pub action: Action,
    /// The lines of its text that change, as a unified difference.
    pub lines: String,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Archive => "archive",
        })
    }
}

/// The way from a document to another of the same key; none where both are the same.
pub fn difference<T: Section>(
    before: Option<&T>,
    after: Option<&T>,
) -> Result<Option<Difference>, yaml_serde::Error> {
    let (document, action) = match (before, after) {
        (Some(before), Some(after)) if before == after => return Ok(None),
        (Some(_), Some(after)) => (after, Action::Change),
        (None, Some(after)) => (after, Action::Create),
        (Some(before), None) => (before, Action::Archive),
        (None, None) => return Ok(None),
    };
    let text = |document: Option<&T>| {
        document.map_or(Ok(String::new()), |document| document_yaml(&document.shown()))
    };
    let (old, new) = (text(before)?, text(after)?);
    let lines = TextDiff::from_lines(&old, &new).unified_diff().context_radius(CONTEXT_LINES).to_string();
    Ok(Some(Difference { kind: T::KIND, key: document.key().to_owned(), action, lines }))
}
