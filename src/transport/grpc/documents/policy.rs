//! Policies.

use super::DocumentMessage;
use crate::domain::metric::GUARDRAIL_TAG;
use crate::domain::policy::{ALPHA, ALPHA_HOLD, ANYONE, Cycle, Holdback, Policy, Undecided};
use crate::domain::stored::Stored;
use crate::error::{Error, Result};
use crate::transport::grpc::convert::{count, duration_ms, step, wire_duration, wire_step, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Policy {
    type Document = Policy;

    fn read(self) -> Result<(Policy, i64)> {
        let undecided = match wire::UndecidedAction::try_from(self.undecided) {
            Ok(wire::UndecidedAction::Unspecified | wire::UndecidedAction::GoOn) => Undecided::GoOn,
            Ok(wire::UndecidedAction::Hold) => Undecided::Hold,
            Err(_) => return Err(Error::field("policy.undecided", "must be GO_ON or HOLD")),
        };
        let min_units = u64::try_from(self.min_units)
            .map_err(|_| Error::field("policy.min_units", "must not be negative"))?;
        let steps = self.ramp.iter().enumerate();
        let ramp = steps.map(|(index, message)| step(&format!("policy.ramp[{index}]"), message));
        let policy = Policy {
            key: self.key,
            description: self.description,
            owner: self.owner,
            guardrail_tags: or(self.guardrail_tags, GUARDRAIL_TAG),
            required_tags: self.required_tags,
            require_guardrails: self.require_guardrails,
            alpha: self.alpha.unwrap_or(ALPHA),
            alpha_hold: self.alpha_hold.unwrap_or(ALPHA_HOLD),
            min_units,
            ramp: ramp.collect::<Result<_>>()?,
            holdback: self.holdback.as_ref().map(holdback).transpose()?,
            undecided,
            resolvers: or(self.resolvers, ANYONE),
            overriders: or(self.overriders, ANYONE),
            shadow: self.shadow,
            shadow_guardrails: self.shadow_guardrails,
            segments: self.segments,
            cycle: self.cycle.as_ref().map(cycle).transpose()?,
        };
        Ok((policy, self.revision))
    }

    fn sent(stored: &Stored<Policy>) -> Self {
        Self {
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
            ..sent(&stored.document, stored.revision)
        }
    }
}

/// A policy at a revision; 0 for the one that is built in.
pub(in crate::transport::grpc) fn sent(policy: &Policy, revision: i64) -> wire::Policy {
    let undecided = match policy.undecided {
        Undecided::GoOn => wire::UndecidedAction::GoOn,
        Undecided::Hold => wire::UndecidedAction::Hold,
    };
    let holdback = |holdback: Holdback| wire::Holdback {
        percentage: holdback.percentage,
        duration: Some(wire_duration(holdback.duration_ms)),
    };
    wire::Policy {
        key: policy.key.clone(),
        revision,
        description: policy.description.clone(),
        owner: policy.owner.clone(),
        guardrail_tags: policy.guardrail_tags.clone(),
        required_tags: policy.required_tags.clone(),
        require_guardrails: policy.require_guardrails,
        alpha: Some(policy.alpha),
        alpha_hold: Some(policy.alpha_hold),
        min_units: count(policy.min_units),
        ramp: policy.ramp.iter().map(wire_step).collect(),
        holdback: policy.holdback.map(holdback),
        undecided: undecided.into(),
        resolvers: policy.resolvers.clone(),
        overriders: policy.overriders.clone(),
        shadow: policy.shadow,
        shadow_guardrails: policy.shadow_guardrails.clone(),
        segments: policy.segments.clone(),
        cycle: policy.cycle.map(|cycle| wire::EvidenceCycle {
            step: Some(wire_duration(cycle.step_ms)),
            ship: Some(wire_duration(cycle.ship_ms)),
        }),
        create_time: None,
        update_time: None,
        archived: false,
    }
}

fn holdback(message: &wire::Holdback) -> Result<Holdback> {
    let default = Holdback::default();
    let given =
        message.duration.as_ref().map(|given| duration_ms("policy.holdback.duration", given)).transpose()?;
    // No share at all is none that could be held back.
    let percentage = if message.percentage == 0.0 { default.percentage } else { message.percentage };
    Ok(Holdback { percentage, duration_ms: given.unwrap_or(default.duration_ms) })
}

fn cycle(message: &wire::EvidenceCycle) -> Result<Cycle> {
    let Cycle { step_ms, ship_ms } = Cycle::default();
    let or = |field, length: Option<&prost_types::Duration>, default| {
        length.map_or(Ok(default), |length| duration_ms(field, length))
    };
    Ok(Cycle {
        step_ms: or("policy.cycle.step", message.step.as_ref(), step_ms)?,
        ship_ms: or("policy.cycle.ship", message.ship.as_ref(), ship_ms)?,
    })
}

/// The list, or its default where it is empty.
fn or(list: Vec<String>, default: &str) -> Vec<String> {
    if list.is_empty() { vec![default.to_owned()] } else { list }
}
