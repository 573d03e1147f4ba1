//! Bad input: refused with a status that says what is wrong, and the server goes on.

use portcullis::transport::grpc::wire::{
    AttributeValue, CheckGateRequest, CheckLaunchRequest, Condition, ConditionOperator,
    CreateExperimentRequest, CreateGateRequest, CreateHoldoutRequest, CreateMetricRequest,
    EvaluateBatchRequest, Event, Experiment, Gate, GetLaunchRequest, Holdout, ListDecisionsRequest,
    ListGatesRequest, ListLaunchesRequest, LogEventsRequest, Metric, ResolveLatchRequest, SetRolloutRequest,
    Target, User, attribute_value, check_launch_request,
};
use prost::Message;
use raw::{Bytes, RawCodec};
use tonic::{Code, Request, Status};

use crate::documents::{button_color_v3, condition, gate, metric, percentage, ramp, step};
use crate::server::{Server, by, fields, wire_duration, wire_time};
use crate::visitors::{event, user};

/// A request of bytes that need not be a message.
mod raw {
    use tonic::Status;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

    pub(super) type Bytes = Vec<u8>;

    /// Sends the bytes as they are, and gives back those of the answer.
    #[derive(Default)]
    pub(super) struct RawCodec;

    impl Codec for RawCodec {
        type Encode = Bytes;
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for RawCodec {
        type Item = Bytes;
        type Error = Status;

        fn encode(&mut self, bytes: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
            prost::bytes::BufMut::put_slice(buffer, &bytes);
            Ok(())
        }
    }

    impl Decoder for RawCodec {
        type Item = Bytes;
        type Error = Status;

        fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            let mut bytes = vec![0; prost::bytes::Buf::remaining(buffer)];
            prost::bytes::Buf::copy_to_slice(buffer, &mut bytes);
            Ok(Some(bytes))
        }
    }
}

/// A server with a gate that is open.
async fn start() -> Server {
    let server = Server::start().await;
    server.create_gate(gate("open", 100.0)).await;
    server
}

/// Expects the server to answer as if nothing had happened.
async fn assert_goes_on(server: &Server) {
    assert!(check(server, "open", user("visitor")).await.expect("the server goes on"));
}

async fn check(server: &Server, gate: &str, user: User) -> Result<bool, Status> {
    let request = CheckGateRequest { user: Some(user), gate: gate.to_owned(), disable_exposure: true };
    Ok(server.evaluation().check_gate(request).await?.into_inner().pass)
}

/// Expects a refusal that names exactly these fields.
fn assert_names<T: std::fmt::Debug>(outcome: Result<T, Status>, expected: &[&str]) {
    let status = outcome.expect_err("bad input is refused");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(fields(&status), expected, "{status:?}");
}

async fn create_gate(server: &Server, gate: Gate) -> Result<(), Status> {
    server.admin().create_gate(CreateGateRequest { gate: Some(gate) }).await.map(drop)
}

async fn create_experiment(server: &Server, experiment: Experiment) -> Result<(), Status> {
    let request = CreateExperimentRequest { experiment: Some(experiment) };
    server.admin().create_experiment(request).await.map(drop)
}

async fn create_metric(server: &Server, metric: Metric) -> Result<(), Status> {
    server.admin().create_metric(CreateMetricRequest { metric: Some(metric) }).await.map(drop)
}

/// Sends bytes as the message of a call.
async fn send_raw(server: &Server, path: &'static str, bytes: Bytes) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(server.channel());
    client.ready().await.expect("a connection");
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    client.unary(Request::new(bytes), path, RawCodec).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_no_one_can_be_are_refused() {
    let server = start().await;
    let named = |name: &str, id: &str| User {
        custom_ids: [(name.to_owned(), id.to_owned())].into(),
        ..user("visitor")
    };
    let text =
        |length: usize| AttributeValue { value: Some(attribute_value::Value::Text("x".repeat(length))) };
    let with = |value: AttributeValue| User { custom: [("bio".to_owned(), value)].into(), ..user("visitor") };
    let cases: Vec<(User, &str)> = vec![
        (user(""), "user.user_id"),
        (user(&"x".repeat(1_025)), "user.user_id"),
        (named("company_id", &"x".repeat(1_025)), "user.custom_ids[company_id]"),
        (User { country: "x".repeat(65_537), ..user("visitor") }, "user.country"),
        (with(text(65_537)), "user.custom[bio]"),
        (with(text(10 * 1024 * 1024)), "user.custom[bio]"),
        (with(AttributeValue { value: Some(attribute_value::Value::Number(f64::NAN)) }), "user.custom[bio]"),
        (with(AttributeValue { value: None }), "user.custom[bio]"),
        (
            User {
                custom_ids: (0..33).map(|number| (format!("id-{number}"), "x".to_owned())).collect(),
                ..User::default()
            },
            "user.custom_ids",
        ),
        (
            User {
                custom: (0..129).map(|number| (format!("name-{number}"), text(1))).collect(),
                ..user("visitor")
            },
            "user.custom",
        ),
    ];
    for (user, field) in cases {
        assert_names(check(&server, "open", user.clone()).await, &[field]);
        let batch = EvaluateBatchRequest { user: Some(user), ..EvaluateBatchRequest::default() };
        assert_names(server.evaluation().evaluate_batch(batch).await, &[field]);
        assert_goes_on(&server).await;
    }
    let nobody = CheckGateRequest { user: None, gate: "open".to_owned(), disable_exposure: false };
    assert_names(server.evaluation().check_gate(nobody).await, &["user"]);
    let unknown = check(&server, "no_such_gate", user("visitor")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let many = EvaluateBatchRequest {
        user: Some(user("visitor")),
        gates: vec!["open".to_owned(); 1_001],
        ..EvaluateBatchRequest::default()
    };
    assert_names(server.evaluation().evaluate_batch(many).await, &["gates"]);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_that_are_none_are_refused() {
    let server = start().await;
    for share in [101.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_names(server.set_rollout(percentage("open", share)).await, &["percentage"]);
        assert_names(create_gate(&server, gate("new", share)).await, &["gate.rules[0].percentage"]);
        assert_names(
            server.set_rollout(ramp("open", vec![step(share, 0, 0)])).await,
            if share.is_nan() || share > 0.0 {
                &["ramp.steps[0].percentage"]
            } else {
                &["ramp.steps[0].percentage", "ramp.steps[0].percentage"]
            },
        );
        let holdout = Holdout { key: "new".to_owned(), percentage: share, ..Holdout::default() };
        let request = CreateHoldoutRequest { holdout: Some(holdout) };
        assert_names(server.admin().create_holdout(request).await, &["holdout.percentage"]);
        assert_goes_on(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ramps_that_lead_nowhere_are_refused() {
    let server = start().await;
    let steps = |steps| server.set_rollout(ramp("open", steps));
    assert_names(steps(Vec::new()).await, &["ramp.steps"]);
    let falling = vec![step(10.0, 0, 0), step(10.0, 0, 0), step(5.0, 0, 0)];
    assert_names(steps(falling).await, &["ramp.steps[1].percentage", "ramp.steps[2].percentage"]);
    assert_names(steps(vec![step(10.0, -1, 0)]).await, &["ramp.steps[0].min_duration"]);
    assert_names(steps(vec![step(10.0, 0, -1)]).await, &["ramp.steps[0].min_units"]);
    let mut unknown = step(10.0, 0, 0);
    unknown.needs = 77;
    assert_names(steps(vec![unknown]).await, &["ramp.steps[0].needs"]);
    let many = (1..=101).map(|number| step(f64::from(number) / 2.0, 0, 0)).collect();
    assert_names(steps(many).await, &["ramp.steps"]);
    let from_nobody = vec![step(0.0, 0, 0), step(10.0, 0, 0)];
    assert_names(steps(from_nobody).await, &["ramp.steps[0].percentage"]);
    let nothing = SetRolloutRequest { gate: "open".to_owned(), ..SetRolloutRequest::default() };
    assert_names(server.set_rollout(nothing).await, &["rollout"]);
    let mut rollback = percentage("open", 10.0);
    rollback.rollback_to = 77;
    assert_names(server.set_rollout(rollback).await, &["rollback_to"]);
    let unknown = server.set_rollout(percentage("no_such_gate", 10.0)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut unknown = percentage("open", 10.0);
    unknown.rule_id = "no_such_rule".to_owned();
    assert_eq!(server.set_rollout(unknown).await.unwrap_err().code(), Code::NotFound);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn experiments_that_do_not_add_up_are_refused() {
    let server = start().await;
    let weighing = |weight: f64| {
        let mut experiment = button_color_v3();
        experiment.groups[1].weight = weight;
        experiment
    };
    assert_names(create_experiment(&server, weighing(20.0)).await, &["experiment.groups"]);
    let weight = "experiment.groups[1].weight";
    assert_names(create_experiment(&server, weighing(f64::NAN)).await, &[weight, "experiment.groups"]);
    assert_names(create_experiment(&server, weighing(-25.0)).await, &[weight, "experiment.groups"]);
    assert_names(create_experiment(&server, weighing(25.04)).await, &[weight]);
    let mut twice = button_color_v3();
    twice.groups[1].name = "Blue".to_owned();
    assert_names(create_experiment(&server, twice).await, &["experiment.groups[1].name"]);
    let mut other_shape = button_color_v3();
    other_shape.groups[2].parameters = None;
    assert_names(create_experiment(&server, other_shape).await, &["experiment.groups[2].parameters"]);
    let no_control = Experiment { control_group: "Violet".to_owned(), ..button_color_v3() };
    assert_names(create_experiment(&server, no_control).await, &["experiment.control_group"]);
    let no_metric = Experiment { primary_metrics: vec!["no_such".to_owned()], ..button_color_v3() };
    assert_names(create_experiment(&server, no_metric).await, &["experiment.primary_metrics[0]"]);
    let allocation = Experiment { allocation: Some(f64::NAN), ..button_color_v3() };
    let field = "experiment.allocation";
    assert_names(create_experiment(&server, allocation).await, &[field, field]);
    let none = server.admin().create_experiment(CreateExperimentRequest::default()).await;
    assert_names(none, &["experiment"]);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_measure_nothing_are_refused() {
    let server = start().await;
    let signup = || metric("signup", "visited_signup");
    let cases: Vec<(Metric, &str)> = vec![
        (Metric { kind: 0, ..signup() }, "metric.kind"),
        (Metric { kind: 77, ..signup() }, "metric.kind"),
        (Metric { direction: 77, ..signup() }, "metric.direction"),
        (Metric { event: String::new(), ..signup() }, "metric.event"),
        (Metric { ship_margin: Some(0.0), ..signup() }, "metric.ship_margin"),
        (Metric { ship_margin: Some(f64::NAN), ..signup() }, "metric.ship_margin"),
        (Metric { weight: Some(0.0), ..signup() }, "metric.weight"),
        (Metric { weight: Some(f64::NAN), ..signup() }, "metric.weight"),
        (Metric { min_units: Some(-1), ..signup() }, "metric.min_units"),
        (Metric { min_units: Some(29), ..signup() }, "metric.min_units"),
        (Metric { window: Some(wire_duration(0)), ..signup() }, "metric.window"),
        (Metric { freshness: Some(wire_duration(999)), ..signup() }, "metric.freshness"),
        (Metric { key: "x".repeat(129), ..signup() }, "metric.key"),
        (Metric { name: "x".repeat(257), ..signup() }, "metric.name"),
        (Metric { unit_type: "no type".to_owned(), ..signup() }, "metric.unit_type"),
    ];
    for (metric, field) in cases {
        assert_names(create_metric(&server, metric).await, &[field]);
    }
    let margin = Metric { margin: f64::NAN, ..signup() };
    assert_names(create_metric(&server, margin).await, &["metric.margin", "metric.ship_margin"]);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_no_enum_has_are_refused() {
    let server = start().await;
    let mut wrong = gate("new", 10.0);
    wrong.rules[0].conditions =
        vec![Condition { operator: 77, ..condition("country", ConditionOperator::Any, &["DE"]) }];
    assert_names(create_gate(&server, wrong).await, &["gate.rules[0].conditions[0].operator"]);
    let target = Target { kind: 77, key: "open".to_owned(), rule_id: String::new() };
    let subject = Some(check_launch_request::Subject::Target(target.clone()));
    assert_names(server.guard().check_launch(CheckLaunchRequest { subject }).await, &["target.kind"]);
    let list = ListLaunchesRequest { target: Some(target), ..ListLaunchesRequest::default() };
    assert_names(server.guard().list_launches(list).await, &["target.kind"]);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_one_to_a_thousand_entries_and_none_given_means_a_hundred() {
    let server = start().await;
    for page_size in [-1, 1_001, i32::MIN, i32::MAX] {
        let gates = ListGatesRequest { page_size, ..ListGatesRequest::default() };
        assert_names(server.admin().list_gates(gates).await, &["page_size"]);
        let launches = ListLaunchesRequest { page_size, ..ListLaunchesRequest::default() };
        assert_names(server.guard().list_launches(launches).await, &["page_size"]);
        let decisions = ListDecisionsRequest { page_size, ..ListDecisionsRequest::default() };
        assert_names(server.guard().list_decisions(decisions).await, &["page_size"]);
    }
    for page_size in [0, 1, 1_000] {
        let gates = ListGatesRequest { page_size, ..ListGatesRequest::default() };
        assert_eq!(server.admin().list_gates(gates).await.unwrap().into_inner().gates.len(), 1);
    }
    let token = ListLaunchesRequest { page_token: "nonsense".to_owned(), ..ListLaunchesRequest::default() };
    assert_names(server.guard().list_launches(token).await, &["page_token"]);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_events_that_are_empty_or_too_large_are_refused() {
    let server = start().await;
    let batch = |count: usize| LogEventsRequest { events: vec![event("visitor", "visited"); count] };
    for count in [0, 1_001] {
        assert_names(server.events().log_events(batch(count)).await, &["events"]);
    }
    let results = server.events().log_events(batch(1_000)).await.unwrap().into_inner().results;
    assert_eq!(results.len(), 1_000);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_name_nothing_are_refused() {
    let server = start().await;
    let launch = async |id: &str| {
        let request = GetLaunchRequest { id: id.to_owned() };
        server.guard().get_launch(request).await.map(tonic::Response::into_inner)
    };
    assert_names(launch("nonsense").await, &["id"]);
    assert_eq!(launch("01890000-0000-7000-8000-000000000000").await.unwrap_err().code(), Code::NotFound);
    let none = server.guard().check_launch(CheckLaunchRequest { subject: None }).await;
    assert_names(none, &["subject"]);

    let resolve = |latch_id: &str, reason: &str, in_ms: i64| ResolveLatchRequest {
        latch_id: latch_id.to_owned(),
        reason: reason.to_owned(),
        expire_time: Some(wire_time(portcullis::clock::Clock::system().now().0 + in_ms)),
    };
    let known_form = "01890000-0000-7000-8000-000000000000";
    let nameless = server.guard().resolve_latch(resolve(known_form, "It is mended.", 60_000)).await;
    assert_names(nameless, &["portcullis-principal"]);
    let cases: Vec<(ResolveLatchRequest, &[&str])> = vec![
        (resolve("nonsense", "It is mended.", 60_000), &["latch_id"]),
        (resolve(known_form, "It is mended.", -1_000), &["expire_time"]),
        (resolve(known_form, "It is mended.", 31 * 86_400_000), &["expire_time"]),
        (resolve(known_form, " ", 60_000), &["reason"]),
        (resolve(known_form, &"x".repeat(1_025), 60_000), &["reason"]),
        (
            ResolveLatchRequest { expire_time: None, ..resolve(known_form, "It is mended.", 0) },
            &["expire_time"],
        ),
    ];
    for (request, expected) in cases {
        assert_names(server.guard().resolve_latch(by("ada", request)).await, expected);
    }
    let unknown = server.guard().resolve_latch(by("ada", resolve(known_form, "It is mended.", 60_000))).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    assert_goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let server = start().await;
    let check_gate = "/portcullis.v1.EvaluationService/CheckGate";
    let log_events = "/portcullis.v1.EventService/LogEvents";
    let create_gate = "/portcullis.v1.AdminService/CreateGate";
    let whole =
        CheckGateRequest { user: Some(user("visitor")), gate: "open".to_owned(), disable_exposure: true }
            .encode_to_vec();
    assert!(!send_raw(&server, check_gate, whole.clone()).await.unwrap().is_empty());

    // Field 2, the gate's key, of two bytes that are no UTF-8.
    let not_utf_8 = vec![0x12, 0x02, 0xff, 0xfe];
    let mut in_id = whole.clone();
    let at = in_id.windows(7).position(|window| window == b"visitor").unwrap();
    in_id[at] = 0xff;
    let truncated = whole[..whole.len() - 3].to_vec();
    let events =
        LogEventsRequest { events: vec![Event { name: "visited".to_owned(), ..event("visitor", "x") }] };
    let events = events.encode_to_vec();
    let cases = [
        (check_gate, not_utf_8),
        (check_gate, in_id),
        (check_gate, truncated),
        (check_gate, vec![0xff; 64]),
        (log_events, events[..events.len() - 1].to_vec()),
        (create_gate, b"{\"gate\":{}}".to_vec()),
    ];
    for (path, bytes) in cases {
        let status = send_raw(&server, path, bytes.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bytes:?}: {status:?}");
        assert!(status.message().contains("malformed"), "{status:?}");
        assert_goes_on(&server).await;
    }
    let unknown = send_raw(&server, "/portcullis.v1.EvaluationService/NoSuch", whole).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_is_refused_as_too_large() {
    let server = start().await;
    let custom = AttributeValue { value: Some(attribute_value::Value::Text("x".repeat(40 * 1024 * 1024))) };
    let large = User { custom: [("bio".to_owned(), custom)].into(), ..user("visitor") };
    let status = check(&server, "open", large).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("too large"), "{status:?}");
    assert_goes_on(&server).await;
}
