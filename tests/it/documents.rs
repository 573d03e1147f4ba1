//! Gates, experiments and metrics as the tests write them, and the calls that make them.

use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    Condition, ConditionOperator, ConfigRule, CreateConfigRequest, CreateExperimentRequest,
    CreateGateRequest, CreateHoldoutRequest, CreateLayerRequest, CreateMetricRequest, CreateSegmentRequest,
    DynamicConfig, Experiment, ExperimentGroup, ExperimentOverride, Gate, GateRule, Holdout, Launch, Layer,
    Metric, MetricKind, Ramp, RampStep, Segment, SetRolloutRequest, SetRolloutResponse,
    StartExperimentRequest, UpdateConfigRequest, UpdateExperimentRequest, UpdateGateRequest,
    UpdateHoldoutRequest, UpdateLayerRequest, UpdateSegmentRequest, set_rollout_request,
};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::Status;

use crate::server::{Server, wire_duration};

/// A gate with one rule for everyone.
pub(crate) fn gate(key: &str, percentage: f64) -> Gate {
    Gate { key: key.to_owned(), rules: vec![rule("everyone", percentage, Vec::new())], ..Gate::default() }
}

pub(crate) fn rule(id: &str, percentage: f64, conditions: Vec<Condition>) -> GateRule {
    GateRule { id: id.to_owned(), conditions, percentage, ..GateRule::default() }
}

pub(crate) fn condition(attribute: &str, operator: ConditionOperator, values: &[&str]) -> Condition {
    test_of(Subject::Attribute(attribute.to_owned()), operator, values)
}

pub(crate) fn test_of(subject: Subject, operator: ConditionOperator, values: &[&str]) -> Condition {
    let values = values.iter().map(|value| text(value)).collect();
    Condition { subject: Some(subject), operator: operator.into(), values }
}

/// Whether a gate or a holdout is passed.
pub(crate) fn passes(gate: &str) -> Condition {
    test_of(Subject::Gate(gate.to_owned()), ConditionOperator::Passes, &[])
}

/// Whether the visitor is in a segment.
pub(crate) fn is_in(segment: &str) -> Condition {
    test_of(Subject::Segment(segment.to_owned()), ConditionOperator::Passes, &[])
}

/// A gate whose only rule lets a share of those through who meet the conditions.
pub(crate) fn gate_for(key: &str, percentage: f64, conditions: Vec<Condition>) -> Gate {
    Gate { key: key.to_owned(), rules: vec![rule("everyone", percentage, conditions)], ..Gate::default() }
}

/// A segment by conditions.
pub(crate) fn segment(key: &str, conditions: Vec<Condition>) -> Segment {
    Segment { key: key.to_owned(), rules: vec![rule("who", 100.0, conditions)], ..Segment::default() }
}

/// A segment by a list of ids.
pub(crate) fn id_list(key: &str, ids: &[&str]) -> Segment {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Segment { key: key.to_owned(), ids, is_id_list: true, ..Segment::default() }
}

pub(crate) fn config_rule(id: &str, conditions: Vec<Condition>, value: Struct) -> ConfigRule {
    let (id, percentage, value) = (id.to_owned(), 100.0, Some(value));
    ConfigRule { id, conditions, percentage, value, ..ConfigRule::default() }
}

pub(crate) fn layer(key: &str, parameters: Struct) -> Layer {
    Layer { key: key.to_owned(), parameters: Some(parameters), ..Layer::default() }
}

/// Two halves, `control` and `treatment`, that set `color` to `grey` and to the given one.
pub(crate) fn halves(key: &str, color: &str) -> Experiment {
    let half = |(name, color): (&str, &str)| ExperimentGroup {
        name: name.to_owned(),
        weight: 50.0,
        parameters: Some(values(&[("color", text(color))])),
        id: None,
    };
    let groups = [("control", "grey"), ("treatment", color)].map(half).to_vec();
    Experiment { key: key.to_owned(), groups, ..Experiment::default() }
}

/// Puts visitors of these ids in a group.
pub(crate) fn override_of(id: &str, group: &str, ids: &[&str]) -> ExperimentOverride {
    let who = test_of(Subject::Unit("user_id".to_owned()), ConditionOperator::AnyCaseSensitive, ids);
    ExperimentOverride { id: id.to_owned(), group: group.to_owned(), conditions: vec![who] }
}

/// Four buttons, a quarter of the visitors each; Blue is what there was before.
pub(crate) fn button_color_v3() -> Experiment {
    let group = |(name, paragraph): (&str, &str)| ExperimentGroup {
        name: name.to_owned(),
        weight: 25.0,
        parameters: Some(values(&[("Button Color", text(name)), ("Paragraph Text", text(paragraph))])),
        id: None,
    };
    let groups =
        [("Blue", "Data Blue"), ("Red", "Data Red"), ("Green", "Data Green"), ("Orange", "Data Orange")];
    Experiment {
        key: "button_color_v3".to_owned(),
        hypothesis: "Another color brings more visitors to the signup.".to_owned(),
        groups: groups.into_iter().map(group).collect(),
        ..Experiment::default()
    }
}

/// The metric of an event: the share of units that have it.
pub(crate) fn metric(key: &str, event: &str) -> Metric {
    Metric {
        key: key.to_owned(),
        kind: MetricKind::Conversion.into(),
        event: event.to_owned(),
        ..Metric::default()
    }
}

/// The same, as a guardrail.
pub(crate) fn guardrail(key: &str, event: &str) -> Metric {
    Metric { tags: vec!["guardrail".to_owned()], min_units: Some(100), ..metric(key, event) }
}

pub(crate) fn values(fields: &[(&str, Value)]) -> Struct {
    Struct { fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect() }
}

pub(crate) fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

pub(crate) fn number(number: f64) -> Value {
    Value { kind: Some(Kind::NumberValue(number)) }
}

pub(crate) fn step(percentage: f64, min_duration_ms: i64, min_units: i64) -> RampStep {
    RampStep {
        percentage,
        min_duration: Some(wire_duration(min_duration_ms)),
        min_units,
        ..RampStep::default()
    }
}

pub(crate) fn percentage(gate: &str, percentage: f64) -> SetRolloutRequest {
    SetRolloutRequest {
        gate: gate.to_owned(),
        rollout: Some(set_rollout_request::Rollout::Percentage(percentage)),
        ..SetRolloutRequest::default()
    }
}

pub(crate) fn ramp(gate: &str, steps: Vec<RampStep>) -> SetRolloutRequest {
    SetRolloutRequest {
        gate: gate.to_owned(),
        rollout: Some(set_rollout_request::Rollout::Ramp(Ramp { steps })),
        ..SetRolloutRequest::default()
    }
}

impl Server {
    pub(crate) async fn create_gate(&self, gate: Gate) -> Gate {
        let request = CreateGateRequest { gate: Some(gate) };
        self.admin().create_gate(request).await.expect("a new gate").into_inner().gate.expect("the gate")
    }

    pub(crate) async fn create_metric(&self, metric: Metric) -> Metric {
        let request = CreateMetricRequest { metric: Some(metric) };
        self.admin()
            .create_metric(request)
            .await
            .expect("a new metric")
            .into_inner()
            .metric
            .expect("the metric")
    }

    pub(crate) async fn create_experiment(&self, experiment: Experiment) -> Experiment {
        let request = CreateExperimentRequest { experiment: Some(experiment) };
        let created = self.admin().create_experiment(request).await.expect("a new experiment").into_inner();
        created.experiment.expect("the experiment")
    }

    pub(crate) async fn start_experiment(&self, draft: &Experiment) -> (Experiment, Launch) {
        let request =
            StartExperimentRequest { key: draft.key.clone(), revision: draft.revision, guardrails: None };
        let started = self.admin().start_experiment(request).await.expect("a start").into_inner();
        (started.experiment.expect("the experiment"), started.launch.expect("its launch"))
    }

    /// Makes an experiment and starts it.
    pub(crate) async fn run_experiment(&self, experiment: Experiment) -> (Experiment, Launch) {
        let draft = self.create_experiment(experiment).await;
        self.start_experiment(&draft).await
    }

    pub(crate) async fn set_rollout(&self, request: SetRolloutRequest) -> Result<SetRolloutResponse, Status> {
        self.admin().set_rollout(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn update_gate(&self, gate: Gate) -> Result<Gate, Status> {
        let request = UpdateGateRequest { gate: Some(gate) };
        Ok(self.admin().update_gate(request).await?.into_inner().gate.expect("the gate"))
    }

    pub(crate) async fn create_segment(&self, segment: Segment) -> Segment {
        let request = CreateSegmentRequest { segment: Some(segment) };
        let created = self.admin().create_segment(request).await.expect("a new segment").into_inner();
        created.segment.expect("the segment")
    }

    pub(crate) async fn update_segment(&self, segment: Segment) -> Result<Segment, Status> {
        let request = UpdateSegmentRequest { segment: Some(segment) };
        Ok(self.admin().update_segment(request).await?.into_inner().segment.expect("the segment"))
    }

    pub(crate) async fn create_config(&self, config: DynamicConfig) -> DynamicConfig {
        let request = CreateConfigRequest { config: Some(config) };
        let created = self.admin().create_config(request).await.expect("a new config").into_inner();
        created.config.expect("the config")
    }

    pub(crate) async fn update_config(&self, config: DynamicConfig) -> Result<DynamicConfig, Status> {
        let request = UpdateConfigRequest { config: Some(config) };
        Ok(self.admin().update_config(request).await?.into_inner().config.expect("the config"))
    }

    pub(crate) async fn create_layer(&self, layer: Layer) -> Layer {
        let request = CreateLayerRequest { layer: Some(layer) };
        let created = self.admin().create_layer(request).await.expect("a new layer").into_inner();
        created.layer.expect("the layer")
    }

    pub(crate) async fn update_layer(&self, layer: Layer) -> Result<Layer, Status> {
        let request = UpdateLayerRequest { layer: Some(layer) };
        Ok(self.admin().update_layer(request).await?.into_inner().layer.expect("the layer"))
    }

    pub(crate) async fn create_holdout(&self, holdout: Holdout) -> Holdout {
        let request = CreateHoldoutRequest { holdout: Some(holdout) };
        let created = self.admin().create_holdout(request).await.expect("a new holdout").into_inner();
        created.holdout.expect("the holdout")
    }

    pub(crate) async fn update_holdout(&self, holdout: Holdout) -> Result<Holdout, Status> {
        let request = UpdateHoldoutRequest { holdout: Some(holdout) };
        Ok(self.admin().update_holdout(request).await?.into_inner().holdout.expect("the holdout"))
    }

    pub(crate) async fn update_experiment(&self, experiment: Experiment) -> Result<Experiment, Status> {
        let request = UpdateExperimentRequest { experiment: Some(experiment) };
        Ok(self.admin().update_experiment(request).await?.into_inner().experiment.expect("the experiment"))
    }
}
