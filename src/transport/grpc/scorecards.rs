//! Scorecards as they are sent: numbers, or why there are none.

use super::convert::{count, wire_time};
use super::records::{e_value, launch};
use super::undefined::{Reasons, reason};
use super::wire;
use crate::admin::Scorecard;
use crate::analysis::effects::{Contrast, IntervalMethod, Known};
use crate::analysis::scorecard::{Score, ScoredGroup, ScoredMetric, ScoredSegment};
use crate::domain::metric::Direction;
use crate::stats::effect::Interval;
use crate::stats::undefined::Undefined;

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
        undefined: segment.contrast.err().map_or_else(String::new, |why| why.reason().to_owned()),
        undefined_reason: segment.contrast.err().map_or(wire::UndefinedReason::Unspecified, reason).into(),
    }
}

fn score(score: &Score) -> wire::Score {
    let mut undefined = Reasons::default();
    wire::Score {
        control: score.control.arm.clone(),
        control_units: count(score.control.units),
        control_mean: undefined.known("control_mean", number(score.control.mean)),
        group: score.group.arm.clone(),
        units: count(score.group.units),
        mean: undefined.known("mean", number(score.group.mean)),
        effect: undefined.known("effect", number(score.effect)),
        relative_effect: undefined.known("relative_effect", number(score.relative_effect)),
        one_look: undefined.known("one_look", range(score.one_look)),
        one_look_relative: undefined.known("one_look_relative", range(score.one_look_relative)),
        every_look: undefined.known("every_look", range(score.every_look)),
        every_look_relative: undefined.known("every_look_relative", range(score.every_look_relative)),
        one_look_method: score
            .one_look
            .map_or(wire::IntervalMethod::Unspecified, |_| method(score.one_look_method))
            .into(),
        p_value: undefined.known("p_value", number(score.p_value)),
        p_value_at_every_look: score.p_value_at_every_look,
        e_value: e_value(score.ln_e),
        undefined: undefined.words(),
        undefined_reasons: undefined.codes(),
    }
}

fn method(method: IntervalMethod) -> wire::IntervalMethod {
    match method {
        IntervalMethod::Welch => wire::IntervalMethod::Welch,
        IntervalMethod::Newcombe => wire::IntervalMethod::Newcombe,
        IntervalMethod::Epochs => wire::IntervalMethod::Epochs,
    }
}

fn number(found: Known<f64>) -> Known<f64> {
    found.and_then(|number| if number.is_finite() { Ok(number) } else { Err(Undefined::TooLarge) })
}

fn range(found: Known<Interval>) -> Known<wire::Range> {
    let ends = found?;
    Ok(wire::Range { low: number(Ok(ends.low))?, high: number(Ok(ends.high))? })
}
