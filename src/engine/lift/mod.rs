//! The way back from the one rule form to documents, for what other systems lay out in rules.
//!
//! Nothing is taken on trust: what was lifted is lowered again, and must give the rules that were read.

mod canonical;
mod entity;
mod experiment;
mod holdouts;
mod names;
mod proof;

use std::collections::BTreeMap;
use std::fmt;

use super::form::Ruleset;
use crate::domain::configuration::Configuration;

pub use canonical::same_answers;

/// Rules to be lifted, with what is known beyond them.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The rules.
    pub ruleset: Ruleset,
    /// What people call a rule, by the name of the entity in the ruleset and the rule's id.
    pub rule_names: BTreeMap<(String, String), String>,
    /// Names of the id lists that the rules refer to.
    pub id_lists: Vec<String>,
    /// Their ids, as far as they are known.
    pub ids: BTreeMap<String, Vec<String>>,
}

/// The documents, and what is to be said of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifted {
    /// The documents.
    pub configuration: Configuration,
    /// What was not kept as it was, by kind and key; empty where everything was.
    pub notes: Vec<Note>,
}

/// Something to know about one entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Its kind, as it is or would be a document.
    pub kind: &'static str,
    /// Its key.
    pub key: String,
    /// What became of it.
    pub fate: Fate,
    /// Why, and what to do.
    pub message: String,
}

/// What became of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is not among the documents.
    LeftOut,
    /// It is there, and some users get another answer.
    Differs,
    /// It is there in another form, and gives the same answers.
    Reshaped,
    /// It is there, and something was filled in that the rules do not say.
    FilledIn,
}

impl fmt::Display for Fate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::LeftOut => "is left out",
            Self::Differs => "gives some users another answer",
            Self::Reshaped => "is kept in another form",
            Self::FilledIn => "needs a look",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} `{}` {}: {}", self.kind, self.key, self.fate, self.message)
    }
}

/// Lifts rules to documents. All that is not kept as it was is in the notes.
#[must_use]
pub fn lift(source: &Source) -> Lifted {
    let mut notes = Vec::new();
    let source = names::settled(source, &mut notes);
    let mut lifting = entity::Lifting::new(&source, notes);
    lifting.everything();
    proof::proven(&source, lifting)
}

impl Note {
    fn new(kind: &'static str, key: &str, fate: Fate, message: impl Into<String>) -> Self {
        Self { kind, key: key.to_owned(), fate, message: message.into() }
    }
}
