//! Evaluation: the hot path. It reads one snapshot and never waits.

mod answers;
mod explanation;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost_types::Struct;
use tonic::{Request, Response, Status};

use self::answers::{config_answer, experiment_answer, gate_answer, layer_answer};
use super::convert;
use super::wire::evaluation_service_server::EvaluationService;
use super::wire::{self, EntityKind, EvaluateBatchRequest, EvaluateBatchResponse};
use crate::clock::Clock;
use crate::domain::parameters::Parameters;
use crate::domain::user::User;
use crate::engine::evaluate::{Decision, Entity, evaluate};
use crate::engine::explain::explain;
use crate::engine::reason::Reason;
use crate::error::{Error, Result};
use crate::ingest::Ingest;
use crate::live::{InForce, Live};

/// Most keys of one batch.
const MAX_KEYS: usize = 1_000;

/// The evaluation service.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub(super) live: Arc<Live>,
    pub(super) ingest: Ingest,
    pub(super) clock: Clock,
}

/// One call: a user, and the configuration that all its answers are made from.
struct Call<'c> {
    service: &'c Evaluation,
    in_force: Arc<InForce>,
    user: User,
    /// Whether exposures are recorded.
    expose: bool,
}

impl Evaluation {
    fn call(&self, user: Option<wire::User>, disable_exposure: bool) -> Result<Call<'_>> {
        let user = convert::user("user", user)?;
        Ok(Call { service: self, in_force: self.live.in_force(), user, expose: !disable_exposure })
    }
}

impl Call<'_> {
    /// Decides, and records exposures where they are wanted.
    fn decide(&self, entity: Entity, key: &str) -> Decision<'_> {
        let decision = evaluate(&self.in_force.snapshot, entity, key, &self.user, self.service.clock.now());
        for exposed in decision.exposures().filter(|_| self.expose) {
            if let Some(record) = exposed.record(&self.user) {
                self.service.ingest.offer(record);
            }
        }
        decision
    }

    /// The same, of something that is there.
    fn decide_known(&self, entity: Entity, key: &str) -> Result<Decision<'_>> {
        let decision = self.decide(entity, key);
        if decision.reason == Reason::UnknownKey {
            return Err(not_found(entity, key));
        }
        Ok(decision)
    }
}

#[tonic::async_trait]
impl EvaluationService for Evaluation {
    async fn check_gate(
        &self,
        request: Request<wire::CheckGateRequest>,
    ) -> std::result::Result<Response<wire::CheckGateResponse>, Status> {
        let request = request.into_inner();
        let call = self.call(request.user, request.disable_exposure)?;
        let decision = call.decide_known(Entity::Gate, &request.gate)?;
        Ok(Response::new(gate_answer(&decision, &call.in_force)))
    }

    async fn get_experiment(
        &self,
        request: Request<wire::GetExperimentRequest>,
    ) -> std::result::Result<Response<wire::GetExperimentResponse>, Status> {
        let request = request.into_inner();
        let call = self.call(request.user, request.disable_exposure)?;
        let defaults = convert::parameters("defaults", request.defaults)?;
        let decision = call.decide_known(Entity::Experiment, &request.experiment)?;
        Ok(Response::new(experiment_answer(&request.experiment, &decision, &call.in_force, &defaults)))
    }

    async fn get_config(
        &self,
        request: Request<wire::GetConfigRequest>,
    ) -> std::result::Result<Response<wire::GetConfigResponse>, Status> {
        let request = request.into_inner();
        let call = self.call(request.user, request.disable_exposure)?;
        let defaults = convert::parameters("defaults", request.defaults)?;
        let decision = call.decide_known(Entity::Config, &request.config)?;
        Ok(Response::new(config_answer(&decision, &call.in_force, &defaults)))
    }

    async fn get_layer(
        &self,
        request: Request<wire::GetLayerRequest>,
    ) -> std::result::Result<Response<wire::GetLayerResponse>, Status> {
        let request = request.into_inner();
        let call = self.call(request.user, request.disable_exposure)?;
        let defaults = convert::parameters("defaults", request.defaults)?;
        let decision = call.decide_known(Entity::Layer, &request.layer)?;
        Ok(Response::new(layer_answer(&decision, &call.in_force, &defaults)))
    }

    async fn evaluate_batch(
        &self,
        request: Request<EvaluateBatchRequest>,
    ) -> std::result::Result<Response<EvaluateBatchResponse>, Status> {
        let request = request.into_inner();
        let call = self.call(request.user, request.disable_exposure)?;
        let lists = [&request.gates, &request.experiments, &request.configs, &request.layers];
        let count: usize = lists.iter().map(|list| list.len()).sum();
        if count > MAX_KEYS {
            let message = format!("all keys together must be at most {MAX_KEYS}, are {count}");
            return Err(Error::field("gates", message).into());
        }
        let defaults = all_defaults("defaults", request.defaults)?;
        let layer_defaults = all_defaults("layer_defaults", request.layer_defaults)?;
        let none = Parameters::new();
        let in_force = &call.in_force;
        let gates = request.gates.into_iter().map(|key| {
            let answer = gate_answer(&call.decide(Entity::Gate, &key), in_force);
            (key, answer)
        });
        let experiments = request.experiments.into_iter().map(|key| {
            let decision = call.decide(Entity::Experiment, &key);
            let answer = experiment_answer(&key, &decision, in_force, defaults.get(&key).unwrap_or(&none));
            (key, answer)
        });
        let configs = request.configs.into_iter().map(|key| {
            let decision = call.decide(Entity::Config, &key);
            let answer = config_answer(&decision, in_force, defaults.get(&key).unwrap_or(&none));
            (key, answer)
        });
        let layers = request.layers.into_iter().map(|key| {
            let decision = call.decide(Entity::Layer, &key);
            let answer = layer_answer(&decision, in_force, layer_defaults.get(&key).unwrap_or(&none));
            (key, answer)
        });
        Ok(Response::new(EvaluateBatchResponse {
            gates: gates.collect(),
            experiments: experiments.collect(),
            configs: configs.collect(),
            layers: layers.collect(),
        }))
    }

    async fn explain(
        &self,
        request: Request<wire::ExplainRequest>,
    ) -> std::result::Result<Response<wire::ExplainResponse>, Status> {
        let request = request.into_inner();
        let entity = match request.kind() {
            EntityKind::Gate => Entity::Gate,
            EntityKind::Experiment => Entity::Experiment,
            EntityKind::Config => Entity::Config,
            EntityKind::Layer => Entity::Layer,
            EntityKind::Unspecified => {
                return Err(Error::field("kind", "must be GATE, EXPERIMENT, CONFIG or LAYER").into());
            }
        };
        let call = self.call(request.user, true)?;
        let snapshot = &call.in_force.snapshot;
        let explanation = explain(snapshot, entity, &request.key, &call.user, self.clock.now());
        let explanation = explanation.ok_or_else(|| not_found(entity, &request.key))?;
        Ok(Response::new(explanation::sent(&explanation, snapshot.revision())))
    }
}

fn all_defaults(field: &str, defaults: BTreeMap<String, Struct>) -> Result<BTreeMap<String, Parameters>> {
    let convert = |(key, values)| {
        let values = convert::parameters(&format!("{field}[{key}]"), Some(values))?;
        Ok((key, values))
    };
    defaults.into_iter().map(convert).collect()
}

fn not_found(entity: Entity, key: &str) -> Error {
    let kind = match entity {
        Entity::Gate => "gate",
        Entity::Config => "config",
        Entity::Experiment => "experiment",
        Entity::Layer => "layer",
    };
    Error::NotFound { kind, key: key.to_owned() }
}
