//! Gates, experiments and metrics as the tests write them, and the calls that make them.

use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    Condition, ConditionOperator, CreateExperimentRequest, CreateGateRequest, CreateMetricRequest,
    Experiment, ExperimentGroup, Gate, GateRule, Launch, Metric, MetricKind, Ramp, RampStep,
    SetRolloutRequest, SetRolloutResponse, StartExperimentRequest, set_rollout_request,
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
        let request = StartExperimentRequest { key: draft.key.clone(), revision: draft.revision };
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
}
