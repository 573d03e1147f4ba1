//! Why a decision is what it is.

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
    /// The document could not be compiled.
    Faulty,
}
