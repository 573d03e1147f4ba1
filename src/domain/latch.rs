//! A latch: closed by harm, it refuses every increase on its target.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::launch::{LaunchId, Target};
use super::time::Timestamp;

/// Id of a latch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LatchId(pub Uuid);

/// A latch, closed unless a resolution is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latch {
    /// Unique id.
    pub id: LatchId,
    /// What it protects.
    pub target: Target,
    /// The experiment's group; none for a gate or a whole experiment.
    pub arm: Option<String>,
    /// The harmful launch.
    pub launch: LaunchId,
    /// Why it closed.
    pub cause: String,
    /// When it closed.
    pub closed_at: Timestamp,
    /// Who opened it, why and until when.
    pub resolution: Option<Resolution>,
}

/// A person's word that a latch may open for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// Who.
    pub principal: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When the latch is closed again.
    pub expires_at: Timestamp,
}

impl Latch {
    /// Whether it refuses increases at `now`.
    #[must_use]
    pub fn is_closed(&self, now: Timestamp) -> bool {
        self.resolution.as_ref().is_none_or(|resolution| now >= resolution.expires_at)
    }
}
