//! What can go wrong, in terms a caller can act on.

use crate::analysis::decision::{DecisionKind, Reason};
use crate::domain::violation::Invalid;

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The closed list of what can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong; it says which fields, and what would be right.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// There is no such thing.
    #[error("there is no {kind} `{key}`")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// Its key or id.
        key: String,
    },
    /// The key is taken.
    #[error("there is a {kind} `{key}` already; keys are never used twice, archived ones included")]
    AlreadyExists {
        /// What was to be made.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// The change was made from an older revision.
    #[error(
        "{kind} `{key}` is at revision {found}, and the change was made from {given}; read it again and retry"
    )]
    Conflict {
        /// What was to be changed.
        kind: &'static str,
        /// Its key.
        key: String,
        /// The revision the caller gave.
        given: i64,
        /// The revision in force.
        found: i64,
    },
    /// The guard refuses.
    #[error("{}", refusal(*.decision, .reasons))]
    Refused {
        /// What it says of the launch.
        decision: DecisionKind,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Not possible in the state things are in.
    #[error("{0}")]
    WrongState(String),
    /// Not possible just now; the same call may go through later.
    #[error("{0}")]
    Unavailable(String),
    /// Our own fault; the cause goes to the log and not to the caller.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Our own fault.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// The message with its cause, for logs and operators; callers get the message alone.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Internal(cause) => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }

    /// A wrong field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(Invalid::field(field, message))
    }
}

fn refusal(decision: DecisionKind, reasons: &[Reason]) -> String {
    let reasons: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
    format!("the guard says {decision}: {}", reasons.join("; "))
}
