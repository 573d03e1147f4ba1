//! The guard against harm: what visitors are served once a guardrail falls, and what is refused afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    ArchiveHoldoutRequest, CheckLaunchResponse, ConditionOperator, CreateHoldoutRequest,
    DecideExperimentRequest, DecisionAction, DecisionKind, EvaluationReason, Event, ExperimentStatus, Gate,
    GetExperimentDocumentRequest, GetGateRequest, GetLaunchRequest, Holdout, Launch, LaunchState, Metric,
    MetricDirection, Reason, ReasonCode, ResolveLatchRequest, RollbackTo, SetRolloutRequest,
    UpdateHoldoutRequest, UpdateMetricRequest, Verdict, WatchDecisionsRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::documents::{button_color_v3, condition, gate, guardrail, metric, percentage, ramp, rule, step};
use crate::policies::policy;
use crate::server::{Server, TestClock, by, eventually, experiment_target, gate_target, wire_time};
use crate::visitors::{Crowd, Passes, check_gate, event, get_experiment, groups, ids, log, passing};

/// Expects the guard's refusal, for a reason of this kind.
pub(crate) fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Status>, reason: &str) {
    let status = outcome.expect_err("the guard refuses");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let violations = status.get_details_precondition_failure().expect("its reasons").violations;
    assert!(violations.iter().any(|violation| violation.r#type == reason), "{violations:?}");
}

pub(crate) async fn launch(server: &Server, id: &str) -> Launch {
    let request = GetLaunchRequest { id: id.to_owned() };
    server.guard().get_launch(request).await.expect("a launch").into_inner().launch.expect("the launch")
}

/// Visitors come to a gate until the guard has turned it off; gives what it says then.
pub(crate) async fn harm(server: &Server, crowd: &mut Crowd) -> CheckLaunchResponse {
    let target = gate_target(crowd.gate());
    crowd
        .come_until(server, "the launch is rolled back", async |server| {
            let answer = server.check(&target).await;
            let rolled_back =
                answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::RolledBack);
            if rolled_back { Ok(answer) } else { Err(format!("{answer:?}")) }
        })
        .await
}

/// A gate at 50 % with a guardrail, whose treatment nearly nobody gets through.
async fn harmed(server: &Server) -> (Crowd, CheckLaunchResponse) {
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    let answer = harm(server, &mut crowd).await;
    (crowd, answer)
}

pub(crate) async fn update_gate(server: &Server, edit: impl FnOnce(&mut Gate)) -> Result<Gate, Status> {
    let request = GetGateRequest { key: "new_checkout".to_owned() };
    let mut gate = server.admin().get_gate(request).await?.into_inner().gate.expect("the gate");
    edit(&mut gate);
    server.update_gate(gate).await
}

fn resolve(latch_id: &str, expires_at_ms: i64) -> ResolveLatchRequest {
    ResolveLatchRequest {
        latch_id: latch_id.to_owned(),
        reason: "The form is mended.".to_owned(),
        expire_time: Some(wire_time(expires_at_ms)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harmful_launch_is_rolled_back_and_stays_refused_by_every_way() {
    let server = Server::start().await;
    let (crowd, answer) = harmed(&server).await;

    assert!(passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).is_empty());
    assert!(passing(&check_gate(&server, "new_checkout", &ids("new", 100)).await).is_empty());
    assert_eq!(answer.decision(), DecisionKind::Block);
    assert_eq!(answer.reasons[0].code(), ReasonCode::LatchClosed);
    assert_eq!(answer.latches.len(), 1);
    assert!(answer.latches[0].closed && answer.latches[0].cause.contains("signup"), "{:?}", answer.latches);

    for share in [1.0, 50.0, 100.0] {
        assert_refused(server.set_rollout(percentage("new_checkout", share)).await, "LatchClosed");
    }
    let steps = vec![step(0.1, 0, 0), step(10.0, 0, 0)];
    assert_refused(server.set_rollout(ramp("new_checkout", steps)).await, "LatchClosed");
    let all = || rule("all", 100.0, Vec::new());
    assert_refused(update_gate(&server, |gate| gate.rules.push(all())).await, "LatchClosed");
    assert_refused(update_gate(&server, |gate| gate.rules.insert(0, all())).await, "LatchClosed");
    assert_refused(update_gate(&server, |gate| gate.rules = vec![all()]).await, "LatchClosed");
    assert!(passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).is_empty());

    // What lets nobody in goes on.
    server.set_rollout(percentage("new_checkout", 0.0)).await.unwrap();
    update_gate(&server, |gate| gate.description = "Turned off.".to_owned()).await.unwrap();
    update_gate(&server, |gate| gate.enabled = Some(false)).await.unwrap();
    assert_refused(update_gate(&server, |gate| gate.enabled = Some(true)).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latch_on_one_rule_lets_the_others_be_lowered_and_not_raised() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let german = condition("country", ConditionOperator::Any, &["DE"]);
    let mut made = gate("new_checkout", 50.0);
    made.rules.insert(0, rule("german", 30.0, vec![german]));
    server.create_gate(made).await;
    let on = |rule: &str, share: f64| SetRolloutRequest {
        rule_id: rule.to_owned(),
        ..percentage("new_checkout", share)
    };
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    crowd
        .come_until(&server, "nobody passes any more", async |server| {
            let passes = check_gate(server, "new_checkout", &ids("probe", 40)).await;
            if passing(&passes).is_empty() { Ok(()) } else { Err("some pass".to_owned()) }
        })
        .await;
    assert_refused(server.set_rollout(on("everyone", 10.0)).await, "LatchClosed");
    assert_refused(server.set_rollout(on("german", 40.0)).await, "LatchClosed");
    let lowered = server.set_rollout(on("german", 20.0)).await.unwrap().gate.unwrap();
    assert_eq!(lowered.rules.iter().map(|rule| rule.percentage).collect::<Vec<_>>(), [20.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rollback_is_delivered_with_its_reasons_and_what_it_rests_on() {
    let server = Server::start().await;
    let watch = WatchDecisionsRequest::default();
    let mut stream = server.guard().watch_decisions(watch).await.unwrap().into_inner();
    let (_, answer) = harmed(&server).await;

    let decision = loop {
        let Some(decision) = stream.message().await.unwrap().unwrap().decision else { continue };
        if decision.action() == DecisionAction::RollBack {
            break decision;
        }
    };
    assert_eq!((decision.kind(), decision.actor.as_str()), (DecisionKind::RollBack, "guard"));
    assert_eq!(decision.launch_id, answer.launch.unwrap().id);
    assert_eq!(decision.percentage.to_bits(), 0.0_f64.to_bits());
    assert!(decision.e_value >= 1.0 / decision.alpha, "{}", decision.e_value);
    assert!(decision.as_of.is_some() && decision.time.is_some());
    let reason = &decision.reasons[0];
    assert_eq!((reason.code(), reason.metric.as_str()), (ReasonCode::Harm, "signup"));
    let verdict = &decision.verdicts[0];
    assert_eq!((verdict.verdict(), verdict.metric.as_str()), (Verdict::Harm, "signup"));
    let moments = &verdict.epochs[0];
    let (control, treatment) = (moments.control.unwrap(), moments.treatment.unwrap());
    assert!(control.n >= 100 && treatment.n >= 100, "{moments:?}");
    assert!(treatment.sum / (treatment.n as f64) < control.sum / (control.n as f64), "{moments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latch_opens_for_a_named_person_and_closes_again_when_that_expires() {
    let clock = TestClock::running();
    let server = Server::start_with(&clock).await;
    let (_, answer) = harmed(&server).await;
    let latch = &answer.latches[0];
    let expires_at = clock.now_ms() + 3_600_000;
    let nameless = server.guard().resolve_latch(resolve(&latch.id, expires_at)).await.unwrap_err();
    assert_eq!(nameless.code(), Code::InvalidArgument);
    let resolved = server.guard().resolve_latch(by("ada", resolve(&latch.id, expires_at))).await.unwrap();
    let resolved = resolved.into_inner().latch.unwrap();
    assert!(!resolved.closed);
    assert_eq!(
        (resolved.resolved_by.as_str(), resolved.resolve_reason.as_str()),
        ("ada", "The form is mended.")
    );

    assert_eq!(server.check(&gate_target("new_checkout")).await.decision(), DecisionKind::Allow);
    let raised = server.set_rollout(percentage("new_checkout", 10.0)).await.unwrap();
    assert_ne!(raised.launch.unwrap().id, latch.launch_id, "a raise after a rollback is a launch of its own");
    let last = server.decisions(&latch.launch_id).await.pop().unwrap();
    assert_eq!((last.action(), last.actor.as_str()), (DecisionAction::ResolveLatch, "ada"));

    clock.advance(Duration::from_hours(1));
    let answer = server.check(&gate_target("new_checkout")).await;
    assert_eq!((answer.decision(), answer.reasons[0].code()), (DecisionKind::Block, ReasonCode::LatchClosed));
    assert_refused(server.set_rollout(percentage("new_checkout", 20.0)).await, "LatchClosed");
    server.set_rollout(percentage("new_checkout", 5.0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_harm_after_a_resolution_closes_a_latch_again() {
    let server = Server::start().await;
    let (_, answer) = harmed(&server).await;
    let expires_at = portcullis::clock::Clock::system().now().0 + 3_600_000;
    server.guard().resolve_latch(by("ada", resolve(&answer.latches[0].id, expires_at))).await.unwrap();
    server.set_rollout(percentage("new_checkout", 50.0)).await.unwrap();
    let mut again = Crowd::named("again", "new_checkout", "visited_signup").doing(0.0, 0.5);
    let answer = harm(&server, &mut again).await;
    assert_eq!(answer.decision(), DecisionKind::Block);
    assert_eq!(answer.latches.iter().map(|latch| latch.closed).collect::<Vec<_>>(), [false, true]);
    assert!(passing(&check_gate(&server, "new_checkout", again.visitors()).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_treatment_in_which_nobody_converts_any_more_is_rolled_back() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.0, 0.5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_treatment_in_which_nobody_does_what_everyone_did_is_rolled_back() {
    let direction = MetricDirection::LowerIsBetter.into();
    let fallen = (guardrail("signup", "visited_signup"), false);
    let risen = (Metric { direction, ..guardrail("signup", "visited_signup") }, true);
    for (metric, by_treated) in [fallen, risen] {
        let clock = TestClock::new();
        let server = Server::start_with(&clock).await;
        server.create_metric(metric).await;
        server.create_gate(gate("new_checkout", 50.0)).await;
        let at =
            |ms: i64, visitor: &str, name: &str| Event { time: Some(wire_time(ms)), ..event(visitor, name) };
        // At three moments, because none may carry a rollback alone.
        let (mut passes, mut events) = (Passes::new(), Vec::new());
        for wave in ["first", "second", "third"] {
            clock.advance(Duration::from_secs(1));
            let came = check_gate(&server, "new_checkout", &ids(wave, 200)).await;
            let doers = came.iter().filter(|(_, pass)| **pass == by_treated);
            events.extend(doers.map(|(visitor, _)| at(clock.now_ms() + 1, visitor, "visited_signup")));
            passes.extend(came);
        }
        // All in one batch, so that no look sees a part of them, and no arm has a spread.
        clock.advance(Duration::from_secs(1));
        events.push(at(clock.now_ms(), "somebody-else", "heartbeat"));
        log(&server, events).await;
        let target = gate_target("new_checkout");
        let rolled_back = |answer: &CheckLaunchResponse| {
            answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::RolledBack)
        };
        server.check_until(&target, "the launch is rolled back", rolled_back).await;
        let visitors: Vec<String> = passes.into_keys().collect();
        assert!(passing(&check_gate(&server, "new_checkout", &visitors).await).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_that_one_moment_carries_alone_holds_until_another_shows_it_too() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    let come = async |wave: &str| {
        clock.advance(Duration::from_secs(1));
        let passes = check_gate(&server, "new_checkout", &ids(wave, 400)).await;
        let doers = passes.iter().filter(|(_, pass)| !**pass);
        log(&server, doers.map(|(visitor, _)| event(visitor, "visited_signup")).collect()).await;
        clock.advance(Duration::from_secs(1));
    };
    come("first").await;
    let carried = |answer: &CheckLaunchResponse| {
        let says = |reason: &Reason| reason.message.contains("carried by one bucket");
        answer.decision() == DecisionKind::Hold && answer.reasons.iter().any(says)
    };
    let answer = server.check_until(&target, "one bucket carries the harm", carried).await;
    assert!(answer.e_value > 20.0 && answer.latches.is_empty(), "{answer:?}");
    assert_refused(server.set_rollout(percentage("new_checkout", 60.0)).await, "Warning");
    come("second").await;
    let rolled_back = |answer: &CheckLaunchResponse| {
        answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::RolledBack)
    };
    server.check_until(&target, "the launch is rolled back", rolled_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_appears_only_in_the_treatment_rolls_it_back() {
    let server = Server::start().await;
    let direction = MetricDirection::LowerIsBetter.into();
    server.create_metric(Metric { direction, ..guardrail("errors", "error_shown") }).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let answer = harm(&server, &mut Crowd::new("new_checkout", "error_shown").doing(0.2, 0.0)).await;
    assert!(answer.latches[0].cause.contains("errors"), "{}", answer.latches[0].cause);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fall_of_a_metric_that_is_no_guardrail_rolls_nothing_back() {
    let server = Server::start().await;
    server.create_metric(metric("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.0, 0.5);
    let target = gate_target("new_checkout");
    let answer = crowd
        .come_until(&server, "the metric is shown harmful", async |server| {
            let answer = server.check(&target).await;
            let shown = answer.verdicts.iter().any(|verdict| verdict.e_value >= 20.0);
            if shown { Ok(answer) } else { Err(format!("{answer:?}")) }
        })
        .await;
    assert_eq!(answer.decision(), DecisionKind::Allow);
    assert_eq!(answer.launch.unwrap().state(), LaunchState::Steady);
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_in_the_middle_of_a_long_step_is_rolled_back_at_once() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(50.0, 3_600_000, 1_000_000), step(100.0, 0, 0)];
    let launch = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    assert_eq!(launch.state(), LaunchState::Ramping);
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    let answer = harm(&server, &mut crowd).await;
    assert_eq!(answer.launch.unwrap().id, launch.id);
    assert!(passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_falls_back_to_the_earlier_percentage_where_that_was_asked_for() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 30.0)).await;
    let visitors = ids("probe", 200);
    let before = check_gate(&server, "new_checkout", &visitors).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
    let target = gate_target("new_checkout");
    crowd
        .come_until(&server, "the guard allows", async |server| match server.check(&target).await {
            answer if answer.decision() == DecisionKind::Allow => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await;
    let raise =
        SetRolloutRequest { rollback_to: RollbackTo::Previous.into(), ..percentage("new_checkout", 60.0) };
    let launch = server.set_rollout(raise).await.unwrap().launch.unwrap();
    assert_eq!(launch.rollback_percentage.to_bits(), 30.0_f64.to_bits());

    let mut crowd = Crowd::named("later", "new_checkout", "visited_signup").doing(0.0, 0.9);
    let answer = harm(&server, &mut crowd).await;
    assert_eq!(check_gate(&server, "new_checkout", &visitors).await, before);
    assert_refused(server.set_rollout(percentage("new_checkout", 31.0)).await, "LatchClosed");
    server.set_rollout(percentage("new_checkout", 20.0)).await.unwrap();

    let expires_at = portcullis::clock::Clock::system().now().0 + 3_600_000;
    let request = by("ada", resolve(&answer.latches[0].id, expires_at));
    server.guard().resolve_latch(request).await.unwrap();
    let resolved = server.decisions(&launch.id).await.pop().unwrap();
    assert_eq!(resolved.percentage.to_bits(), 20.0_f64.to_bits(), "the share in force after the decision");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_group_is_stopped_alone_and_the_others_go_on() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let (_, launch_begun) = server.run_experiment(button_color_v3()).await;
    let visitors = ids("visitor", 700);
    let before = groups(&server, "button_color_v3", &visitors).await;
    // Half of all groups sign up, but none in Red.
    for share in visitors.chunks(100) {
        let signs_up = |at: usize, visitor: &String| at.is_multiple_of(2) && before[visitor] != "Red";
        let who = share.iter().enumerate().filter(|(at, visitor)| signs_up(*at, visitor));
        let events: Vec<Event> = who.map(|(_, visitor)| event(visitor, "visited_signup")).collect();
        log(&server, events).await;
    }
    let target = experiment_target("button_color_v3");
    let answer = server.check_until(&target, "a latch is closed", |answer| !answer.latches.is_empty()).await;
    let arms = answer.latches.iter().map(|latch| (latch.arm.as_str(), latch.closed));
    assert_eq!(arms.collect::<Vec<_>>(), [("Red", true)]);

    let after = get_experiment(&server, "button_color_v3", &visitors).await;
    for (visitor, answer) in &after {
        if before[visitor] == "Red" {
            assert_eq!((answer.reason(), answer.group.as_str()), (EvaluationReason::GroupStopped, ""));
        } else {
            assert_eq!(answer.group, before[visitor], "a visitor of another group was moved");
        }
    }
    let launch = launch(&server, &launch_begun.id).await;
    assert_eq!(launch.state(), LaunchState::Steady);
    let stopped: Vec<&str> =
        launch.arms.iter().filter(|arm| arm.stop_time.is_some()).map(|arm| arm.name.as_str()).collect();
    assert_eq!(stopped, ["Red"]);
    let decision = server.decisions(&launch.id).await;
    let stop = decision.iter().find(|decision| decision.action() == DecisionAction::StopArm).unwrap();
    assert_eq!((stop.arm.as_str(), stop.kind()), ("Red", DecisionKind::RollBack));

    let request = GetExperimentDocumentRequest { key: "button_color_v3".to_owned() };
    let stored = server.admin().get_experiment_document(request).await.unwrap().into_inner();
    let stored = stored.experiment.unwrap();
    assert_eq!(stored.stopped_groups, ["Red"]);
    let ship = |group: &str| DecideExperimentRequest {
        key: stored.key.clone(),
        revision: stored.revision,
        decision: Some(Outcome::ShipGroup(group.to_owned())),
    };
    assert_refused(server.admin().decide_experiment(ship("Red")).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_shown_safe_is_shipped() {
    let server = Server::start().await;
    server.create_policy(policy()).await.unwrap();
    let wide = Metric { ship_margin: Some(0.5), ..guardrail("signup", "visited_signup") };
    server.create_metric(wide).await;
    let (running, _) = server.run_experiment(button_color_v3()).await;
    let visitors = ids("visitor", 800);
    let by_visitor = groups(&server, "button_color_v3", &visitors).await;
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut events = Vec::new();
    for visitor in &visitors {
        let count = seen.entry(&by_visitor[visitor]).or_default();
        if (*count).is_multiple_of(2) {
            events.push(event(visitor, "visited_signup"));
        }
        *count += 1;
    }
    log(&server, events).await;
    let target = experiment_target("button_color_v3");
    server
        .check_until(&target, "every group is shown safe", |answer| {
            let guardrails: Vec<_> = answer.verdicts.iter().filter(|verdict| verdict.guardrail).collect();
            guardrails.len() == 3 && guardrails.iter().all(|verdict| verdict.verdict() == Verdict::Safe)
        })
        .await;
    let request = DecideExperimentRequest {
        key: running.key,
        revision: running.revision,
        decision: Some(Outcome::ShipGroup("Green".to_owned())),
    };
    let decided = server.admin().decide_experiment(request).await.unwrap().into_inner().experiment.unwrap();
    assert_eq!(decided.status(), ExperimentStatus::Decided);
    let after = groups(&server, "button_color_v3", &visitors).await;
    assert!(after.values().all(|group| group == "Green"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_keeps_the_metric_it_began_with() {
    let server = Server::start().await;
    let made = server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let edited = Metric { event: "another_event".to_owned(), tags: Vec::new(), ..made };
    let edited = server.admin().update_metric(UpdateMetricRequest { metric: Some(edited) }).await.unwrap();
    assert_eq!(edited.into_inner().metric.unwrap().revision, 2);

    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    let answer = harm(&server, &mut crowd).await;
    let pinned = &answer.launch.unwrap().metrics[0];
    assert_eq!((pinned.revision, pinned.guardrail), (1, true));

    server.create_gate(gate("other", 50.0)).await;
    let answer = eventually("the other gate's launch", async || {
        server.check(&gate_target("other")).await.launch.ok_or_else(String::new)
    })
    .await;
    assert_eq!((answer.metrics[0].revision, answer.metrics[0].guardrail), (2, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdout_releases_nobody_into_a_gate_whose_latch_is_closed() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    server.create_gate(gate("other", 50.0)).await;
    let holdout = Holdout {
        key: "tenth".to_owned(),
        percentage: 10.0,
        gates: vec!["new_checkout".to_owned(), "other".to_owned()],
        ..Holdout::default()
    };
    let mut admin = server.admin();
    let made = admin.create_holdout(CreateHoldoutRequest { holdout: Some(holdout) }).await.unwrap();
    let made = made.into_inner().holdout.unwrap();
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.0, 0.5)).await;

    let update = |holdout: Holdout| UpdateHoldoutRequest { holdout: Some(holdout) };
    let smaller = Holdout { percentage: 5.0, ..made.clone() };
    assert_refused(admin.update_holdout(update(smaller)).await, "LatchClosed");
    let without = Holdout { gates: vec!["other".to_owned()], ..made.clone() };
    assert_refused(admin.update_holdout(update(without)).await, "LatchClosed");
    let archive = ArchiveHoldoutRequest { key: made.key.clone(), revision: made.revision };
    assert_refused(admin.archive_holdout(archive).await, "LatchClosed");
    // The other gate's launch has no data yet, and is held.
    let without = Holdout { gates: vec!["new_checkout".to_owned()], ..made.clone() };
    assert_refused(admin.update_holdout(update(without)).await, "NoData");
    let larger = Holdout { percentage: 20.0, ..made };
    admin.update_holdout(update(larger)).await.unwrap();
}
