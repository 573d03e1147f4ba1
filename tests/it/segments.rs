//! Segments of the units: harm in one of them, and the scorecard that tells them apart.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::database::Database;
use portcullis::domain::launch::LaunchId;
use portcullis::domain::metric::Direction;
use portcullis::jobs::measure::rebuild;
use portcullis::stats::anytime;
use portcullis::stats::correction::{Correction, adjusted};
use portcullis::stats::e_process::{Evidence, Test, epoch_evidence};
use portcullis::stats::effect::{Alternative, Effect};
use portcullis::stats::moments::RawSums;
use portcullis::stats::outcome::Outcome;
use portcullis::stats::segments::compare;
use portcullis::store::Store;
use portcullis::transport::grpc::wire::get_scorecard_request::Subject;
use portcullis::transport::grpc::wire::metric_service_client::MetricServiceClient;
use portcullis::transport::grpc::wire::{
    CheckGateRequest, CheckLaunchResponse, DecisionAction, DecisionKind, GetScorecardRequest,
    GetScorecardResponse, IntervalMethod, LaunchState, Policy, Range, ReasonCode, Score, ScoredMetric,
    UndefinedReason, User,
};
use serde_json::Value;
use tonic::{Code, Status};

use crate::commands::run;
use crate::documents::{gate, guardrail, metric, percentage};
use crate::guard::assert_refused;
use crate::policies::policy;
use crate::server::{Server, fields, gate_target};
use crate::visitors::{event, heartbeat, log};

const COUNTRIES: [&str; 3] = ["DE", "FR", "US"];
/// Visitors of one wave and country.
const WAVE: usize = 40;
/// More waves than any test takes.
const MOST_WAVES: usize = 60;

/// Visitors of three countries, of whom a share signs up: the same of all, but for the treated ones of one country.
struct World {
    server: Server,
    harmed: f64,
    waves: usize,
    /// By country, and whether they are treated: who came, and who of them signed up.
    came: BTreeMap<(&'static str, bool), (u64, u64)>,
    /// Who was treated.
    treated: BTreeSet<String>,
}

fn from_country(id: &str, country: &str) -> User {
    User { user_id: id.to_owned(), country: country.to_owned(), ..User::default() }
}

impl World {
    /// A gate at 50 % whose policy tells countries apart, with a guardrail and a metric that is none.
    async fn new(harmed: f64) -> Self {
        let server = Server::start().await;
        let segments = vec!["country".to_owned()];
        server.create_policy(Policy { segments, ..policy() }).await.unwrap();
        server.create_metric(guardrail("signup", "visited_signup")).await;
        server.create_metric(metric("viewed", "page_viewed")).await;
        server.create_gate(gate("new_checkout", 50.0)).await;
        Self { server, harmed, waves: 0, came: BTreeMap::new(), treated: BTreeSet::new() }
    }

    async fn passes(&self, id: &str, country: &str) -> bool {
        let request = CheckGateRequest {
            user: Some(from_country(id, country)),
            gate: "new_checkout".to_owned(),
            disable_exposure: false,
        };
        self.server.evaluation().check_gate(request).await.unwrap().into_inner().pass
    }

    /// A wave comes, is served and does what it does; waits until all of it is counted.
    async fn wave(&mut self) -> CheckLaunchResponse {
        self.waves += 1;
        assert!(self.waves < MOST_WAVES, "{:?}", self.came);
        let mut events = Vec::new();
        for country in COUNTRIES {
            for number in 0..WAVE {
                let id = format!("{country}-{}-{number}", self.waves);
                let treated = self.passes(&id, country).await;
                self.treated.extend(treated.then(|| id.clone()));
                let share = if treated && country == "DE" { self.harmed } else { 0.3 };
                let (came, signed_up) = self.came.entry((country, treated)).or_default();
                *came += 1;
                // Evenly: the share of all who came so far.
                if (*came as f64 * share).floor() > ((*came - 1) as f64 * share).floor() {
                    *signed_up += 1;
                    events.push(event(&id, "visited_signup"));
                }
            }
        }
        log(&self.server, events).await;
        self.counted().await
    }

    /// The guard's answer once everything that was done is counted, or the launch is over.
    async fn counted(&self) -> CheckLaunchResponse {
        let sums = |treated| {
            let own = self.came.iter().filter(|((_, of), _)| *of == treated);
            own.fold((0, 0), |(n, did), (_, (came, signed_up))| (n + came, did + signed_up))
        };
        let expected = [sums(false), sums(true)];
        self.server
            .check_until(&gate_target("new_checkout"), "everything is counted", |answer| {
                let is_over = answer.launch.as_ref().is_some_and(|launch| launch.end_time.is_some());
                let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == "signup");
                let epoch = verdict.and_then(|verdict| verdict.epochs.first());
                let found = epoch.and_then(|epoch| {
                    let of = |moments: portcullis::transport::grpc::wire::Moments| {
                        (moments.n.cast_unsigned(), moments.nonzero.cast_unsigned())
                    };
                    Some([of(epoch.control?), of(epoch.treatment?)])
                });
                is_over || found == Some(expected)
            })
            .await
    }

    async fn scorecard(&self, level: Option<f64>) -> Result<GetScorecardResponse, Status> {
        let subject = Some(Subject::Target(gate_target("new_checkout")));
        let mut client = MetricServiceClient::new(self.server.channel());
        client.get_scorecard(GetScorecardRequest { subject, level }).await.map(tonic::Response::into_inner)
    }

    fn outcome(&self, country: Option<&str>, treated: bool) -> Outcome {
        let own =
            self.came.iter().filter(|((of, arm), _)| *arm == treated && country.is_none_or(|one| one == *of));
        let (n, ones) = own.fold((0, 0), |(n, ones), (_, (came, did))| (n + came, ones + did));
        RawSums { n, sum: ones as f64, sum_squares: ones as f64, nonzero: ones }.about(0.0).into()
    }
}

fn harmed_segment(answer: &CheckLaunchResponse) -> bool {
    answer.reasons.iter().any(|reason| reason.code() == ReasonCode::HarmInSegment)
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_in_one_country_holds_the_launch_and_more_of_it_rolls_back() {
    let mut world = World::new(0.12).await;
    let held = loop {
        let answer = world.wave().await;
        let launch = answer.launch.as_ref().unwrap();
        assert_eq!(launch.state(), LaunchState::Steady, "held before it is rolled back: {answer:#?}");
        if harmed_segment(&answer) {
            break answer;
        }
    };
    assert_eq!(held.decision(), DecisionKind::Hold);
    assert!(held.e_value < 20.0, "{}", held.e_value);
    let reason = held.reasons.iter().find(|reason| reason.code() == ReasonCode::HarmInSegment).unwrap();
    assert_eq!(
        (reason.metric.as_str(), reason.arm.as_str(), reason.segment.as_str()),
        ("signup", "treatment", "country=DE")
    );
    assert!(reason.message.starts_with("where country is DE, signup is 0.1"), "{}", reason.message);
    let harmed: Vec<&str> =
        held.segments.iter().filter(|one| one.harm).map(|one| one.value.as_str()).collect();
    assert_eq!(harmed, ["DE"]);
    let weights: f64 = held.segments.iter().map(|segment| segment.weight).sum();
    let verdicts: f64 = held.verdicts.iter().map(|verdict| verdict.weight).sum();
    assert!((weights - 0.2).abs() < 1e-12 && (verdicts - 0.8).abs() < 1e-12, "{weights} {verdicts}");
    // What is served stays, and nothing more is let in.
    assert_refused(world.server.set_rollout(percentage("new_checkout", 80.0)).await, "HarmInSegment");
    let treated =
        world.came.iter().filter(|((_, treated), _)| *treated).map(|(_, (came, _))| came).sum::<u64>();
    assert!(treated > 100, "{treated}");

    let rolled_back = loop {
        let answer = world.wave().await;
        let launch = answer.launch.as_ref().unwrap();
        if launch.state() == LaunchState::RolledBack {
            break answer;
        }
    };
    let decisions = world.server.decisions(&rolled_back.launch.unwrap().id).await;
    let act = decisions.iter().find(|decision| decision.action() == DecisionAction::RollBack).unwrap();
    assert!(act.e_value >= 20.0, "{}", act.e_value);
    let codes: Vec<ReasonCode> =
        act.reasons.iter().map(portcullis::transport::grpc::wire::Reason::code).collect();
    assert!(codes.contains(&ReasonCode::HarmInSegment), "{codes:?}");
    assert!(act.segments.iter().any(|segment| segment.harm && segment.value == "DE"));
    // Nobody gets it any more: neither who had it in the harmed country, nor anywhere else, nor who comes now.
    let mut had_it = 0;
    for country in COUNTRIES {
        for wave in 1..=world.waves {
            for number in 0..WAVE {
                let id = format!("{country}-{wave}-{number}");
                had_it += usize::from(country == "DE" && world.treated.contains(&id));
                assert!(!world.passes(&id, country).await, "{id}");
            }
        }
        for number in 0..20 {
            assert!(!world.passes(&format!("later-{number}"), country).await, "{country}");
        }
    }
    assert!(had_it > 50, "{had_it} had it in the harmed country");
}

fn close(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what} is unset"));
    let distance = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(distance <= 1e-9, "{what}: found {found}, expected {expected}");
}

fn assert_range(found: Option<&Range>, low: f64, high: f64, what: &str) {
    close(found.map(|range| range.low), low, what);
    close(found.map(|range| range.high), high, what);
}

/// Compares a score with what `stats` says of the same units; gives the effect.
fn assert_score(score: &Score, [control, treated]: [&Outcome; 2], level: f64, scale: f64) -> Effect {
    let (one, other) = (control.estimate().unwrap(), treated.estimate().unwrap());
    assert_eq!(
        (score.control_units.cast_unsigned(), score.units.cast_unsigned()),
        (control.n(), treated.n())
    );
    close(score.control_mean, one.value(), "control_mean");
    close(score.mean, other.value(), "mean");
    let (effect, relative) = (Effect::absolute(&one, &other).unwrap(), Effect::shown_relative(&one, &other));
    close(score.effect, effect.estimate, "effect");
    let ends = effect.interval(Alternative::TwoSided, level);
    assert_range(score.one_look.as_ref(), ends.low, ends.high, "one_look");
    close(score.p_value, effect.ln_p(Alternative::TwoSided, 0.0).exp(), "p_value");
    match relative {
        Ok(relative) => {
            close(score.relative_effect, relative.estimate, "relative_effect");
            let ends = relative.interval(Alternative::TwoSided, level);
            assert_range(score.one_look_relative.as_ref(), ends.low, ends.high, "one_look_relative");
        }
        Err(why) => {
            assert_eq!(score.relative_effect, None);
            assert_eq!(score.undefined["relative_effect"], why.reason());
        }
    }
    let direction = Direction::HigherIsBetter;
    let harm = epoch_evidence(control, treated, direction, Test::Harm(0.0), scale).unwrap();
    let found = anytime::interval(Evidence { score: -harm.score, ..harm }, level).unwrap();
    assert_range(score.every_look.as_ref(), scale * found.low, scale * found.high, "every_look");
    assert_range(score.every_look_relative.as_ref(), found.low, found.high, "every_look_relative");
    close(Some(score.p_value_at_every_look), (1.0 / score.e_value).min(1.0), "p_value_at_every_look");
    effect
}

fn of_metric<'s>(scorecard: &'s GetScorecardResponse, key: &str) -> &'s ScoredMetric {
    scorecard.metrics.iter().find(|metric| metric.metric == key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorecard_by_segment_says_what_the_statistics_say_of_the_same_units() {
    let mut world = World::new(0.24).await;
    // A scorecard needs published numbers.
    let nobody = world.scorecard(None).await;
    assert!(nobody.is_ok() || nobody.is_err_and(|status| status.code() == Code::NotFound));
    let mut answer = world.wave().await;
    for _ in 0..10 {
        answer = world.wave().await;
    }
    let scale = answer.verdicts.iter().find(|verdict| verdict.metric == "signup").unwrap().scale.unwrap();
    assert!(scale > 0.0 && answer.launch.as_ref().unwrap().end_time.is_none(), "{answer:?}");

    for level in [0.80, 0.90, 0.95] {
        let scorecard = world.scorecard(Some(level)).await.unwrap();
        assert_eq!(scorecard.level, level);
        let signup = of_metric(&scorecard, "signup");
        assert!(signup.guardrail && signup.groups.len() == 1);
        let group = &signup.groups[0];
        let all = [world.outcome(None, false), world.outcome(None, true)];
        assert_score(group.score.as_ref().unwrap(), [&all[0], &all[1]], level, scale);
        let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == "signup").unwrap();
        close(Some(group.score.as_ref().unwrap().e_value), verdict.e_value, "e_value");

        let values: Vec<&str> = group.segments.iter().map(|segment| segment.value.as_str()).collect();
        assert_eq!(values, COUNTRIES);
        let mut effects = Vec::new();
        for segment in &group.segments {
            let own = [world.outcome(Some(&segment.value), false), world.outcome(Some(&segment.value), true)];
            effects.push(assert_score(segment.score.as_ref().unwrap(), [&own[0], &own[1]], level, scale));
        }
        let compared = compare(&effects).unwrap();
        let p_values: Vec<f64> = compared.iter().map(|one| one.ln_p.exp()).collect();
        let p_values = adjusted(&p_values, Correction::Holm);
        for ((segment, expected), p_value) in group.segments.iter().zip(&compared).zip(p_values) {
            close(segment.shrunk, expected.shrunk, "shrunk");
            close(segment.interaction, expected.interaction.estimate, "interaction");
            close(segment.interaction_p_value, p_value, "interaction_p_value");
        }
    }

    // A metric that is no guardrail is told as well; what cannot be had says why.
    let scorecard = world.scorecard(None).await.unwrap();
    let viewed = of_metric(&scorecard, "viewed");
    let score = viewed.groups[0].score.as_ref().unwrap();
    assert_eq!((viewed.guardrail, scorecard.level, score.mean), (false, 0.95, Some(0.0)));
    assert_eq!((score.one_look_method(), score.p_value), (IntervalMethod::Newcombe, None));
    assert!(score.one_look.is_some_and(|interval| interval.low < 0.0 && interval.high > 0.0), "{score:?}");
    assert_eq!(score.undefined["p_value"], "all units of an arm have the same value");
    assert_eq!(score.undefined_reasons["p_value"], i32::from(UndefinedReason::NoVariance));
    assert_eq!(
        score.undefined_reasons.keys().collect::<Vec<_>>(),
        score.undefined.keys().collect::<Vec<_>>()
    );
    assert!(viewed.groups[0].segments.iter().all(|segment| {
        !segment.undefined.is_empty() && segment.undefined_reason() != UndefinedReason::Unspecified
    }));
    assert_eq!(fields(&world.scorecard(Some(1.0)).await.unwrap_err()), ["level"]);

    let told = run(Some(&world.server), &["launch", "scorecard", "new_checkout", "--level", "90"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    for shown in
        ["signup (guardrail)", "country=DE", "intervals at 90 %", "viewed, treatment: p_value is undefined"]
    {
        assert!(told.out.contains(shown), "{shown}: {}", told.out);
    }
    let told = run(Some(&world.server), &["launch", "scorecard", "new_checkout", "--json"]).await;
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["level"], 0.95);

    // Sums by segment are those of a full recomputation.
    let database = Database::open(&world.server.home().url().parse().unwrap()).await.unwrap();
    let (store, events) = (Store::new(database.relational().clone()), portcullis::events::of(&database));
    let id = LaunchId(answer.launch.unwrap().id.parse().unwrap());
    let rebuilt = rebuild(&store, events.as_ref(), id, false).await.unwrap().unwrap();
    assert_eq!(rebuilt.different, []);
    let (_, cells) = store.measured(id).await.unwrap().unwrap();
    assert!(cells.keys().any(|key| &*key.segment == "country=DE" && &*key.metric == "signup"));
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_the_most_frequent_values_of_first_exposures_and_all_others_together() {
    let server = Server::start().await;
    let segments = vec!["country".to_owned()];
    server.create_policy(Policy { segments, ..policy() }).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let serve = async |id: &str, country: &str| {
        let user = Some(from_country(id, country));
        let request = CheckGateRequest { user, gate: "new_checkout".to_owned(), disable_exposure: false };
        server.evaluation().check_gate(request).await.unwrap();
    };
    // Twelve countries, the later ones with more visitors; everybody comes again from elsewhere.
    for place in 0..12_usize {
        for number in 0..(10 + 2 * place) {
            serve(&format!("{place}-{number}"), &format!("country-{place:02}")).await;
            serve(&format!("{place}-{number}"), "elsewhere").await;
        }
    }
    heartbeat(&server).await;
    let total: i64 = (0..12).map(|place| 10 + 2 * place).sum();
    let answer = server
        .check_until(&gate_target("new_checkout"), "segments are known, and everybody is counted", |answer| {
            let units = |segment: &portcullis::transport::grpc::wire::SegmentVerdict| {
                segment.units + segment.control_units
            };
            answer.segments.iter().map(units).sum::<i64>() == total
        })
        .await;
    let values: Vec<&str> = answer.segments.iter().map(|segment| segment.value.as_str()).collect();
    assert_eq!((values.len(), values[10]), (11, "…"));
    let other = &answer.segments[10];
    let named: Vec<&str> = values[..10].to_vec();
    // Values were frozen when 200 visitors were there, so that at most the last ones are not those of the end.
    assert!(other.units + other.control_units > 0 && named.iter().all(|value| value.starts_with("country-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_segments_is_named() {
    let server = Server::start().await;
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let twice = Policy { segments: columns(&["country", "", "country", "a=b"]), ..policy() };
    let refused = server.create_policy(twice).await.unwrap_err();
    assert_eq!(fields(&refused), ["policy.segments[1]", "policy.segments[2]", "policy.segments[3]"]);
    let many = (0..11).map(|number| format!("column_{number}")).collect();
    let refused = server.create_policy(Policy { segments: many, ..policy() }).await.unwrap_err();
    assert_eq!(fields(&refused), ["policy.segments"]);
}
