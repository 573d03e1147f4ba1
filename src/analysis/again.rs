//! A decision made again, from its record alone.

use serde::Serialize;
use serde_json::Value;

use super::blindness::without_since;
use super::decision::{Decision, DecisionAction, DecisionKind, GUARD, Reason, ReasonCode};
use super::judge::judge;
use super::plan::{Action, Plan, plan};

/// What comes of making a decision again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// The same.
    Agrees,
    /// A person decided before any look of the guard; there is nothing to be made again.
    Nothing,
    /// Something else: what the record says and what comes out.
    Differs(Vec<Disagreement>),
}

/// One value that comes out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Its place in the record, for example `judgement.verdicts[0].ln_e`.
    pub path: String,
    /// What was recorded, as JSON.
    pub recorded: String,
    /// What comes out, as JSON.
    pub again: String,
}

/// Judges the recorded moments again; and where the guard decided by them, plans again what it said and did. What a person does is
/// up to the person, and what follows for other launches from an act of the guard does not come from their own numbers.
#[must_use]
pub fn again(decision: &Decision) -> Again {
    let Some(judgement) = &decision.judgement else {
        return Again::Nothing;
    };
    let mut found = Vec::new();
    let measurement = judgement.measurement(&decision.launch);
    let judged = judge(&decision.launch, measurement.as_ref(), judgement.at);
    compare("judgement", judgement, &judged, &mut found);
    if decision.actor == GUARD && is_planned(decision.action) {
        let Plan { kind, reasons, action } =
            plan(&decision.launch, &judged, decision.latch.as_ref(), judged.at);
        compare("kind", &decision.kind, &kind, &mut found);
        let reasons = if decision.tells_undecided { reasons } else { as_once_told(decision, reasons) };
        compare("reasons", &decision.reasons, &reasons, &mut found);
        let (action, arms) = recorded_as(&action);
        compare("action", &decision.action, &action, &mut found);
        // Each arm that is stopped has a record of its own.
        let is_one = match &decision.arm {
            Some(arm) => arms.contains(arm),
            None => arms.is_empty(),
        };
        if !is_one {
            compare("arm", &decision.arm, &arms, &mut found);
        }
    }
    if found.is_empty() { Again::Agrees } else { Again::Differs(found) }
}

/// The reasons of a record from before they told since when a metric is blind, and an allowance what is undecided unless that
/// was told for another cause.
fn as_once_told(decision: &Decision, mut reasons: Vec<Reason>) -> Vec<Reason> {
    for reason in &mut reasons {
        without_since(&mut reason.message);
    }
    if decision.kind == DecisionKind::Allow && decision.reasons != reasons {
        reasons.retain(|reason| !matches!(reason.code, ReasonCode::Undecided | ReasonCode::NoVariance));
    }
    reasons
}

/// Whether an action is one that a plan calls for. What follows for other launches from what the guard did to one is none.
fn is_planned(action: DecisionAction) -> bool {
    use DecisionAction::{Advance, Complete, None, RollBack, StopArm};
    matches!(action, None | RollBack | StopArm | Advance | Complete)
}

/// How a decision records an action, and the arms it is about.
fn recorded_as(action: &Action) -> (DecisionAction, &[String]) {
    match action {
        Action::None => (DecisionAction::None, &[]),
        Action::RollBack => (DecisionAction::RollBack, &[]),
        Action::StopArms(arms) => (DecisionAction::StopArm, arms),
        Action::Advance => (DecisionAction::Advance, &[]),
        Action::Complete => (DecisionAction::Complete, &[]),
    }
}

fn compare<R: Serialize, A: Serialize>(path: &str, recorded: &R, again: &A, found: &mut Vec<Disagreement>) {
    match (serde_json::to_value(recorded), serde_json::to_value(again)) {
        (Ok(recorded), Ok(again)) => differences(path, &recorded, &again, found),
        (Err(error), _) | (_, Err(error)) => found.push(Disagreement {
            path: path.to_owned(),
            recorded: format!("can not be written: {error}"),
            again: String::new(),
        }),
    }
}

/// The places where two values differ, as deep as both have the same form.
fn differences(path: &str, recorded: &Value, again: &Value, found: &mut Vec<Disagreement>) {
    match (recorded, again) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            for ((name, recorded), again) in one.iter().zip(other.values()) {
                differences(&format!("{path}.{name}"), recorded, again, found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (recorded, again)) in one.iter().zip(other).enumerate() {
                differences(&format!("{path}[{index}]"), recorded, again, found);
            }
        }
        _ if recorded == again => {}
        _ => found.push(Disagreement {
            path: path.to_owned(),
            recorded: recorded.to_string(),
            again: again.to_string(),
        }),
    }
}
