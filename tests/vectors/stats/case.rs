//! One published case: what goes in, what must come out, and how near.

use portcullis::stats::moments::{Moments, RawSums};
use serde_json::Value;

/// For a number that its file gives no tolerance for.
const DEFAULT: Tolerance = Tolerance { absolute: 1e-14, relative: 1e-9 };

/// How far a number may be off: by the greater of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tolerance {
    absolute: f64,
    relative: f64,
}

/// One case of a file.
pub(super) struct Case<'f> {
    /// What goes in.
    pub(super) input: &'f Value,
    /// What must come out.
    pub(super) output: &'f Value,
    whole: &'f Value,
    tolerances: &'f Value,
    checks: usize,
    failures: Vec<String>,
}

impl<'f> Case<'f> {
    pub(super) fn new(case: &'f Value, tolerances: &'f Value) -> Self {
        let (input, output) = (&case["input"], &case["output"]);
        Self { input, output, whole: case, tolerances, checks: 0, failures: Vec::new() }
    }

    pub(super) fn id(&self) -> &'f str {
        self.whole["id"].as_str().unwrap()
    }

    /// Whether the published result is not what the specification asks for.
    pub(super) fn spec_differs(&self) -> bool {
        self.whole.get("spec_differs").is_some()
    }

    /// A number of the input.
    pub(super) fn number(&self, field: &str) -> f64 {
        number(&self.input[field])
    }

    /// A word of the input.
    pub(super) fn text(&self, field: &str) -> &'f str {
        self.input[field].as_str().unwrap_or_else(|| panic!("{}: no text {field}", self.id()))
    }

    /// Whether the published result is a number and not the word that there is none.
    pub(super) fn is_defined(&self) -> bool {
        self.output.get("status").is_none_or(|status| status == "ok")
    }

    /// Checks one number of the output within its file's tolerance.
    pub(super) fn near(&mut self, field: &str, found: f64) {
        let (expected, tolerance) = (number(&self.output[field]), self.tolerance(field));
        self.within(field, found, expected, tolerance);
    }

    /// Whether a number is one of the output within its file's tolerance.
    pub(super) fn is_near(&self, field: &str, found: f64) -> bool {
        self.tolerance(field).holds(found, number(&self.output[field]))
    }

    /// Checks a list of numbers of the output within its file's tolerance.
    pub(super) fn all_near(&mut self, field: &str, found: &[f64]) {
        let tolerance = self.tolerance(field);
        let expected = numbers(&self.output[field]);
        self.holds(&format!("the length of {field}"), found.len() == expected.len());
        for (found, expected) in found.iter().zip(expected) {
            self.within(field, *found, expected, tolerance);
        }
    }

    /// Checks anything else.
    pub(super) fn holds(&mut self, what: &str, holds: bool) {
        self.checks += 1;
        if !holds {
            self.failures.push(format!("{}: {what} differs", self.id()));
        }
    }

    /// What differed.
    pub(super) fn failures(self) -> Vec<String> {
        if self.checks == 0 {
            return vec![format!("{}: nothing was checked", self.id())];
        }
        self.failures
    }

    fn tolerance(&self, field: &str) -> Tolerance {
        self.tolerances[field].as_str().map_or(DEFAULT, Tolerance::parse)
    }

    fn within(&mut self, what: &str, found: f64, expected: f64, tolerance: Tolerance) {
        self.checks += 1;
        if !tolerance.holds(found, expected) {
            self.failures.push(format!("{}: {what} is {found:e}, published {expected:e}", self.id()));
        }
    }
}

impl Tolerance {
    fn holds(self, found: f64, expected: f64) -> bool {
        if expected.is_infinite() {
            return found.is_infinite() && (found > 0.0) == (expected > 0.0);
        }
        (found - expected).abs() <= self.absolute.max(self.relative * expected.abs())
    }

    /// Reads the first relative and the first absolute tolerance of a text like `rel 1e-9 (abs 1e-14)` or `exact +-2`.
    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split([' ', '(', ')', ',', '*', ';']).collect();
        let after = |key: &str| {
            let found = words.iter().zip(words.iter().skip(1)).find(|(word, _)| **word == key)?;
            found.1.trim_start_matches("+-").parse().ok()
        };
        let absolute = after("abs").or_else(|| after("exact"));
        Self { absolute: absolute.unwrap_or(0.0), relative: after("rel").unwrap_or(0.0) }
    }
}

/// A number, or the name of an infinite one.
pub(super) fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some("NaN") => f64::NAN,
        _ => value.as_f64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

/// The numbers of a list.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(number).collect()
}

/// The moments of an arm that is given by plain sums.
pub(super) fn moments(arm: &Value) -> Moments {
    let n = arm["n"].as_u64().unwrap();
    RawSums { n, sum: number(&arm["sum"]), sum_squares: number(&arm["sum_squares"]), nonzero: 0 }.about(0.0)
}

#[test]
fn tolerances_are_read_as_the_files_write_them() {
    let parsed = |text| {
        let found = Tolerance::parse(text);
        (found.relative, found.absolute)
    };
    assert_eq!(parsed("rel 1e-9 (abs 1e-14)"), (1e-9, 1e-14));
    assert_eq!(parsed("rel 1e-6 or abs 1e-12 (reference computes 1-cdf)"), (1e-6, 1e-12));
    assert_eq!(parsed("abs 1e-8 + rel 1e-10"), (1e-10, 1e-8));
    assert_eq!(parsed("abs 1e-6*max(1,|v|) ; huge counts abs 1e-3"), (0.0, 1e-6));
    assert_eq!(parsed("exact +-2"), (0.0, 2.0));
    assert_eq!(parsed("exact"), (0.0, 0.0));
}
