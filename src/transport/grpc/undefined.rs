//! Why numbers are undefined, as it is sent.

use std::collections::BTreeMap;

use super::wire;
use crate::stats::undefined::Undefined;

/// Why numbers are unset, by the name of their field.
#[derive(Default)]
pub(super) struct Reasons(BTreeMap<String, Undefined>);

impl Reasons {
    /// A number, where it is known; else its field is noted with the reason.
    pub(super) fn known<T>(&mut self, field: &str, found: Result<T, Undefined>) -> Option<T> {
        found.map_err(|why| self.0.insert(field.to_owned(), why)).ok()
    }

    /// In words.
    pub(super) fn words(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(field, why)| (field.clone(), why.reason().to_owned())).collect()
    }

    /// As codes.
    pub(super) fn codes(&self) -> BTreeMap<String, i32> {
        self.0.iter().map(|(field, why)| (field.clone(), reason(*why).into())).collect()
    }
}

/// A reason as a code.
pub(super) fn reason(undefined: Undefined) -> wire::UndefinedReason {
    match undefined {
        Undefined::NoUnits => wire::UndefinedReason::NoUnits,
        Undefined::TooFewUnits => wire::UndefinedReason::TooFewUnits,
        Undefined::TooFewInEpoch => wire::UndefinedReason::TooFewInEpoch,
        Undefined::BurnIn => wire::UndefinedReason::BurnIn,
        Undefined::TooFewSegments => wire::UndefinedReason::TooFewSegments,
        Undefined::NoVariance => wire::UndefinedReason::NoVariance,
        Undefined::ControlIsZero => wire::UndefinedReason::ControlIsZero,
        Undefined::ControlNearZero => wire::UndefinedReason::ControlNearZero,
        Undefined::NoDenominator => wire::UndefinedReason::NoDenominator,
        Undefined::TooFewEvents => wire::UndefinedReason::TooFewEvents,
        Undefined::TooLarge => wire::UndefinedReason::TooLarge,
        Undefined::NoSuchCounts => wire::UndefinedReason::NoSuchCounts,
        Undefined::NothingExcluded => wire::UndefinedReason::NothingExcluded,
        Undefined::NoTraffic => wire::UndefinedReason::NoTraffic,
        Undefined::NeverDetected => wire::UndefinedReason::NeverDetected,
    }
}
