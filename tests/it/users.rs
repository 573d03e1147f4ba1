//! What callers tell of their users: attributes of every kind, environments, and what is never stored.

use std::collections::BTreeMap;

use portcullis::clock::Clock;
use portcullis::transport::grpc::wire::attribute_value::Value as Given;
use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    AttributeValue, CheckGateRequest, Condition, ConditionOperator as Operator, EnvironmentField, Gate,
    GetExperimentRequest, IpField, LogEventsRequest, User, UserAgentField,
};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::documents::{condition, gate_for, guardrail, halves, rule, test_of, text};
use crate::server::{Server, gate_target};
use crate::visitors::{event, user};

const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/17.4 Mobile/15E148 Safari/604.1";

async fn passes(server: &Server, gate: &str, user: User) -> bool {
    let request = CheckGateRequest { user: Some(user), gate: gate.to_owned(), disable_exposure: false };
    server.evaluation().check_gate(request).await.unwrap().into_inner().pass
}

fn attribute(name: &str, value: Given) -> BTreeMap<String, AttributeValue> {
    [(name.to_owned(), AttributeValue { value: Some(value) })].into()
}

fn json(kind: Kind) -> Given {
    Given::Json(Value { kind: Some(kind) })
}

/// Makes a gate of each condition, and says which of the users passes.
async fn assert_passes(server: &Server, key: &str, condition: Condition, cases: Vec<(User, bool)>) {
    server.create_gate(gate_for(key, 100.0, vec![condition])).await;
    for (user, expected) in cases {
        assert_eq!(passes(server, key, user.clone()).await, expected, "{key}: {user:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_known_attribute_can_be_tested() {
    let server = Server::start().await;
    let ada = || user("ada");
    let ends = condition("email", Operator::StrEndsWithAny, &["@example.com"]);
    let of = |email: &str| User { email: email.to_owned(), ..ada() };
    assert_passes(
        &server,
        "email",
        ends,
        vec![(of("ada@EXAMPLE.com"), true), (of("ada@example.org"), false), (ada(), false)],
    )
    .await;
    let net = condition("ip", Operator::StrStartsWithAny, &["10.0."]);
    let of = |ip: &str| User { ip: ip.to_owned(), ..ada() };
    assert_passes(&server, "ip", net, vec![(of("10.0.0.7"), true), (of("10.1.0.7"), false)]).await;
    let german = condition("locale", Operator::Any, &["de_DE"]);
    let of = |locale: &str| User { locale: locale.to_owned(), ..ada() };
    assert_passes(&server, "locale", german, vec![(of("de_DE"), true), (of("en_US"), false)]).await;
    let agent = condition("user_agent", Operator::StrMatches, &["iPhone OS [0-9]+_4"]);
    let safari = || User { user_agent: SAFARI.to_owned(), ..ada() };
    assert_passes(&server, "agent", agent, vec![(safari(), true), (ada(), false)]).await;
    let system = test_of(Subject::UserAgent(UserAgentField::OsName.into()), Operator::Any, &["iOS"]);
    let told = User { custom: attribute("os_name", Given::Text("iOS".to_owned())), ..ada() };
    assert_passes(&server, "system", system, vec![(safari(), true), (told, true), (ada(), false)]).await;
    let country = test_of(Subject::Ip(IpField::Country.into()), Operator::Any, &["DE"]);
    let of = |country: &str| User { country: country.to_owned(), ..ada() };
    assert_passes(&server, "country", country, vec![(of("DE"), true), (of("FR"), false), (ada(), false)])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_that_is_told_goes_before_the_user_agent() {
    let server = Server::start().await;
    let chrome = condition("browser", Operator::Any, &["Chrome"]);
    let told = |browser: &str| User { browser: browser.to_owned(), ..user("ada") };
    let named = |name: &str| attribute("browser_name", Given::Text(name.to_owned()));
    let cases = vec![
        (told("chrome"), true),
        (told("Firefox"), false),
        (User { user_agent: SAFARI.to_owned(), ..told("Chrome") }, true),
        (User { user_agent: SAFARI.to_owned(), ..user("ada") }, false),
        // The attribute itself, where the caller gives it, goes before the browser.
        (User { custom: named("Firefox"), ..told("Chrome") }, false),
        (User { private: named("Firefox"), ..told("Chrome") }, false),
        (User { custom: named("Chrome"), ..user("ada") }, true),
    ];
    assert_passes(&server, "chrome", chrome, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_objects_and_null_are_attributes_as_well() {
    let server = Server::start().await;
    let with = |value: Given| User { custom: attribute("plan", value), ..user("ada") };
    let list = |texts: &[&str]| {
        with(json(Kind::ListValue(ListValue { values: texts.iter().map(|it| text(it)).collect() })))
    };
    let cases =
        vec![(list(&["a", "b"]), true), (list(&["c"]), false), (with(Given::Text("a".to_owned())), false)];
    assert_passes(&server, "any", condition("plan", Operator::ArrayContainsAny, &["b", "d"]), cases).await;
    let null = Condition {
        values: vec![Value { kind: Some(Kind::NullValue(0)) }],
        ..condition("plan", Operator::Eq, &[])
    };
    let cases =
        vec![(with(json(Kind::NullValue(0))), true), (user("ada"), true), (with(Given::Flag(false)), false)];
    assert_passes(&server, "null", null, cases).await;
    let ten = Condition {
        values: vec![Value { kind: Some(Kind::NumberValue(10.0)) }],
        ..condition("plan", Operator::Eq, &[])
    };
    let cases = vec![
        (with(Given::Number(10.0)), true),
        (with(json(Kind::NumberValue(10.0))), true),
        (with(Given::Text("10".to_owned())), true),
        (with(Given::Number(11.0)), false),
    ];
    assert_passes(&server, "ten", ten, cases).await;
    let object = json(Kind::StructValue(Struct { fields: [("a".to_owned(), text("b"))].into() }));
    let cases = vec![(with(object), true), (with(Given::Text("{}".to_owned())), false)];
    assert_passes(&server, "object", condition("plan", Operator::StrContainsAny, &["\"a\":\"b\""]), cases)
        .await;
    let secret = User { private: attribute("plan", Given::Text("pro".to_owned())), ..user("ada") };
    assert_passes(&server, "private", condition("plan", Operator::Any, &["pro"]), vec![(secret, true)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_be_limited_to_environments() {
    let server = Server::start().await;
    let mut testing = rule("testing", 100.0, Vec::new());
    testing.environments = vec!["staging".to_owned(), "Development".to_owned()];
    let tier = Subject::Environment(EnvironmentField::Tier.into());
    let rules = vec![testing, rule("live", 100.0, vec![test_of(tier, Operator::Any, &["production"])])];
    server.create_gate(Gate { key: "limited".to_owned(), rules, ..Gate::default() }).await;
    let at = |environment: &str| User { environment: environment.to_owned(), ..user("ada") };
    for (environment, expected) in [
        ("staging", "testing"),
        ("development", "testing"),
        ("production", "live"),
        ("other", "default"),
        ("", "default"),
    ] {
        let request = CheckGateRequest {
            user: Some(at(environment)),
            gate: "limited".to_owned(),
            disable_exposure: false,
        };
        let answer = server.evaluation().check_gate(request).await.unwrap().into_inner();
        assert_eq!(
            (answer.rule_id.as_str(), answer.pass),
            (expected, expected != "default"),
            "{environment}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_who_a_user_is_or_is_private_is_never_stored() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate_for("secret", 50.0, vec![condition("plan", Operator::None, &["free"])])).await;
    server.run_experiment(halves("halves", "red")).await;
    let secretive = || User {
        email: "top-secret-email".to_owned(),
        ip: "top-secret-ip".to_owned(),
        user_agent: "top-secret-agent".to_owned(),
        custom: attribute("plan", Given::Text("told-plan".to_owned())),
        private: attribute("salary", Given::Text("top-secret-private".to_owned())),
        ..user("known-visitor")
    };
    passes(&server, "secret", secretive()).await;
    let request = GetExperimentRequest {
        user: Some(secretive()),
        experiment: "halves".to_owned(),
        ..Default::default()
    };
    server.evaluation().get_experiment(request).await.unwrap();
    let mut signup = event("known-visitor", "visited_signup");
    signup.user = Some(secretive());
    server.events().log_events(LogEventsRequest { events: vec![signup] }).await.unwrap();
    server
        .check_until(&gate_target("secret"), "the visitor is counted", |answer| {
            let epochs = answer.verdicts.iter().flat_map(|verdict| &verdict.epochs);
            epochs
                .flat_map(|epoch| [epoch.control, epoch.treatment])
                .flatten()
                .any(|moments| moments.nonzero == 1)
        })
        .await;
    let home = server.stop().await;
    let stored = home.stored().await;
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("known-visitor") && holds("told-plan"), "the id and public attributes are what is stored");
    assert!(!holds("top-secret"), "more than that was stored");
    drop(Server::start_in(home, Clock::system()).await);
}
