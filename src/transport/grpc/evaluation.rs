//! Evaluation: the hot path. It reads one snapshot and never waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost_types::Struct;
use serde_json::Value;
use tonic::{Request, Response, Status};

use super::convert;
use super::wire::evaluation_service_server::EvaluationService;
use super::wire::{
    self, CheckGateRequest, CheckGateResponse, EvaluateBatchRequest, EvaluateBatchResponse, GetConfigRequest,
    GetConfigResponse, GetExperimentRequest, GetExperimentResponse, GetLayerRequest, GetLayerResponse,
    Parameter, ParameterSource,
};
use crate::clock::Clock;
use crate::domain::parameters::json_type;
use crate::domain::user::User;
use crate::engine::evaluate::{Decision, Entity, evaluate};
use crate::engine::reason::Reason;
use crate::engine::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::live::Live;

/// Most keys of one batch.
const MAX_KEYS: usize = 1_000;

/// The evaluation service.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub(super) live: Arc<Live>,
    pub(super) ingest: Ingest,
    pub(super) clock: Clock,
}

impl Evaluation {
    /// Decides, and records the exposure where it is wanted.
    fn decide<'s>(
        &self,
        snapshot: &'s Snapshot,
        entity: Entity,
        key: &str,
        user: &User,
        expose: bool,
    ) -> Decision<'s> {
        let decision = evaluate(snapshot, entity, key, user, self.clock.now());
        let exposure = decision.exposure.as_ref().filter(|_| expose);
        if let Some(record) = exposure.and_then(|exposed| exposed.record(user)) {
            self.ingest.offer(record);
        }
        decision
    }
}

#[tonic::async_trait]
impl EvaluationService for Evaluation {
    async fn check_gate(
        &self,
        request: Request<CheckGateRequest>,
    ) -> std::result::Result<Response<CheckGateResponse>, Status> {
        let request = request.into_inner();
        let user = convert::user("user", request.user)?;
        let in_force = self.live.in_force();
        let snapshot = &in_force.snapshot;
        let decision = self.decide(snapshot, Entity::Gate, &request.gate, &user, !request.disable_exposure);
        known("gate", &request.gate, &decision)?;
        Ok(Response::new(gate_answer(&decision, snapshot)))
    }

    async fn get_experiment(
        &self,
        request: Request<GetExperimentRequest>,
    ) -> std::result::Result<Response<GetExperimentResponse>, Status> {
        let request = request.into_inner();
        let user = convert::user("user", request.user)?;
        let defaults = convert::parameters("defaults", request.defaults)?;
        let in_force = self.live.in_force();
        let snapshot = &in_force.snapshot;
        let key = &request.experiment;
        let decision = self.decide(snapshot, Entity::Experiment, key, &user, !request.disable_exposure);
        known("experiment", key, &decision)?;
        Ok(Response::new(experiment_answer(&decision, snapshot, &defaults)))
    }

    async fn get_config(
        &self,
        _: Request<GetConfigRequest>,
    ) -> std::result::Result<Response<GetConfigResponse>, Status> {
        Err(Status::unimplemented("dynamic configs are not implemented yet"))
    }

    async fn get_layer(
        &self,
        _: Request<GetLayerRequest>,
    ) -> std::result::Result<Response<GetLayerResponse>, Status> {
        Err(Status::unimplemented("layers are not implemented yet"))
    }

    async fn evaluate_batch(
        &self,
        request: Request<EvaluateBatchRequest>,
    ) -> std::result::Result<Response<EvaluateBatchResponse>, Status> {
        let request = request.into_inner();
        let user = convert::user("user", request.user)?;
        let count = request.gates.len() + request.experiments.len();
        if count > MAX_KEYS {
            let message = format!("must have at most {MAX_KEYS} keys together with experiments, has {count}");
            return Err(Error::field("gates", message).into());
        }
        let mut defaults = all_defaults(request.defaults)?;
        let in_force = self.live.in_force();
        let snapshot = &in_force.snapshot;
        let expose = !request.disable_exposure;
        let gates = request.gates.into_iter().map(|key| {
            let decision = self.decide(snapshot, Entity::Gate, &key, &user, expose);
            let answer = gate_answer(&decision, snapshot);
            (key, answer)
        });
        let experiments = request.experiments.into_iter().map(|key| {
            let decision = self.decide(snapshot, Entity::Experiment, &key, &user, expose);
            let answer = experiment_answer(&decision, snapshot, &defaults.remove(&key).unwrap_or_default());
            (key, answer)
        });
        let answer = EvaluateBatchResponse { gates: gates.collect(), experiments: experiments.collect() };
        Ok(Response::new(answer))
    }
}

fn all_defaults(defaults: BTreeMap<String, Struct>) -> Result<BTreeMap<String, BTreeMap<String, Value>>> {
    let convert = |(key, values)| {
        let values = convert::parameters(&format!("defaults[{key}]"), Some(values))?;
        Ok((key, values))
    };
    defaults.into_iter().map(convert).collect()
}

fn known(kind: &'static str, key: &str, decision: &Decision<'_>) -> Result<()> {
    if decision.reason == Reason::UnknownKey {
        return Err(Error::NotFound { kind, key: key.to_owned() });
    }
    Ok(())
}

fn gate_answer(decision: &Decision<'_>, snapshot: &Snapshot) -> CheckGateResponse {
    CheckGateResponse {
        pass: decision.passed,
        reason: wire_reason(decision.reason).into(),
        rule_id: decision.rule_id.to_owned(),
        config_revision: snapshot.revision(),
    }
}

/// Every parameter of the group, and the caller's defaults for what the group does not give.
fn experiment_answer(
    decision: &Decision<'_>,
    snapshot: &Snapshot,
    defaults: &BTreeMap<String, Value>,
) -> GetExperimentResponse {
    let mut parameters = BTreeMap::new();
    let given = decision.group.map(|_| decision.value);
    for (name, value) in given.into_iter().flatten() {
        parameters.insert(name.clone(), parameter(value, ParameterSource::Group));
    }
    for (name, default) in defaults {
        let given = given.map(|given| given.get(name));
        let source = match given {
            None => ParameterSource::DefaultNoGroup,
            Some(None) => ParameterSource::DefaultMissing,
            Some(Some(value)) if json_type(value) != json_type(default) => {
                ParameterSource::DefaultTypeMismatch
            }
            Some(Some(_)) => continue,
        };
        parameters.insert(name.clone(), parameter(default, source));
    }
    GetExperimentResponse {
        group: decision.group.unwrap_or_default().to_owned(),
        reason: wire_reason(decision.reason).into(),
        parameters,
        config_revision: snapshot.revision(),
    }
}

fn parameter(value: &Value, source: ParameterSource) -> Parameter {
    Parameter { value: Some(convert::wire_value(value)), source: source.into() }
}

fn wire_reason(reason: Reason) -> wire::EvaluationReason {
    use wire::EvaluationReason as Wire;
    match reason {
        Reason::Rule => Wire::Rule,
        Reason::NoRule => Wire::NoRule,
        Reason::Disabled => Wire::Disabled,
        Reason::UnknownKey => Wire::UnknownKey,
        Reason::MissingUnit => Wire::MissingUnit,
        Reason::HeldOut => Wire::HeldOut,
        Reason::NotRunning => Wire::NotRunning,
        Reason::NotAllocated => Wire::NotAllocated,
        Reason::NotTargeted => Wire::NotTargeted,
        Reason::Decided => Wire::Decided,
        Reason::GroupStopped => Wire::GroupStopped,
        Reason::Override => Wire::Rule,
        Reason::Faulty => Wire::Faulty,
    }
}
