//! The users' world: metrics, gates and an experiment, all made through the API.

use prost_types::value::Kind;
use prost_types::{Duration, Struct, Value};
use tonic::{Request, Status};

use super::clients::Clients;
use super::timeline::Timeline;
use crate::transport::grpc::wire::set_rollout_request::Rollout;
use crate::transport::grpc::wire::{
    CreateExperimentRequest, CreateGateRequest, CreateMetricRequest, Experiment, ExperimentGroup, Gate,
    GateRule, GuardrailChoice, Metric, MetricKind, Ramp, RampStep, SetRolloutRequest, StartExperimentRequest,
};

/// A new homepage that does no harm.
pub(super) const HARMLESS: &str = "show_new_homepage";
/// A new signup form that drives a part of the visitors away.
pub(super) const HARMFUL: &str = "show_new_signup_form";
/// A change of the checkout whose own guardrail never gets any data.
pub(super) const BLIND: &str = "show_new_checkout";
/// The experiment that runs beside them.
pub(super) const EXPERIMENT: &str = "button_color_v3";
/// The guardrail, and the event it is made from.
pub(super) const SIGNUP: &str = "visited_signup";
/// A guardrail of an event that nobody logs.
const PAID: &str = "paid";
/// Its groups, each with a text for the paragraph.
pub(super) const GROUPS: [(&str, &str); 4] = [
    ("Blue", "Plan your day in one place."),
    ("Red", "Never miss a task again."),
    ("Green", "Everything you need to do, and no more."),
    ("Orange", "Tasks done by noon."),
];
/// The group that puts visitors off.
pub(super) const HARMFUL_GROUP: &str = "Orange";
/// The parameters of each group.
pub(super) const BUTTON_COLOR: &str = "Button Color";
const PARAGRAPH_TEXT: &str = "Paragraph Text";
/// Shares of the harmless ramp.
const RAMP: [f64; 4] = [10.0, 25.0, 50.0, 100.0];
/// Share of the harmful launch.
const HARMFUL_SHARE: f64 = 20.0;
/// Share of the launch without data.
const BLIND_SHARE: f64 = 10.0;

/// Ids of the launches.
#[derive(Debug)]
pub(super) struct World {
    pub(super) harmless: String,
    pub(super) harmful: String,
    pub(super) blind: String,
    pub(super) experiment: String,
}

/// Makes everything, and begins the launches.
pub(super) async fn build(clients: &mut Clients, timeline: &Timeline) -> Result<World, String> {
    let made = make(clients, timeline).await;
    made.map_err(|status| format!("the world could not be made: {}: {}", status.code(), status.message()))
}

async fn make(clients: &mut Clients, timeline: &Timeline) -> Result<World, Status> {
    make_metrics(clients).await?;
    timeline.line("metrics: dau, paid, and visited_signup with the tag guardrail");
    let experiment = start_experiment(clients).await?;
    timeline.line(&format!("experiment {EXPERIMENT}: started with Blue, Red, Green, Orange at 25 % each"));
    for gate in [HARMLESS, HARMFUL, BLIND] {
        let rule = GateRule { id: "everyone".to_owned(), ..GateRule::default() };
        let gate = Gate { key: gate.to_owned(), rules: vec![rule], ..Gate::default() };
        clients.admin.create_gate(by_demo(CreateGateRequest { gate: Some(gate) })).await?;
    }
    let steps = RAMP.map(|percentage| RampStep {
        percentage,
        min_duration: Some(Duration { seconds: 3, nanos: 0 }),
        min_units: 100,
        ..RampStep::default()
    });
    let ramp = Rollout::Ramp(Ramp { steps: steps.to_vec() });
    let harmless = set_rollout(clients, to(HARMLESS, ramp)).await?;
    timeline.line(&format!("gate {HARMLESS}: a ramp over 10, 25 and 50 to 100 %, at least 3 s a step"));
    let harmful = set_rollout(clients, to(HARMFUL, Rollout::Percentage(HARMFUL_SHARE))).await?;
    timeline.line(&format!("gate {HARMFUL}: set to {HARMFUL_SHARE} %"));
    let guardrails = GuardrailChoice { add: vec![PAID.to_owned()], ..GuardrailChoice::default() };
    let blind = to(BLIND, Rollout::Percentage(BLIND_SHARE));
    let blind = set_rollout(clients, SetRolloutRequest { guardrails: Some(guardrails), ..blind }).await?;
    timeline.line(&format!("gate {BLIND}: set to {BLIND_SHARE} %, with {PAID} as one more guardrail"));
    Ok(World { harmless, harmful, blind, experiment })
}

async fn make_metrics(clients: &mut Clients) -> Result<(), Status> {
    let dau = Metric {
        key: "dau".to_owned(),
        description: "Days on which a visitor was active".to_owned(),
        kind: MetricKind::ActiveDays.into(),
        ..Metric::default()
    };
    let signup = Metric {
        key: SIGNUP.to_owned(),
        description: "Visitors who went to the signup page".to_owned(),
        tags: vec!["guardrail".to_owned()],
        kind: MetricKind::Conversion.into(),
        event: SIGNUP.to_owned(),
        ..Metric::default()
    };
    let paid = Metric {
        key: PAID.to_owned(),
        description: "Visitors who paid".to_owned(),
        kind: MetricKind::Conversion.into(),
        event: PAID.to_owned(),
        ..Metric::default()
    };
    for metric in [dau, signup, paid] {
        clients.admin.create_metric(by_demo(CreateMetricRequest { metric: Some(metric) })).await?;
    }
    Ok(())
}

async fn start_experiment(clients: &mut Clients) -> Result<String, Status> {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let groups = GROUPS.map(|(color, paragraph)| ExperimentGroup {
        name: color.to_owned(),
        weight: 25.0,
        parameters: Some(Struct {
            fields: [(BUTTON_COLOR.to_owned(), text(color)), (PARAGRAPH_TEXT.to_owned(), text(paragraph))]
                .into(),
        }),
        ..ExperimentGroup::default()
    });
    let experiment = Experiment {
        key: EXPERIMENT.to_owned(),
        hypothesis: "A warmer button brings more visitors to the signup page".to_owned(),
        groups: groups.to_vec(),
        primary_metrics: vec![SIGNUP.to_owned()],
        ..Experiment::default()
    };
    let request = by_demo(CreateExperimentRequest { experiment: Some(experiment) });
    let made = clients.admin.create_experiment(request).await?.into_inner().experiment.unwrap_or_default();
    let start = StartExperimentRequest { key: made.key, revision: made.revision, guardrails: None };
    let started = clients.admin.start_experiment(by_demo(start)).await?.into_inner();
    Ok(started.launch.unwrap_or_default().id)
}

/// What changes the rollout of a gate.
pub(super) fn to(gate: &str, rollout: Rollout) -> SetRolloutRequest {
    SetRolloutRequest { gate: gate.to_owned(), rollout: Some(rollout), ..SetRolloutRequest::default() }
}

/// Changes a rollout, and gives the id of its launch.
pub(super) async fn set_rollout(clients: &mut Clients, request: SetRolloutRequest) -> Result<String, Status> {
    let answer = clients.admin.set_rollout(by_demo(request)).await?.into_inner();
    Ok(answer.launch.unwrap_or_default().id)
}

/// A request in the demo's name.
pub(super) fn by_demo<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let name = tonic::metadata::MetadataValue::from_static("demo");
    request.metadata_mut().insert("portcullis-principal", name);
    request
}
