//! Rollouts as requests ask for them.

use crate::admin::{RollbackTo, Rollout};
use crate::domain::launch::{GuardrailChoice, Step};
use crate::error::{Error, Result};
use crate::transport::grpc::convert::step;
use crate::transport::grpc::wire;

/// What a request asks for.
pub(super) fn rollout(request: wire::SetRolloutRequest) -> Result<Rollout> {
    let names_steps = matches!(request.rollout, Some(wire::set_rollout_request::Rollout::Ramp(_)));
    let (field, steps) = steps(request.rollout)?;
    Ok(Rollout {
        key: if request.config.is_empty() { request.gate } else { request.config },
        rule: request.rule_id,
        field,
        steps,
        names_steps,
        choice: choice(request.guardrails),
        rollback_to: rollback_to(request.rollback_to)?,
        revision: Some(request.revision).filter(|revision| *revision != 0),
    })
}

/// The guardrails that a request takes or leaves.
pub(super) fn choice(message: Option<wire::GuardrailChoice>) -> GuardrailChoice {
    let message = message.unwrap_or_default();
    GuardrailChoice { add: message.add, drop: message.drop }
}

/// The steps that a request asks for, with their path.
fn steps(rollout: Option<wire::set_rollout_request::Rollout>) -> Result<(&'static str, Vec<Step>)> {
    match rollout {
        Some(wire::set_rollout_request::Rollout::Percentage(percentage)) => {
            let fits = (0.0..=100.0).contains(&percentage);
            let message = || format!("must be a number from 0 to 100, is {percentage}");
            if fits {
                Ok(("percentage", vec![Step::at_once(percentage)]))
            } else {
                Err(Error::field("percentage", message()))
            }
        }
        Some(wire::set_rollout_request::Rollout::Ramp(ramp)) => {
            let steps = ramp.steps.iter().enumerate();
            let steps = steps.map(|(index, message)| step(&format!("ramp.steps[{index}]"), message));
            Ok(("ramp.steps", steps.collect::<Result<_>>()?))
        }
        None => Err(Error::field("rollout", "one of percentage and ramp is required")),
    }
}

fn rollback_to(value: i32) -> Result<Option<RollbackTo>> {
    match wire::RollbackTo::try_from(value) {
        Ok(wire::RollbackTo::Unspecified) => Ok(None),
        Ok(wire::RollbackTo::Zero) => Ok(Some(RollbackTo::Zero)),
        Ok(wire::RollbackTo::Previous) => Ok(Some(RollbackTo::Previous)),
        Err(_) => Err(Error::field("rollback_to", "must be ZERO or PREVIOUS")),
    }
}
