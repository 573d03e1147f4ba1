//! The `--guardrail` flag: a column, and how it is judged.

use std::collections::BTreeSet;

use super::table::Header;
use crate::domain::launch::PinnedMetric;
use crate::domain::metric::{
    DEFAULT_FRESHNESS_MS, DEFAULT_MIN_UNITS, DEFAULT_SHIP_MARGIN, Direction, GUARDRAIL_TAG, Metric,
    MetricKind, check_margins, check_weight,
};
use crate::domain::violation::{Checks, Invalid};

/// Reads every flag; the metrics come with the positions of their columns.
pub(super) fn all(flags: &[String], header: &Header) -> Result<(Vec<PinnedMetric>, Vec<usize>), Invalid> {
    let mut names = BTreeSet::new();
    let mut read = |flag: &String| {
        let (metric, position) = one(flag, header)?;
        if !names.insert(metric.key.clone()) {
            return Err(Invalid::field(format!("--guardrail {flag}"), "must name a metric only once"));
        }
        Ok((PinnedMetric { metric, revision: 1, scale: None }, position))
    };
    flags.iter().map(&mut read).collect()
}

fn one(flag: &str, header: &Header) -> Result<(Metric, usize), Invalid> {
    let field = format!("--guardrail {flag}");
    let (column, options) = split(flag, header);
    let position = header.position("--guardrail", column)?;
    let mut direction = Direction::HigherIsBetter;
    let (mut margin, mut ship_margin, mut weight) = (0.0, None, 1.0);
    for option in options {
        match option.split_once('=') {
            None if option == "lower_is_better" => direction = Direction::LowerIsBetter,
            None if option == "higher_is_better" => direction = Direction::HigherIsBetter,
            Some(("margin", text)) => margin = number(&field, "margin", text)?,
            Some(("ship_margin", text)) => ship_margin = Some(number(&field, "ship_margin", text)?),
            Some(("weight", text)) => weight = number(&field, "weight", text)?,
            _ => {
                let message = format!(
                    "`{option}` must be one of lower_is_better, higher_is_better, margin=, ship_margin=, weight="
                );
                return Err(Invalid::field(field, message));
            }
        }
    }
    let given = ship_margin.is_some();
    let ship_margin = ship_margin.unwrap_or_else(|| ship_margin_beside(margin));
    let part = |name: &str| format!("{field}, {name}");
    let mut checks = Checks::default();
    check_margins(&mut checks, &part("margin"), margin, &part("ship_margin"), ship_margin);
    check_weight(&mut checks, &part("weight"), weight);
    checks.finish().map_err(|Invalid(mut violations)| {
        // A ship margin that was not given is wrong only because the margin is.
        violations.retain(|violation| given || violation.field != part("ship_margin"));
        Invalid(violations)
    })?;
    let metric = Metric {
        key: column.to_owned(),
        description: String::new(),
        owner: String::new(),
        tags: vec![GUARDRAIL_TAG.to_owned()],
        kind: MetricKind::Sum,
        event: column.to_owned(),
        direction,
        margin,
        ship_margin,
        weight,
        window_ms: None,
        freshness_ms: DEFAULT_FRESHNESS_MS,
        min_units: DEFAULT_MIN_UNITS,
    };
    Ok((metric, position))
}

/// The column and the options. A column's own name may have colons, so the longest name that is there wins.
fn split<'f>(flag: &'f str, header: &Header) -> (&'f str, Vec<&'f str>) {
    let mut ends = flag.rmatch_indices(':').map(|(at, _)| at);
    let longest = std::iter::once(flag.len()).chain(&mut ends).find_map(|at| {
        let (column, rest) = flag.split_at_checked(at)?;
        header.has(column).then_some((column, rest))
    });
    let (column, rest) = longest.unwrap_or_else(|| {
        let at = flag.find(':').unwrap_or(flag.len());
        flag.split_at_checked(at).unwrap_or((flag, ""))
    });
    (column, rest.split(':').skip(1).collect())
}

fn number(field: &str, name: &str, text: &str) -> Result<f64, Invalid> {
    let message = || format!("must be a number, is `{text}`");
    text.trim().parse().map_err(|_| Invalid::field(format!("{field}, {name}"), message()))
}

/// The usual ship margin; beside a larger margin twice that, and never further than halfway to everything.
fn ship_margin_beside(margin: f64) -> f64 {
    if margin < DEFAULT_SHIP_MARGIN {
        DEFAULT_SHIP_MARGIN
    } else {
        (2.0 * margin).min(f64::midpoint(margin, 1.0))
    }
}
