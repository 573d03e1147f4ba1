//! Decisions as they are answered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::parameters::{Parameters, json_type};
use crate::engine::evaluate::Decision;
use crate::engine::reason::Reason;
use crate::live::InForce;
use crate::transport::grpc::convert;
use crate::transport::grpc::wire::{
    CheckGateResponse, EvaluationReason, GetConfigResponse, GetExperimentResponse, GetLayerResponse,
    Parameter, ParameterSource,
};

/// What a gate says.
pub(super) fn gate_answer(decision: &Decision<'_>, in_force: &InForce) -> CheckGateResponse {
    CheckGateResponse {
        pass: decision.passed,
        reason: wire_reason(decision.reason).into(),
        rule_id: decision.rule_id.to_owned(),
        config_revision: in_force.snapshot.revision(),
    }
}

/// What an experiment gives.
pub(super) fn experiment_answer(
    key: &str,
    decision: &Decision<'_>,
    in_force: &InForce,
    defaults: &Parameters,
) -> GetExperimentResponse {
    GetExperimentResponse {
        group: decision.group.unwrap_or_default().to_owned(),
        reason: wire_reason(decision.reason).into(),
        parameters: group_parameters(decision, in_force, Some(key), defaults),
        config_revision: in_force.snapshot.revision(),
        rule_id: decision.rule_id.to_owned(),
    }
}

/// What a dynamic config gives.
pub(super) fn config_answer(
    decision: &Decision<'_>,
    in_force: &InForce,
    defaults: &Parameters,
) -> GetConfigResponse {
    let source = if decision.passed { ParameterSource::Rule } else { ParameterSource::EntityDefault };
    GetConfigResponse {
        reason: wire_reason(decision.reason).into(),
        parameters: parameters(decision, !decision.passed, |_| source, defaults),
        rule_id: decision.rule_id.to_owned(),
        config_revision: in_force.snapshot.revision(),
        group: decision.group.filter(|_| decision.passed).unwrap_or_default().to_owned(),
    }
}

/// What a layer gives.
pub(super) fn layer_answer(
    decision: &Decision<'_>,
    in_force: &InForce,
    defaults: &Parameters,
) -> GetLayerResponse {
    let experiment = decision.experiment;
    GetLayerResponse {
        reason: wire_reason(decision.reason).into(),
        parameters: group_parameters(decision, in_force, experiment, defaults),
        experiment: experiment.unwrap_or_default().to_owned(),
        config_revision: in_force.snapshot.revision(),
        group: decision.group.unwrap_or_default().to_owned(),
        rule_id: decision.rule_id.to_owned(),
    }
}

/// Why a decision is what it is, as it is sent.
pub(super) fn wire_reason(reason: Reason) -> EvaluationReason {
    match reason {
        Reason::Rule => EvaluationReason::Rule,
        Reason::NoRule => EvaluationReason::NoRule,
        Reason::Disabled => EvaluationReason::Disabled,
        Reason::UnknownKey => EvaluationReason::UnknownKey,
        Reason::MissingUnit => EvaluationReason::MissingUnit,
        Reason::HeldOut => EvaluationReason::HeldOut,
        Reason::NotRunning => EvaluationReason::NotRunning,
        Reason::NotAllocated => EvaluationReason::NotAllocated,
        Reason::NotTargeted => EvaluationReason::NotTargeted,
        Reason::Decided => EvaluationReason::Decided,
        Reason::GroupStopped => EvaluationReason::GroupStopped,
        Reason::Override => EvaluationReason::Override,
        Reason::Faulty => EvaluationReason::Faulty,
    }
}

/// Everything that the user is given, which may be the default value, and the caller's defaults for the rest.
fn parameters(
    decision: &Decision<'_>,
    is_default: bool,
    source: impl Fn(&str) -> ParameterSource,
    defaults: &Parameters,
) -> BTreeMap<String, Parameter> {
    let given = decision.value.iter().map(|(name, value)| (name.clone(), parameter(value, source(name))));
    let mut parameters: BTreeMap<String, Parameter> = given.collect();
    for (name, default) in defaults {
        let source = match decision.value.get(name) {
            Some(given) if json_type(given) == json_type(default) => continue,
            Some(_) => ParameterSource::DefaultTypeMismatch,
            None if is_default => ParameterSource::DefaultNoGroup,
            None => ParameterSource::DefaultMissing,
        };
        parameters.insert(name.clone(), parameter(default, source));
    }
    parameters
}

/// The same of an experiment. In a layer a group gives the parameters that its experiment sets, and the layer the rest.
fn group_parameters(
    decision: &Decision<'_>,
    in_force: &InForce,
    experiment: Option<&str>,
    defaults: &Parameters,
) -> BTreeMap<String, Parameter> {
    let is_default = decision.group.is_none();
    let spec = experiment.and_then(|key| in_force.ruleset.configs.get(key));
    let facts = spec.and_then(|spec| spec.experiment.as_ref()).filter(|facts| facts.layer.is_some());
    let is_set =
        |name: &str| facts.is_none_or(|facts| facts.explicit_parameters.iter().any(|set| set == name));
    let source = |name: &str| {
        if !is_default && is_set(name) { ParameterSource::Group } else { ParameterSource::EntityDefault }
    };
    parameters(decision, is_default, source, defaults)
}

fn parameter(value: &Value, source: ParameterSource) -> Parameter {
    Parameter { value: Some(convert::wire_value(value)), source: source.into() }
}
