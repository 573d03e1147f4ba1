//! Numbers of a result: null in JSON and a dash in text where they are undefined, with the reason beside them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::stats::undefined::Undefined;

/// Why a number is undefined that a float cannot hold.
const TOO_LARGE: &str = "too large for a number of 64 bits";

/// Why numbers are null, by the name of their field.
pub(super) type Reasons = BTreeMap<&'static str, &'static str>;

/// A number, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) Result<f64, &'static str>);

/// Both ends of an interval, or why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Interval {
    pub(super) low: Number,
    pub(super) high: Number,
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.ok().serialize(serializer)
    }
}

impl From<Result<f64, Undefined>> for Number {
    fn from(number: Result<f64, Undefined>) -> Self {
        Self::new(number.map_err(Undefined::reason))
    }
}

impl Number {
    /// A number; one beyond what a float can hold is undefined.
    pub(super) fn new(number: Result<f64, &'static str>) -> Self {
        Self(number.and_then(|number| if number.is_finite() { Ok(number) } else { Err(TOO_LARGE) }))
    }

    /// The e-value behind its logarithm.
    pub(super) fn e_value(ln_e: f64) -> Self {
        Self::new(Ok(ln_e.exp()))
    }
}

impl Interval {
    /// Both ends; one that a float cannot hold leaves neither.
    pub(super) fn new(ends: Result<(f64, f64), &'static str>) -> Self {
        match ends {
            Ok((low, high)) if low.is_finite() && high.is_finite() => {
                Self { low: Number(Ok(low)), high: Number(Ok(high)) }
            }
            Ok(_) => Self { low: Number(Err(TOO_LARGE)), high: Number(Err(TOO_LARGE)) },
            Err(why) => Self { low: Number(Err(why)), high: Number(Err(why)) },
        }
    }

    /// Both ends as numbers.
    pub(super) fn ends(&self) -> Result<(f64, f64), &'static str> {
        Ok((self.low.0?, self.high.0?))
    }
}

/// The reasons of those that are undefined.
pub(super) fn reasons(numbers: &[(&'static str, Number)]) -> Reasons {
    numbers.iter().filter_map(|(name, number)| Some((*name, number.0.err()?))).collect()
}
