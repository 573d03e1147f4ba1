//! What the store adds to every document.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::time::Timestamp;
use super::violation::Invalid;

/// A document that people write and the store keeps.
pub trait Document: Serialize + DeserializeOwned + Clone + PartialEq {
    /// The field's term for it, as used in messages and as the store's kind.
    const KIND: &'static str;

    /// Its unique name within the kind.
    fn key(&self) -> &str;

    /// Checks the document for itself, apart from all others.
    fn check(&self) -> Result<(), Invalid>;
}

/// A document with its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The document.
    pub document: T,
    /// 1 when made, and one more with each change.
    pub revision: i64,
    /// Out of use for good.
    pub archived: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl<T> Stored<T> {
    /// A new document.
    pub fn new(document: T, now: Timestamp) -> Self {
        Self { document, revision: 1, archived: false, created_at: now, updated_at: now }
    }

    /// The same entity with another document.
    #[must_use]
    pub fn changed(&self, document: T, now: Timestamp) -> Self {
        Self {
            document,
            revision: self.revision + 1,
            archived: self.archived,
            created_at: self.created_at,
            updated_at: now,
        }
    }
}
