//! Why a decision is what it is.

use std::fmt;

/// Why a decision is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A rule or group matched, and its percentage decided.
    Rule,
    /// No rule matched.
    NoRule,
    /// Switched off, or archived.
    Disabled,
    /// There is no such entity.
    UnknownKey,
    /// The user has no id of the unit type.
    MissingUnit,
    /// A holdout keeps the unit out.
    HeldOut,
    /// Not started, or abandoned.
    NotRunning,
    /// Outside the allocation.
    NotAllocated,
    /// The targeting is not met.
    NotTargeted,
    /// Decided: everyone gets the shipped group.
    Decided,
    /// The guard stopped the unit's group.
    GroupStopped,
    /// An override puts the unit in its group.
    Override,
    /// The document could not be compiled.
    Faulty,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Rule => "rule",
            Self::NoRule => "no rule",
            Self::Disabled => "disabled",
            Self::UnknownKey => "unknown key",
            Self::MissingUnit => "missing unit",
            Self::HeldOut => "held out",
            Self::NotRunning => "not running",
            Self::NotAllocated => "not allocated",
            Self::NotTargeted => "not targeted",
            Self::Decided => "decided",
            Self::GroupStopped => "group stopped",
            Self::Override => "override",
            Self::Faulty => "faulty",
        })
    }
}
