//! The `--guardrail` flag: what is measured, and how it is judged.

use std::collections::BTreeSet;

use super::measure::Measure;
use super::names::{Names, Of};
use crate::domain::launch::PinnedMetric;
use crate::domain::metric::{
    DEFAULT_SHIP_MARGIN, Direction, GUARDRAIL_TAG, Metric, MetricKind, check_margins, check_weight,
};
use crate::domain::violation::{Checks, Invalid};

/// The options that follow the name.
const OPTIONS: &str = "lower_is_better, higher_is_better, margin=, ship_margin=, weight=, cap=, per=, covariate=, \
                       covariate_per=";
/// Those of them that name a column.
const COLUMNS: [&str; 3] = ["per=", "covariate=", "covariate_per="];

/// One guardrail.
#[derive(Clone, Debug)]
pub(super) struct Guardrail {
    pub(super) metric: Metric,
    pub(super) measure: Measure,
}

/// Reads every flag.
pub(super) fn all(flags: &[String], names: &Names) -> Result<Vec<Guardrail>, Invalid> {
    let mut keys = BTreeSet::new();
    let mut read = |flag: &String| {
        let guardrail = one(flag, names)?;
        if !keys.insert(guardrail.metric.key.clone()) {
            return Err(Invalid::field(format!("--guardrail {flag}"), "must name a metric only once"));
        }
        Ok(guardrail)
    };
    flags.iter().map(&mut read).collect()
}

impl Guardrail {
    /// Takes a plain column of which each value is 0 or 1 for an event that a unit has or has not.
    pub(super) fn note_proportion(&mut self, is_proportion: bool) {
        let Measure { cap, per, covariate, .. } = self.measure;
        if is_proportion && cap.is_none() && per.is_none() && covariate.is_none() {
            self.metric.kind = MetricKind::Conversion;
        }
    }

    /// As a launch has it.
    pub(super) fn pinned(&self) -> PinnedMetric {
        PinnedMetric { metric: self.metric.clone(), revision: 1, scale: None }
    }
}

/// The options as they were given.
#[derive(Default)]
struct Options<'f> {
    lower_is_better: bool,
    margin: f64,
    ship_margin: Option<f64>,
    weight: Option<f64>,
    cap: Option<f64>,
    per: Option<&'f str>,
    covariate: Option<&'f str>,
    covariate_per: Option<&'f str>,
}

fn one(flag: &str, names: &Names) -> Result<Guardrail, Invalid> {
    let field = format!("--guardrail {flag}");
    let (name, rest) = names.split(flag);
    let value = names.position("--guardrail", name)?;
    let options = Options::read(&field, rest, names)?;
    let measure = measure(&field, value, &options, names)?;
    let key = match options.per {
        Some(denominator) => format!("{name}/{denominator}"),
        None => name.to_owned(),
    };
    Ok(Guardrail { metric: metric(&field, &key, &options)?, measure })
}

impl<'f> Options<'f> {
    /// Reads what follows the name: options, each after a colon.
    fn read(field: &str, mut rest: &'f str, names: &Names) -> Result<Self, Invalid> {
        let mut options = Self::default();
        while let Some(text) = rest.strip_prefix(':') {
            let name = COLUMNS.iter().find(|name| text.starts_with(**name));
            let (option, after) = match name {
                // The name of a column may hold colons.
                Some(name) => {
                    let after = names.split(text.get(name.len()..).unwrap_or_default()).1;
                    text.split_at_checked(text.len() - after.len()).unwrap_or((text, ""))
                }
                None => text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or((text, "")),
            };
            options.take(field, option)?;
            rest = after;
        }
        Ok(options)
    }

    fn take(&mut self, field: &str, option: &'f str) -> Result<(), Invalid> {
        let number = |name: &str, text: &str| {
            let message = || format!("must be a number, is `{text}`");
            text.trim().parse().map_err(|_| Invalid::field(format!("{field}, {name}"), message()))
        };
        match option.split_once('=') {
            None if option == "lower_is_better" => self.lower_is_better = true,
            None if option == "higher_is_better" => self.lower_is_better = false,
            Some(("margin", text)) => self.margin = number("margin", text)?,
            Some(("ship_margin", text)) => self.ship_margin = Some(number("ship_margin", text)?),
            Some(("weight", text)) => self.weight = Some(number("weight", text)?),
            Some(("cap", text)) => self.cap = Some(number("cap", text)?),
            Some(("per", column)) => self.per = Some(column),
            Some(("covariate", column)) => self.covariate = Some(column),
            Some(("covariate_per", column)) => self.covariate_per = Some(column),
            _ => return Err(Invalid::field(field, format!("`{option}` must be one of {OPTIONS}"))),
        }
        Ok(())
    }
}

/// What is measured, where it can be had.
fn measure(field: &str, value: usize, options: &Options<'_>, names: &Names) -> Result<Measure, Invalid> {
    let &Options { cap, per, covariate, covariate_per, .. } = options;
    let mut checks = Checks::default();
    let finite = cap.is_none_or(f64::is_finite);
    let message = format!("must be a finite number, is {}", cap.unwrap_or_default());
    checks.require(finite, format!("{field}, cap"), message);
    let given = [
        ("cap", cap.is_some()),
        ("per", per.is_some()),
        ("covariate", covariate.is_some()),
        ("covariate_per", covariate_per.is_some()),
    ];
    for (option, _) in given.iter().filter(|(_, given)| *given && names.of() == Of::Metrics) {
        let message = "must be left out: it takes a table with one row a unit, and these are moments";
        checks.require(false, format!("{field}, {option}"), message);
    }
    let of_ratio = covariate_per.is_none() || (per.is_some() && covariate.is_some());
    let message = "must stand beside per= and covariate=: it makes the covariate of a ratio a ratio";
    checks.require(of_ratio, format!("{field}, covariate_per"), message);
    checks.finish()?;
    let position = |option: &str, column: Option<&str>| {
        column.map(|column| names.position(&format!("{field}, {option}"), column)).transpose()
    };
    Ok(Measure {
        value,
        cap,
        per: position("per", per)?,
        covariate: position("covariate", covariate)?,
        covariate_per: position("covariate_per", covariate_per)?,
    })
}

fn metric(field: &str, key: &str, options: &Options<'_>) -> Result<Metric, Invalid> {
    let (margin, weight) = (options.margin, options.weight.unwrap_or(1.0));
    let ship_margin = options.ship_margin.unwrap_or_else(|| ship_margin_beside(margin));
    let part = |name: &str| format!("{field}, {name}");
    let mut checks = Checks::default();
    check_margins(&mut checks, &part("margin"), margin, &part("ship_margin"), ship_margin);
    check_weight(&mut checks, &part("weight"), weight);
    checks.finish().map_err(|Invalid(mut violations)| {
        // A ship margin that was not given is wrong only because the margin is.
        let given = options.ship_margin.is_some();
        violations.retain(|violation| given || violation.field != part("ship_margin"));
        Invalid(violations)
    })?;
    Ok(Metric {
        tags: vec![GUARDRAIL_TAG.to_owned()],
        direction: if options.lower_is_better { Direction::LowerIsBetter } else { Direction::HigherIsBetter },
        margin,
        ship_margin,
        weight,
        ..Metric::of(key, MetricKind::Sum, key)
    })
}

/// The usual ship margin; beside a larger margin twice that, and never further than halfway to everything.
fn ship_margin_beside(margin: f64) -> f64 {
    if margin < DEFAULT_SHIP_MARGIN {
        DEFAULT_SHIP_MARGIN
    } else {
        (2.0 * margin).min(f64::midpoint(margin, 1.0))
    }
}
