//! What can be said of a launch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is said of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Exposure may be raised.
    Allow,
    /// Not now.
    Hold,
    /// No: a latch is closed.
    Block,
    /// Harm: the treatment goes off.
    RollBack,
}

impl DecisionKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Hold, Self::Block, Self::RollBack];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Block => "block",
            Self::RollBack => "roll_back",
        }
    }
}

impl fmt::Display for DecisionKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}
