//! Scorecards as they are sent: numbers, or why there are none.

use std::collections::BTreeMap;

use super::convert::{count, wire_time};
use super::records::{e_value, launch};
use super::wire;
use crate::admin::Scorecard;
use crate::analysis::effects::{Contrast, Known};
use crate::analysis::scorecard::{Score, ScoredGroup, ScoredMetric, ScoredSegment};
use crate::domain::metric::Direction;
use crate::stats::effect::Interval;

/// A scorecard.
pub(super) fn sent(found: &Scorecard) -> wire::GetScorecardResponse {
    let measurement = &found.published.measurement;
    let metric = |scored: &ScoredMetric| wire::ScoredMetric {
        metric: scored.metric.clone(),
        guardrail: scored.guardrail,
        direction: match scored.direction {
            Direction::HigherIsBetter => wire::MetricDirection::HigherIsBetter,
            Direction::LowerIsBetter => wire::MetricDirection::LowerIsBetter,
        }
        .into(),
        blind: measurement.blind.get(&scored.metric).map(|blind| blind.message.clone()).unwrap_or_default(),
        groups: scored.groups.iter().map(group).collect(),
    };
    wire::GetScorecardResponse {
        launch: Some(launch(&found.launch)),
        number: found.published.number,
        as_of: Some(wire_time(measurement.as_of)),
        watermark: Some(wire_time(measurement.watermark)),
        level: found.level,
        metrics: found.metrics.iter().map(metric).collect(),
    }
}

fn group(group: &ScoredGroup) -> wire::ScoredGroup {
    wire::ScoredGroup {
        score: Some(score(&group.score)),
        segments: group.segments.iter().map(segment).collect(),
    }
}

fn segment(segment: &ScoredSegment) -> wire::ScoredSegment {
    let of = |field: fn(&Contrast) -> f64| segment.contrast.as_ref().ok().map(field);
    wire::ScoredSegment {
        column: segment.column.clone(),
        value: segment.value.clone(),
        score: Some(score(&segment.score)),
        shrunk: of(|contrast| contrast.shrunk),
        interaction: of(|contrast| contrast.interaction),
        interaction_p_value: of(|contrast| contrast.p_value),
        undefined: segment.contrast.err().unwrap_or_default().to_owned(),
    }
}

fn score(score: &Score) -> wire::Score {
    let mut undefined = Reasons::default();
    wire::Score {
        control: score.control.arm.clone(),
        control_units: count(score.control.units),
        control_mean: undefined.number("control_mean", score.control.mean),
        group: score.group.arm.clone(),
        units: count(score.group.units),
        mean: undefined.number("mean", score.group.mean),
        effect: undefined.number("effect", score.effect),
        relative_effect: undefined.number("relative_effect", score.relative_effect),
        one_look: undefined.range("one_look", score.one_look),
        one_look_relative: undefined.range("one_look_relative", score.one_look_relative),
        every_look: undefined.range("every_look", score.every_look),
        every_look_relative: undefined.range("every_look_relative", score.every_look_relative),
        p_value: undefined.number("p_value", score.p_value),
        p_value_at_every_look: score.p_value_at_every_look,
        e_value: e_value(score.ln_e),
        undefined: undefined.0,
    }
}

/// Why numbers are unset, by the name of their field.
#[derive(Default)]
struct Reasons(BTreeMap<String, String>);

impl Reasons {
    fn number(&mut self, field: &str, number: Known<f64>) -> Option<f64> {
        self.known(field, number.and_then(finite))
    }

    fn range(&mut self, field: &str, ends: Known<Interval>) -> Option<wire::Range> {
        let ends = ends.and_then(|ends| Ok(wire::Range { low: finite(ends.low)?, high: finite(ends.high)? }));
        self.known(field, ends)
    }

    fn known<T>(&mut self, field: &str, found: Known<T>) -> Option<T> {
        found.map_err(|why| self.0.insert(field.to_owned(), why.to_owned())).ok()
    }
}

fn finite(number: f64) -> Known<f64> {
    if number.is_finite() { Ok(number) } else { Err("too large for a number of 64 bits") }
}
