//! Policies: what a launch has to bring along, how it gets to its share, and who may let it pass.

use std::time::Duration;

use portcullis::transport::grpc::wire::metric_service_client::MetricServiceClient;
use portcullis::transport::grpc::wire::{
    self, ArchivePolicyRequest, CreateGateRequest, CreatePolicyRequest, DecisionKind, EvidenceCycle, Gate,
    GetPolicyRequest, GuardrailChoice, Holdback, Launch, LaunchState, Metric, Policy, PreviewMetricRequest,
    ReasonCode, ResolveLatchRequest, SetRolloutRequest, StartExperimentRequest, StepNeeds, UndecidedAction,
    UpdatePolicyRequest,
};
use tonic::{Code, Status};

use crate::documents::{button_color_v3, gate, guardrail, metric, percentage, ramp, rule, step};
use crate::guard::{assert_refused, harm, launch, update_gate};
use crate::home::Home;
use crate::ramps::{approve, assert_stays};
use crate::server::{
    Server, TestClock, by, eventually, fields, gate_target, settings, wire_duration, wire_time,
};
use crate::visitors::{Crowd, check_gate, ids, passing};

/// One whose evidence counts whenever it is there.
pub(crate) fn policy() -> Policy {
    let none = Some(wire_duration(0));
    let cycle = Some(EvidenceCycle { step: none, ship: none });
    Policy { key: "production".to_owned(), cycle, ..Policy::default() }
}

impl Server {
    pub(crate) async fn create_policy(&self, policy: Policy) -> Result<Policy, Status> {
        let request = CreatePolicyRequest { policy: Some(policy) };
        Ok(self.admin().create_policy(request).await?.into_inner().policy.unwrap())
    }
}

fn shares(launch: &Launch) -> Vec<f64> {
    launch.steps.iter().map(|step| step.percentage).collect()
}

async fn raise(server: &Server, share: f64) -> Launch {
    server.set_rollout(percentage("new_checkout", share)).await.unwrap().launch.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_kept_with_its_revisions_and_a_launch_keeps_the_one_it_began_under() {
    let server = Server::start().await;
    let made = server.create_policy(policy()).await.unwrap();
    assert_eq!((made.revision, made.alpha, made.alpha_hold), (1, Some(0.05), Some(0.2)));
    assert_eq!(
        (&made.guardrail_tags[..], &made.resolvers[..]),
        (&["guardrail".to_owned()][..], &["*".to_owned()][..])
    );
    server.create_gate(gate("new_checkout", 10.0)).await;
    let stricter = Policy { alpha: Some(0.01), alpha_hold: Some(0.05), ..made.clone() };
    let update = UpdatePolicyRequest { policy: Some(stricter) };
    let changed = server.admin().update_policy(update.clone()).await.unwrap().into_inner().policy.unwrap();
    assert_eq!(changed.revision, 2);
    assert_eq!(server.admin().update_policy(update).await.unwrap_err().code(), Code::Aborted);

    let first = server.check(&gate_target("new_checkout")).await.launch.unwrap();
    assert_eq!((first.policy.unwrap().revision, first.alpha), (1, 0.05));
    let second = raise(&server, 20.0).await;
    assert_eq!((second.policy.clone().unwrap().revision, second.alpha, second.alpha_hold), (2, 0.01, 0.05));

    let archive = ArchivePolicyRequest { key: "production".to_owned(), revision: 2 };
    server.admin().archive_policy(archive).await.unwrap();
    let raised = server.set_rollout(percentage("new_checkout", 30.0)).await;
    let message = raised.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains("policy `production`: it is archived"), "{message}");
    assert_refused(raised, "Policy");
    server.set_rollout(percentage("new_checkout", 5.0)).await.unwrap();
    let get = GetPolicyRequest { key: "production".to_owned() };
    assert!(server.admin().get_policy(get).await.unwrap().into_inner().policy.unwrap().archived);
    let again = server.create_policy(policy()).await.unwrap();
    assert_eq!((again.revision, again.archived), (4, false));
    assert_eq!(raise(&server, 30.0).await.policy.unwrap().revision, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_policy_was_ever_made_the_one_that_is_built_in_holds() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 10.0)).await;
    let begun = raise(&server, 30.0).await;
    let built_in = begun.policy.unwrap();
    assert_eq!((built_in.revision, built_in.key.as_str(), begun.alpha), (0, "production", 0.05));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdback_of_which_nothing_is_said_is_of_five_percent_for_a_week() {
    let server = Server::start().await;
    let made =
        server.create_policy(Policy { holdback: Some(Holdback::default()), ..policy() }).await.unwrap();
    let of =
        |percentage, days: i64| Holdback { percentage, duration: Some(wire_duration(days * 86_400_000)) };
    assert_eq!(made.holdback, Some(of(5.0, 7)));
    let other = "policies:\n- key: staging\n  holdback: {percentage: 10}\n- key: test\n  holdback: {}\n";
    crate::enforcement::apply(&server, other).await.unwrap();
    for (key, expected) in [("staging", of(10.0, 7)), ("test", of(5.0, 7))] {
        let request = GetPolicyRequest { key: key.to_owned() };
        let found = server.admin().get_policy(request).await.unwrap().into_inner().policy.unwrap();
        assert_eq!(found.holdback, Some(expected), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_policy_is_named() {
    let server = Server::start().await;
    let wrong = Policy {
        key: "no key".to_owned(),
        alpha: Some(0.6),
        alpha_hold: Some(0.01),
        ramp: vec![step(50.0, 0, 0), step(10.0, 0, 0)],
        holdback: Some(Holdback { percentage: 60.0, duration: Some(wire_duration(0)) }),
        cycle: Some(EvidenceCycle { step: Some(wire_duration(-1_000)), ship: None }),
        ..Policy::default()
    };
    let refused = server.create_policy(wrong).await.unwrap_err();
    let expected = [
        "policy.key",
        "policy.alpha",
        "policy.alpha_hold",
        "policy.ramp[1].percentage",
        "policy.holdback.percentage",
        "policy.holdback.duration",
        "policy.cycle.step",
    ];
    assert_eq!(fields(&refused), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_environment_is_under_another_policy() {
    let home = Home::new().await;
    let staging = portcullis::config::ServeSettings { environment: "staging".to_owned(), ..settings(&home) };
    let server = Server::start_as(home, staging, portcullis::clock::Clock::system()).await;
    server.create_policy(Policy { require_guardrails: true, ..policy() }).await.unwrap();
    server.create_policy(Policy { key: "staging".to_owned(), alpha: Some(0.1), ..policy() }).await.unwrap();
    server.create_gate(gate("new_checkout", 10.0)).await;
    assert_eq!(server.check(&gate_target("new_checkout")).await.launch.unwrap().alpha, 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_without_the_guardrails_that_its_policy_asks_for_is_refused() {
    let server = Server::start().await;
    let asks = Policy { require_guardrails: true, required_tags: vec!["money".to_owned()], ..policy() };
    server.create_policy(asks).await.unwrap();
    let create = CreateGateRequest { gate: Some(gate("new_checkout", 10.0)) };
    let refused = server.admin().create_gate(create).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains("tag `money`"), "{message}");
    assert_refused(refused, "Policy");
    server.create_gate(gate("new_checkout", 0.0)).await;
    assert_refused(server.set_rollout(percentage("new_checkout", 10.0)).await, "Policy");
    assert_refused(
        update_gate(&server, |gate| gate.rules.push(rule("all", 5.0, Vec::new()))).await,
        "Policy",
    );
    let draft = server.create_experiment(button_color_v3()).await;
    let start = |choice| StartExperimentRequest {
        key: draft.key.clone(),
        revision: draft.revision,
        guardrails: choice,
    };
    assert_refused(server.admin().start_experiment(start(None)).await, "Policy");

    // A metric with the required tag is attached, whatever other tags it has, and can not be dropped.
    let revenue = Metric { tags: vec!["money".to_owned()], ..metric("revenue", "bought") };
    server.create_metric(revenue).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_metric(metric("visits", "visited")).await;
    let with = |add: &str, drop: &str| SetRolloutRequest {
        guardrails: Some(GuardrailChoice {
            add: vec![add.to_owned()],
            drop: if drop.is_empty() { Vec::new() } else { vec![drop.to_owned()] },
        }),
        ..percentage("new_checkout", 10.0)
    };
    let refused = server.set_rollout(with("visits", "revenue")).await.unwrap_err();
    assert_eq!(fields(&refused), ["guardrails.drop[0]"]);
    let refused = server.set_rollout(with("unknown", "")).await.unwrap_err();
    assert_eq!(fields(&refused), ["guardrails.add[0]"]);
    let begun = server.set_rollout(with("visits", "signup")).await.unwrap().launch.unwrap();
    let guardrails: Vec<&str> =
        begun.metrics.iter().filter(|metric| metric.guardrail).map(|metric| metric.key.as_str()).collect();
    assert_eq!(guardrails, ["revenue", "visits"]);
    server.admin().start_experiment(start(None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_of_other_units_neither_joins_a_launch_nor_counts_among_what_is_required() {
    let server = Server::start().await;
    server.create_policy(Policy { required_tags: vec!["money".to_owned()], ..policy() }).await.unwrap();
    let of = |key: &str, unit_type: &str| Metric {
        name: format!("The {key}"),
        unit_type: unit_type.to_owned(),
        tags: vec!["money".to_owned()],
        ..metric(key, "bought")
    };
    let made = server.create_metric(of("company_revenue", "company")).await;
    assert_eq!((made.name.as_str(), made.unit_type.as_str()), ("The company_revenue", "company"));
    let companies = |unit_type: &str| Gate {
        key: format!("for_{unit_type}"),
        unit_type: unit_type.to_owned(),
        ..gate("new_checkout", 0.0)
    };
    server.create_gate(companies("Company")).await;
    server.create_gate(companies("userID")).await;
    let keys = |launch: &Launch| -> Vec<String> {
        let own = launch.metrics.iter().filter(|metric| metric.guardrail);
        own.map(|metric| metric.key.clone()).collect()
    };
    // Names of types are compared as ids are found.
    let begun = server.set_rollout(percentage("for_Company", 10.0)).await.unwrap().launch.unwrap();
    assert_eq!(keys(&begun), ["company_revenue"]);
    let refused = server.set_rollout(percentage("for_userID", 10.0)).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains("tag `money`") && message.contains("`userID`"), "{message}");
    assert_refused(refused, "Policy");
    server.create_metric(of("revenue", "user_id")).await;
    let chosen = GuardrailChoice { add: vec!["company_revenue".to_owned()], drop: Vec::new() };
    let with = SetRolloutRequest { guardrails: Some(chosen), ..percentage("for_userID", 10.0) };
    assert_eq!(fields(&server.set_rollout(with).await.unwrap_err()), ["guardrails.add[0]"]);
    let begun = server.set_rollout(percentage("for_userID", 10.0)).await.unwrap().launch.unwrap();
    assert_eq!(keys(&begun), ["revenue"]);
    let request = PreviewMetricRequest { metric: Some(of("another", "company")), launch_id: begun.id };
    let mut client = MetricServiceClient::new(server.channel());
    assert_eq!(fields(&client.preview_metric(request).await.unwrap_err()), ["metric.unit_type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_that_names_no_steps_takes_those_of_the_policy() {
    let server = Server::start().await;
    let hour = 3_600_000;
    let ramped =
        Policy { ramp: vec![step(1.0, hour, 0), step(10.0, hour, 0), step(50.0, hour, 0)], ..policy() };
    server.create_policy(ramped).await.unwrap();
    let create = CreateGateRequest { gate: Some(gate("new_checkout", 10.0)) };
    assert_refused(server.admin().create_gate(create).await, "Policy");
    server.create_gate(gate("new_checkout", 0.0)).await;
    assert_refused(
        update_gate(&server, |gate| gate.rules.push(rule("all", 5.0, Vec::new()))).await,
        "Policy",
    );
    update_gate(&server, |gate| gate.rules.push(rule("few", 1.0, Vec::new()))).await.unwrap();

    let on = |share: f64| SetRolloutRequest {
        rule_id: "everyone".to_owned(),
        ..percentage("new_checkout", share)
    };
    let begun = server.set_rollout(on(30.0)).await.unwrap();
    assert_eq!(begun.gate.unwrap().rules[0].percentage, 1.0);
    assert_eq!(shares(&begun.launch.unwrap()), [1.0, 10.0, 30.0]);
    // Steps that are named are taken as they are, and lowering needs none.
    let mut named = ramp("new_checkout", vec![step(20.0, 0, 0), step(60.0, hour, 0)]);
    named.rule_id = "everyone".to_owned();
    assert_eq!(shares(&server.set_rollout(named).await.unwrap().launch.unwrap()), [20.0, 60.0]);
    let lowered = server.set_rollout(on(15.0)).await.unwrap();
    assert_eq!(lowered.gate.unwrap().rules[0].percentage, 15.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdback_stays_without_the_treatment_for_its_time_and_is_watched() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    let holdback = Holdback { percentage: 5.0, duration: Some(wire_duration(3_600_000)) };
    server.create_policy(Policy { holdback: Some(holdback), ..policy() }).await.unwrap();
    server.create_gate(gate("new_checkout", 0.0)).await;
    let begun = server.set_rollout(percentage("new_checkout", 100.0)).await.unwrap();
    assert_eq!(begun.gate.unwrap().rules[0].percentage, 95.0);
    let begun = begun.launch.unwrap();
    assert_eq!(shares(&begun), [95.0, 100.0]);
    assert_stays(&server, &begun.id, 0).await;
    let visitors = ids("visitor", 400);
    let served = passing(&check_gate(&server, "new_checkout", &visitors).await).len();
    assert!((360..400).contains(&served), "{served}");
    clock.advance(Duration::from_hours(1));
    eventually("everyone has it, and the launch is completed", async || {
        match launch(&server, &begun.id).await {
            launch if launch.state() == LaunchState::Completed => Ok(()),
            launch => Err(format!("{launch:?}")),
        }
    })
    .await;
    assert_eq!(passing(&check_gate(&server, "new_checkout", &visitors).await).len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_at_the_end_of_a_ramp_is_seen_against_the_holdback() {
    let server = Server::start().await;
    let holdback = Holdback { percentage: 50.0, duration: Some(wire_duration(3_600_000)) };
    server.create_policy(Policy { holdback: Some(holdback), ..policy() }).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    raise(&server, 100.0).await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_undecided_holds_a_step_waits_until_every_guardrail_is_shown_safe() {
    for (undecided, goes_on) in [(UndecidedAction::Hold, false), (UndecidedAction::GoOn, true)] {
        let server = Server::start().await;
        server.create_policy(Policy { undecided: undecided.into(), ..policy() }).await.unwrap();
        server.create_metric(guardrail("signup", "visited_signup")).await;
        server.create_gate(gate("new_checkout", 0.0)).await;
        let steps = vec![step(50.0, 0, 150), step(80.0, 3_600_000, 0), step(100.0, 0, 0)];
        let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
        let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
        let target = gate_target("new_checkout");
        crowd
            .come_until(&server, "it is known what becomes of the first step", async |server| {
                let answer = server.check(&target).await;
                let step = launch(server, &begun.id).await.current_step;
                let undecided = answer.decision() == DecisionKind::Hold
                    && answer.reasons.iter().any(|reason| reason.code() == ReasonCode::Undecided);
                let counted = answer.verdicts.iter().any(|verdict| {
                    verdict.epochs.iter().any(|epoch| epoch.treatment.is_some_and(|it| it.n > 200))
                });
                if step == 1 || (undecided && counted) { Ok(()) } else { Err(format!("{answer:?}")) }
            })
            .await;
        assert_eq!(launch(&server, &begun.id).await.current_step == 1, goes_on);
        if !goes_on {
            let answer = server.check(&target).await;
            let signup = &answer.verdicts[0];
            let told = [
                ("excluded_harm", signup.excluded_harm.is_some()),
                ("missing_units", signup.missing_units.is_some()),
                ("missing_days", signup.missing_days.is_some()),
            ];
            for (field, is_told) in told {
                assert_ne!(is_told, signup.undefined_reasons.contains_key(field), "{field}: {signup:?}");
            }
            assert!(signup.missing_units.is_some_and(|units| units > 0), "{signup:?}");
            assert!(answer.p_value.unwrap() > 0.0 && signup.p_value > 0.05, "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_whom_the_policy_lists_may_resolve_also_once_it_is_archived() {
    let server = Server::start().await;
    let lists = Policy { resolvers: vec!["grace".to_owned()], ..policy() };
    server.create_policy(lists).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let answer = harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5)).await;
    let expires_at = portcullis::clock::Clock::system().now().0 + 3_600_000;
    let resolve = ResolveLatchRequest {
        latch_id: answer.latches[0].id.clone(),
        reason: "The form is mended.".to_owned(),
        expire_time: Some(wire_time(expires_at)),
    };
    assert_refused(server.guard().resolve_latch(by("ada", resolve.clone())).await, "Policy");
    let archive = ArchivePolicyRequest { key: "production".to_owned(), revision: 1 };
    server.admin().archive_policy(archive).await.unwrap();
    assert_refused(server.guard().resolve_latch(by("ada", resolve.clone())).await, "Policy");
    assert!(server.check(&gate_target("new_checkout")).await.latches[0].closed);
    server.guard().resolve_latch(by("grace", resolve)).await.unwrap();
    assert!(!server.check(&gate_target("new_checkout")).await.latches[0].closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_shadow_says_what_it_would_do_and_does_nothing() {
    let server = Server::start().await;
    server.create_policy(Policy { shadow: true, ..policy() }).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let approval = wire::RampStep { needs: StepNeeds::Approval.into(), ..step(50.0, 0, 0) };
    let begun = server.set_rollout(ramp("new_checkout", vec![approval, step(60.0, 0, 0)])).await.unwrap();
    let begun = begun.launch.unwrap();
    let target = gate_target("new_checkout");
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    crowd
        .come_until(&server, "harm is shown", async |server| {
            let answer = server.check(&target).await;
            let would = |reason: &wire::Reason| {
                reason.code() == ReasonCode::Shadow && reason.message.contains("would say roll_back")
            };
            if answer.reasons.iter().any(would) { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    let answer = server.check(&target).await;
    assert!(answer.latches.is_empty());
    assert_eq!(answer.launch.as_ref().unwrap().state(), LaunchState::Ramping);
    assert_eq!(answer.decision(), DecisionKind::Hold, "a person's approval is needed all the same");
    approve(&server, &begun.id, 0).await.unwrap();
    eventually("the step is taken", async || {
        let launch = launch(&server, &begun.id).await;
        if launch.current_step == 1 { Ok(()) } else { Err(format!("{launch:?}")) }
    })
    .await;
    let decisions = server.decisions(&begun.id).await;
    let shown = decisions.iter().flat_map(|decision| &decision.reasons);
    assert!(shown.clone().any(|reason| reason.message.contains("would say roll_back")), "{decisions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_in_shadow_says_what_it_would_do_and_the_others_act() {
    let server = Server::start().await;
    let shadowed = Policy { shadow_guardrails: vec!["visits".to_owned()], ..policy() };
    server.create_policy(shadowed).await.unwrap();
    server.create_metric(guardrail("visits", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    let answer = crowd
        .come_until(&server, "the guardrail in shadow shows harm", async |server| {
            let answer = server.check(&target).await;
            let says = |text: &str| answer.reasons.iter().any(|reason| reason.message.contains(text));
            if says("visits is harm and would roll back") { Ok(answer) } else { Err(format!("{answer:?}")) }
        })
        .await;
    assert_eq!((answer.decision(), answer.latches.len()), (DecisionKind::Allow, 0));
}

/// Runs the replay of a policy over what the server has on record.
async fn replay(server: &Server, yaml: &str) -> Vec<wire::ReplayedLaunch> {
    let request = wire::ReplayPolicyRequest { yaml: yaml.to_owned() };
    server.configuration().replay_policy(request).await.unwrap().into_inner().launches
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_replayed_over_the_past_and_says_what_it_would_have_blocked() {
    let server = Server::start().await;
    server.create_policy(Policy { shadow: true, ..policy() }).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    let answer = crowd
        .come_until(&server, "harm is on record", async |server| {
            let answer = server.check(&target).await;
            let decisions = server.decisions(&answer.launch.as_ref().unwrap().id).await;
            let shown = decisions.iter().flat_map(|decision| &decision.reasons);
            let on_record = shown.into_iter().any(|reason| reason.message.contains("would say roll_back"));
            if on_record { Ok(answer) } else { Err(format!("{answer:?}")) }
        })
        .await;
    let id = answer.launch.unwrap().id;
    let text = "policies:\n- key: production\n";
    let request = wire::ReplayPolicyRequest { yaml: text.to_owned() };
    let answer = server.configuration().replay_policy(request).await.unwrap().into_inner();
    assert_eq!(answer.look_count, answer.launches.iter().map(|launch| launch.decision_count).sum::<i64>());
    let acting = answer.launches;
    assert_eq!(
        (acting.len(), acting[0].launch_id.as_str(), acting[0].refusal.as_str()),
        (1, id.as_str(), "")
    );
    let stricter = acting[0].stricter.as_ref().unwrap();
    assert_eq!(stricter.was(), DecisionKind::Allow);
    assert!(matches!(stricter.would(), DecisionKind::Hold | DecisionKind::RollBack), "{stricter:?}");

    let other = "policies:\n- key: production\n  guardrail_tags: [money]\n  require_guardrails: true\n";
    let other = replay(&server, other).await;
    assert!(other[0].refusal.contains("needs a guardrail") && other[0].stricter.is_none(), "{other:?}");
    let none = wire::ReplayPolicyRequest { yaml: String::new() };
    let refused = server.configuration().replay_policy(none).await.unwrap_err();
    assert_eq!(fields(&refused), ["policies"]);
}
