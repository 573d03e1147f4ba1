//! One line of moments by look, checked as it is read.

use serde_json::{Map, Number, Value};

use crate::domain::violation::{Checks, Invalid, Violation};
use crate::stats::moments::Moments;

/// Whole numbers up to here are the same as floats.
const MOST_UNITS: f64 = 9e15;
/// How far the variance of zeros and ones may lie from what their mean makes it, as a share, besides the difference
/// between dividing by n and by n − 1.
const ROUNDING: f64 = 1e-6;
/// What a line looks like.
const EXAMPLE: &str =
    r#"{"look": 1, "arm": "new", "metric": "signup", "n": 1000, "mean": 0.1, "variance": 0.09}"#;

/// All units of an arm up to a look, by one metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MomentsLine {
    pub(super) line: u64,
    pub(super) look: Number,
    pub(super) arm: String,
    pub(super) metric: String,
    pub(super) n: u64,
    mean: f64,
    variance: f64,
    nonzero: Option<u64>,
}

impl MomentsLine {
    /// Reads one line of `file`; what is wrong is named by line and field.
    pub(super) fn read(line: u64, text: &[u8], file: &str) -> Result<Self, Invalid> {
        let place = format!("{file}, line {line}");
        let object: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
            let said = error.to_string();
            let said = said.split(" at line").next().unwrap_or_default();
            let message = format!("must be a JSON object such as {EXAMPLE}: {said}");
            Invalid::field(format!("{place}, column {}", error.column().max(1)), message)
        })?;
        let mut fields = Fields { object: &object, place, checks: Checks::default() };
        let look = fields.look();
        let (arm, metric) = (fields.name("arm"), fields.name("metric"));
        let n = fields.count("n");
        let units = n.unwrap_or(0);
        let mean = fields.number("mean", units == 0, "a finite number");
        let variance = fields.number("variance", units < 2, "a finite number, at least 0");
        fields.require(variance.is_none_or(|variance| variance >= 0.0), "variance", "must be at least 0");
        let nonzero = if object.contains_key("nonzero") { fields.count("nonzero") } else { None };
        let fits = nonzero.is_none_or(|nonzero| n.is_none_or(|n| nonzero <= n));
        fields.require(fits, "nonzero", "must be at most n");
        fields.checks.finish()?;
        let read = || {
            Some(Self {
                line,
                look: look?,
                arm: arm?,
                metric: metric?,
                n: n?,
                mean: mean?,
                variance: variance?,
                nonzero,
            })
        };
        read().ok_or_else(|| Invalid::field(file, "must be lines of JSON objects"))
    }

    /// Where its look stands among the others.
    pub(super) fn at(&self) -> f64 {
        self.look.as_f64().unwrap_or(f64::NAN)
    }

    /// What is wrong with it after an earlier line of the same arm and metric.
    pub(super) fn after(&self, earlier: &Self, file: &str) -> Vec<Violation> {
        let Self { line, metric, arm, .. } = earlier;
        let field = |name: &str| format!("{file}, line {}, {name}", self.line);
        let mut wrong = Vec::new();
        if self.at().total_cmp(&earlier.at()).is_eq() {
            let message =
                format!("must be another than on line {line}, which has `{metric}` in `{arm}` at it");
            wrong.push(Violation { field: field("look"), message });
        }
        let counts = [("n", Some(self.n), Some(earlier.n)), ("nonzero", self.nonzero, earlier.nonzero)];
        for (name, now, before) in counts {
            if let Some((now, before)) = now.zip(before).filter(|(now, before)| now < before) {
                let message = format!(
                    "must be at least {before}, as at the look before on line {line}, is {now}: each look has all units so far"
                );
                wrong.push(Violation { field: field(name), message });
            }
        }
        wrong
    }

    /// Its moments.
    pub(super) fn moments(&self) -> Moments {
        Moments::from_mean_and_variance(self.n, self.mean, self.variance, self.nonzero())
    }

    /// Whether mean and variance are those of zeros and ones.
    pub(super) fn is_proportion(&self) -> bool {
        let spread = self.mean * (1.0 - self.mean);
        let reach = spread * (ROUNDING + 1.0 / (self.n.max(2) - 1) as f64);
        (0.0..=1.0).contains(&self.mean) && (self.n < 2 || (self.variance - spread).abs() <= reach)
    }

    /// Units with a value other than zero: as the line says, else what the mean of zeros and ones makes it, else all.
    fn nonzero(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of n, and the cast clamps at both ends"
        )]
        let of_share = (self.mean * self.n as f64).round() as u64;
        self.nonzero.unwrap_or(if self.is_proportion() { of_share } else { self.n })
    }
}

/// The fields of a line, with what is wrong with them.
struct Fields<'l> {
    object: &'l Map<String, Value>,
    place: String,
    checks: Checks,
}

impl Fields<'_> {
    fn look(&mut self) -> Option<Number> {
        let found = self.object.get("look").and_then(Value::as_number).cloned();
        self.require_found("look", "a number, growing from look to look", found)
    }

    /// A name; a whole number is one too.
    fn name(&mut self, field: &str) -> Option<String> {
        let found = match self.object.get(field) {
            Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        };
        self.require_found(field, "a text that is not empty", found)
    }

    fn count(&mut self, field: &str) -> Option<u64> {
        let number = self.object.get(field).and_then(Value::as_f64);
        let whole = number.filter(|number| (0.0..=MOST_UNITS).contains(number) && number.fract() == 0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and in the range of both"
        )]
        let found = whole.map(|number| number as u64);
        self.require_found(field, "a whole number of units, at least 0", found)
    }

    /// A number; one that too few units leave undefined may be null.
    fn number(&mut self, field: &str, may_be_null: bool, what: &str) -> Option<f64> {
        let found = match self.object.get(field) {
            Some(Value::Null) if may_be_null => Some(0.0),
            Some(value) => value.as_f64(),
            None => None,
        };
        self.require_found(field, what, found)
    }

    fn require_found<T>(&mut self, field: &str, what: &str, found: Option<T>) -> Option<T> {
        let is =
            self.object.get(field).map_or_else(|| "is missing".to_owned(), |value| format!("is {value}"));
        self.require(found.is_some(), field, &format!("must be {what}, {is}"));
        found
    }

    fn require(&mut self, holds: bool, field: &str, message: &str) {
        self.checks.require(holds, format!("{}, {field}", self.place), message);
    }
}
