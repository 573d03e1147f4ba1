//! Documents between wire and domain, with their defaults.

mod config;
mod experiment;
mod gate;
mod holdout;
mod layer;
mod metric;
pub(super) mod policy;
mod rule;
mod segment;
mod webhook;

use crate::admin::Administered;
use crate::domain::stored::Stored;
use crate::error::Result;

/// The message of a kind of document.
pub(super) trait DocumentMessage: Sized {
    /// The document.
    type Document: Administered;

    /// The document with the revision it was read at. What the server says is left out.
    fn read(self) -> Result<(Self::Document, i64)>;

    /// The document as it is sent.
    fn sent(stored: &Stored<Self::Document>) -> Self;
}
