//! Numbers of a result: null in JSON and a dash in text where they are undefined, with the reason beside them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::stats::effect;
use crate::stats::undefined::Undefined;

/// Why numbers are null, by the name of their field.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Reasons {
    /// In words.
    pub(super) undefined: BTreeMap<&'static str, &'static str>,
    /// By what the reason is called.
    undefined_reasons: BTreeMap<&'static str, Undefined>,
}

/// A number, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) Result<f64, Undefined>);

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

impl Number {
    /// A number; one beyond what a float can hold is undefined.
    pub(super) fn new(number: Result<f64, Undefined>) -> Self {
        Self(number.and_then(|number| if number.is_finite() { Ok(number) } else { Err(Undefined::TooLarge) }))
    }

    /// The e-value behind its logarithm.
    pub(super) fn e_value(ln_e: f64) -> Self {
        Self::new(Ok(ln_e.exp()))
    }
}

impl Interval {
    /// Both ends; one that a float cannot hold leaves neither.
    pub(super) fn new(ends: Result<(f64, f64), Undefined>) -> Self {
        match ends {
            Ok((low, high)) if low.is_finite() && high.is_finite() => {
                Self { low: Number(Ok(low)), high: Number(Ok(high)) }
            }
            Ok(_) => Self { low: Number(Err(Undefined::TooLarge)), high: Number(Err(Undefined::TooLarge)) },
            Err(why) => Self { low: Number(Err(why)), high: Number(Err(why)) },
        }
    }

    /// The interval as it was found.
    pub(super) fn of(found: Result<effect::Interval, Undefined>) -> Self {
        Self::new(found.map(|ends| (ends.low, ends.high)))
    }

    /// Both ends as numbers.
    pub(super) fn ends(&self) -> Result<(f64, f64), Undefined> {
        Ok((self.low.0?, self.high.0?))
    }
}

impl Reasons {
    /// The reasons of those numbers that are undefined.
    pub(super) fn of(numbers: &[(&'static str, Number)]) -> Self {
        let mut found = Self::default();
        found.add(numbers);
        found
    }

    /// Adds those of further numbers.
    pub(super) fn add(&mut self, numbers: &[(&'static str, Number)]) {
        for (name, number) in numbers {
            if let Err(why) = number.0 {
                self.undefined.insert(name, why.reason());
                self.undefined_reasons.insert(name, why);
            }
        }
    }
}
