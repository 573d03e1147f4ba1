//! Documents of every kind, with most of what each kind can say.

use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    BucketDraw, Condition, ConditionOperator as Is, ConfigRule, DynamicConfig, Experiment, ExperimentGroup,
    ExperimentOverride, Gate, GateRule, Holdout, Layer, Segment, TimeField, UserAgentField,
};
use prost_types::Struct;
use prost_types::value::Kind;

use crate::documents::{condition, number, rule, test_of, text, values};

/// The unit type besides the user's id.
const COMPANY: &str = "companyID";
/// Midnights of 2020 and 2100 in milliseconds.
const LONG_AGO: f64 = 1_577_836_800_000.0;
const FAR_AHEAD: f64 = 4_102_444_800_000.0;

pub(crate) fn segments() -> Vec<Segment> {
    let near = vec![
        rule("neighbours", 100.0, vec![condition("country", Is::Any, &["de", "AT"])]),
        rule("speakers", 50.0, vec![condition("locale", Is::StrStartsWithAny, &["de_"])]),
    ];
    let testers = (0..2_000).step_by(7).map(|number| format!("user-{number}")).collect();
    vec![
        Segment { key: "near".to_owned(), rules: near, ..Segment::default() },
        Segment { key: "testers".to_owned(), ids: testers, ..Segment::default() },
    ]
}

pub(crate) fn gates() -> Vec<Gate> {
    let at = |operator, time: f64| Condition {
        subject: Some(Subject::Time(TimeField::Now.into())),
        operator: operator as i32,
        values: vec![number(time)],
    };
    let drawn = |operator, bucket: f64| Condition {
        subject: Some(Subject::Bucket(BucketDraw { salt: "draw".to_owned(), unit_type: String::new() })),
        operator: operator as i32,
        values: vec![number(bucket)],
    };
    let limited = |id, percentage, environment: &str| GateRule {
        environments: vec![environment.to_owned()],
        ..rule(id, percentage, Vec::new())
    };
    let by_company = GateRule { unit_type: COMPANY.to_owned(), ..all(50.0) };
    vec![
        gate("nobody", vec![all(0.0)]),
        gate("everyone", vec![all(100.0)]),
        gate("some", vec![all(33.33)]),
        gate("a_few", vec![all(0.07)]),
        gate("without_rules", Vec::new()),
        Gate { unit_type: COMPANY.to_owned(), ..gate("of_companies", vec![all(40.0)]) },
        Gate { enabled: Some(false), ..gate("switched_off", vec![all(100.0)]) },
        Gate { salt: Some("another".to_owned()), ..gate("salted", vec![all(50.0)]) },
        Gate { draws_missing_units: true, ..gate("draws_all", vec![all(50.0)]) },
        gate("rule_of_companies", vec![by_company]),
        gate(
            "targeted",
            vec![
                rule("near", 50.0, vec![condition("country", Is::Any, &["DE", "at"])]),
                rule("paying", 80.0, vec![condition("plan", Is::AnyCaseSensitive, &["Pro", "team"])]),
                rule("not_old", 100.0, vec![condition("app_version", Is::VersionGte, &["2.3"])]),
                all(5.0),
            ],
        ),
        gate("limited", vec![limited("elsewhere", 100.0, "staging"), limited("here", 30.0, "Production")]),
        gate("grown_up", vec![rule("age", 100.0, vec![compared("age", Is::Gte, 18.0)])]),
        gate("low_score", vec![rule("score", 70.0, vec![compared("score", Is::Lt, 62.5)])]),
        gate("exact", vec![rule("exact", 100.0, vec![compared("age", Is::Eq, 42.0)])]),
        gate("not_near", vec![rule("rest", 60.0, vec![condition("country", Is::None, &["DE", "AT"])])]),
        gate(
            "mail",
            vec![rule("ends", 90.0, vec![condition("email", Is::StrEndsWithAny, &["@example.ORG"])])],
        ),
        gate(
            "pattern",
            vec![rule("digits", 100.0, vec![condition("email", Is::StrMatches, &["^[0-9]{3}@"])])],
        ),
        gate("chrome", vec![rule("browser", 75.0, vec![browser(Is::Any, &["Chrome"])])]),
        gate("odd", vec![rule("odd", 100.0, vec![condition("user_id", Is::StrContainsAny, &["77", "13"])])]),
        gate("by_draw", vec![rule("draw", 100.0, vec![drawn(Is::Lt, 250.0)])]),
        gate("by_time", vec![rule("time", 50.0, vec![at(Is::After, LONG_AGO), at(Is::Before, FAR_AHEAD)])]),
        gate(
            "both",
            vec![rule("both", 50.0, vec![gate_is("targeted", Is::Passes), gate_is("grown_up", Is::Passes)])],
        ),
        gate(
            "neither",
            vec![rule(
                "neither",
                100.0,
                vec![gate_is("both", Is::Fails), gate_is("of_companies", Is::Fails)],
            )],
        ),
        gate("by_segment", vec![rule("near", 100.0, vec![segment_is("near", Is::Passes)]), all(20.0)]),
        gate("by_list", vec![rule("testers", 100.0, vec![segment_is("testers", Is::Passes)])]),
        gate("held", vec![all(100.0)]),
    ]
}

pub(crate) fn configs() -> Vec<DynamicConfig> {
    let rule = |id: &str, percentage, conditions, place| ConfigRule {
        id: id.to_owned(),
        percentage,
        conditions,
        value: Some(parameters(id, place)),
        ..ConfigRule::default()
    };
    let config = |key: &str, rules| DynamicConfig {
        key: key.to_owned(),
        default_value: Some(parameters("default", 0)),
        rules,
        ..DynamicConfig::default()
    };
    let grouped = ConfigRule { group: Some("grouped".to_owned()), ..rule("grouped", 60.0, Vec::new(), 2) };
    vec![
        config("plain", Vec::new()),
        config(
            "ruled",
            vec![
                rule("near", 100.0, vec![segment_is("near", Is::Passes)], 1),
                rule("grown_up", 40.0, vec![gate_is("grown_up", Is::Passes)], 2),
            ],
        ),
        config("grouped", vec![grouped]),
        DynamicConfig { enabled: Some(false), ..config("disabled", vec![rule("all", 100.0, Vec::new(), 3)]) },
    ]
}

pub(crate) fn layers() -> Vec<Layer> {
    let layer = |key: &str, unit_type: &str| Layer {
        key: key.to_owned(),
        unit_type: unit_type.to_owned(),
        parameters: Some(parameters("layer", 0)),
        ..Layer::default()
    };
    vec![layer("page", "user_id"), layer("offers", COMPANY), layer("empty", "user_id")]
}

pub(crate) fn experiments() -> Vec<Experiment> {
    let targeting = vec![condition("country", Is::Any, &["DE", "US", "FR"]), gate_is("grown_up", Is::Passes)];
    let testers = ExperimentOverride {
        id: "testers".to_owned(),
        group: "b".to_owned(),
        conditions: vec![segment_is("testers", Is::Passes)],
    };
    let in_layer = |layer: &str, allocation, experiment| Experiment {
        layer: layer.to_owned(),
        allocation: Some(allocation),
        ..experiment
    };
    let one_parameter = |key: &str, weights: &[f64]| {
        let mut experiment = experiment(key, weights);
        for group in &mut experiment.groups {
            group.parameters.as_mut().expect("parameters").fields.retain(|name, _| name == "color");
        }
        experiment
    };
    let companies = experiment("companies", &[50.0, 50.0]);
    let offers = Experiment { unit_type: COMPANY.to_owned(), ..experiment("offered", &[50.0, 50.0]) };
    vec![
        experiment("colors", &[25.0, 25.0, 25.0, 25.0]),
        Experiment {
            allocation: Some(50.0),
            targeting: targeting.clone(),
            ..experiment("targeted_half", &[33.3, 33.3, 33.4])
        },
        Experiment {
            allocation: Some(12.5),
            salt: Some("salt".to_owned()),
            default_parameters: Some(parameters("none", 3)),
            ..experiment("eighth", &[50.0, 50.0])
        },
        Experiment { overrides: vec![testers], targeting, ..experiment("overridden", &[80.0, 20.0]) },
        Experiment { unit_type: COMPANY.to_owned(), ..companies },
        experiment("held_too", &[90.0, 10.0]),
        in_layer("page", 40.0, experiment("first_of_page", &[50.0, 50.0])),
        in_layer("page", 30.0, one_parameter("second_of_page", &[20.0, 80.0])),
        in_layer("offers", 100.0, offers),
        experiment("draft", &[50.0, 50.0]),
        experiment("decided", &[50.0, 50.0]),
        experiment("abandoned", &[50.0, 50.0]),
    ]
}

pub(crate) fn holdouts() -> Vec<Holdout> {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let tenth = Holdout {
        key: "tenth".to_owned(),
        percentage: 10.0,
        gates: keys(&["held"]),
        experiments: keys(&["held_too"]),
        layers: keys(&["page"]),
        ..Holdout::default()
    };
    let companies = Holdout {
        key: "fifth_of_companies".to_owned(),
        unit_type: COMPANY.to_owned(),
        percentage: 20.0,
        gates: keys(&["held"]),
        precedence: 1,
        ..Holdout::default()
    };
    vec![tenth, companies]
}

fn gate(key: &str, rules: Vec<GateRule>) -> Gate {
    Gate { key: key.to_owned(), rules, ..Gate::default() }
}

/// A rule for all that no rule before it takes.
fn all(percentage: f64) -> GateRule {
    rule("rest", percentage, Vec::new())
}

fn compared(attribute: &str, operator: Is, with: f64) -> Condition {
    Condition { values: vec![number(with)], ..condition(attribute, operator, &[]) }
}

fn browser(operator: Is, names: &[&str]) -> Condition {
    test_of(Subject::UserAgent(UserAgentField::BrowserName.into()), operator, names)
}

fn gate_is(key: &str, operator: Is) -> Condition {
    test_of(Subject::Gate(key.to_owned()), operator, &[])
}

fn segment_is(key: &str, operator: Is) -> Condition {
    test_of(Subject::Segment(key.to_owned()), operator, &[])
}

/// Groups `a`, `b` and so on of these weights.
fn experiment(key: &str, weights: &[f64]) -> Experiment {
    let group = |(place, weight): (usize, &f64)| {
        let name = ["a", "b", "c", "d"][place];
        let parameters = Some(parameters(name, place));
        ExperimentGroup { name: name.to_owned(), weight: *weight, parameters, ..ExperimentGroup::default() }
    };
    let groups = weights.iter().enumerate().map(group).collect();
    Experiment { key: key.to_owned(), groups, ..Experiment::default() }
}

/// One parameter of each type.
pub(crate) fn parameters(name: &str, place: usize) -> Struct {
    let flag = prost_types::Value { kind: Some(Kind::BoolValue(place > 0)) };
    values(&[("color", text(name)), ("size", number(1.5 * place as f64)), ("bold", flag)])
}
