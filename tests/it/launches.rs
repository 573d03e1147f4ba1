//! Launches that are not harmful: they go on as planned, or wait for what they lack.

use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, ConditionOperator, Decision, DecisionAction, DecisionKind, Event, Gate, Launch,
    LaunchState, ListLaunchesRequest, Metric, MetricKind, Reason, ReasonCode, Target, Verdict,
};
use tonic::Code;

use crate::documents::{condition, gate, guardrail, percentage, ramp, rule, step};
use crate::guard::{assert_refused, launch, update_gate};
use crate::server::{Server, eventually, gate_target, ms_of, wire_duration};
use crate::visitors::{Crowd, Passes, check_gate, event, heartbeat, ids, log, passing};

/// Begins a ramp on a gate that nobody passes yet, with the guardrail `signup`.
async fn begin_ramp(server: &Server, metric: Metric, steps: &[(f64, i64, i64)]) -> Launch {
    server.create_metric(metric).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = steps.iter().map(|(share, ms, units)| step(*share, *ms, *units)).collect();
    server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap()
}

fn signup() -> Metric {
    guardrail("signup", "visited_signup")
}

fn codes(answer: &CheckLaunchResponse) -> Vec<ReasonCode> {
    answer.reasons.iter().map(Reason::code).collect()
}

/// What the guard says after some further looks that nobody gave it a reason for.
async fn after_further_looks(server: &Server, wanted: ReasonCode) -> CheckLaunchResponse {
    let mut looks = std::collections::BTreeSet::new();
    eventually("the guard has looked several times", async || {
        let answer = server.check(&gate_target("new_checkout")).await;
        if codes(&answer).contains(&wanted) {
            looks.extend(answer.judge_time.as_ref().map(ms_of));
        }
        if looks.len() >= 5 { Ok(answer) } else { Err(format!("{} looks, {answer:?}", looks.len())) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harmless_ramp_takes_all_its_steps_and_ends_with_everyone() {
    let server = Server::start().await;
    let begun = begin_ramp(&server, signup(), &[(25.0, 100, 30), (50.0, 100, 30), (100.0, 100, 30)]).await;
    assert_eq!((begun.state(), begun.current_step), (LaunchState::Ramping, 0));

    let probes = ids("probe", 60);
    let mut before: Passes = probes.iter().map(|probe| (probe.clone(), false)).collect();
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
    crowd
        .come_until(&server, "the launch is completed", async |server| {
            let passes = check_gate(server, "new_checkout", &probes).await;
            let kept = before.iter().all(|(probe, let_in)| !let_in || passes[probe]);
            assert!(kept, "a step up moved somebody out");
            before = passes;
            match launch(server, &begun.id).await {
                launch if launch.state() == LaunchState::Completed => Ok(()),
                launch => Err(format!("{launch:?}")),
            }
        })
        .await;
    assert_eq!(
        passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).len(),
        crowd.visitors().len()
    );

    let ended = launch(&server, &begun.id).await;
    let epochs: Vec<f64> = ended.epochs.iter().map(|epoch| epoch.percentage).collect();
    assert_eq!(epochs, [25.0, 50.0, 100.0]);
    assert!(ended.epochs.iter().all(|epoch| epoch.end_time.is_some()));
    let actions: Vec<DecisionAction> = server
        .decisions(&begun.id)
        .await
        .iter()
        .map(Decision::action)
        .filter(|action| *action != DecisionAction::None)
        .collect();
    let expected =
        [DecisionAction::Start, DecisionAction::Advance, DecisionAction::Advance, DecisionAction::Complete];
    assert_eq!(actions, expected);
    assert_eq!(server.check(&gate_target("new_checkout")).await.decision(), DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_for_its_time_and_for_its_units() {
    for (ms, units) in [(3_600_000, 0), (0, 1_000_000)] {
        let server = Server::start().await;
        let begun = begin_ramp(&server, signup(), &[(50.0, ms, units), (100.0, 0, 0)]).await;
        let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
        crowd
            .come_until(&server, "the guard allows more", async |server| {
                match server.check(&gate_target("new_checkout")).await {
                    answer if answer.decision() == DecisionKind::Allow => Ok(()),
                    answer => Err(format!("{answer:?}")),
                }
            })
            .await;
        heartbeat(&server).await;
        let decisions = server.decisions(&begun.id).await;
        assert!(decisions.iter().all(|decision| decision.action() != DecisionAction::Advance));
        assert_eq!(launch(&server, &begun.id).await.current_step, 0);

        // A person may take the step all the same: that is a launch of its own.
        let raised = server.set_rollout(percentage("new_checkout", 75.0)).await.unwrap().launch.unwrap();
        assert_eq!(launch(&server, &begun.id).await.state(), LaunchState::Cancelled);
        assert_eq!((raised.id != begun.id, raised.state()), (true, LaunchState::Steady));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_without_events_is_held_and_serving_stays_as_it_is() {
    let server = Server::start().await;
    let begun = begin_ramp(&server, signup(), &[(50.0, 0, 0), (100.0, 0, 0)]).await;
    let visitors = ids("visitor", 300);
    let before = check_gate(&server, "new_checkout", &visitors).await;
    let answer = after_further_looks(&server, ReasonCode::NoData).await;
    assert_eq!((answer.decision(), codes(&answer)), (DecisionKind::Hold, vec![ReasonCode::NoData]));
    assert!(answer.verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Blind));
    assert_eq!(launch(&server, &begun.id).await.current_step, 0);
    assert_refused(server.set_rollout(percentage("new_checkout", 60.0)).await, "NoData");
    assert_eq!(check_gate(&server, "new_checkout", &visitors).await, before);

    // Events of others, and none of the guardrail's: that is no evidence either.
    log(&server, visitors.iter().map(|visitor| event(visitor, "something_else")).collect()).await;
    let target = gate_target("new_checkout");
    let answer = server
        .check_until(&target, "the visitors are counted", |answer| codes(answer) == [ReasonCode::BurnIn])
        .await;
    assert_eq!(answer.decision(), DecisionKind::Hold);
    assert_eq!(launch(&server, &begun.id).await.current_step, 0);
    server.set_rollout(percentage("new_checkout", 40.0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_is_held_once_events_stop_and_goes_on_when_they_come_again() {
    let server = Server::start().await;
    let fresh = Metric { freshness: Some(wire_duration(1_000)), ..signup() };
    let begun = begin_ramp(&server, fresh, &[(50.0, 3_600_000, 0), (100.0, 0, 0)]).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
    let target = gate_target("new_checkout");
    crowd
        .come_until(&server, "the guard allows", async |server| match server.check(&target).await {
            answer if answer.decision() == DecisionKind::Allow => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await;
    let before = check_gate(&server, "new_checkout", crowd.visitors()).await;

    let answer = after_further_looks(&server, ReasonCode::Stale).await;
    assert_eq!(answer.decision(), DecisionKind::Hold);
    assert_refused(server.set_rollout(percentage("new_checkout", 60.0)).await, "Stale");
    assert_eq!(check_gate(&server, "new_checkout", crowd.visitors()).await, before);
    let held = server.decisions(&begun.id).await.pop().unwrap();
    assert_eq!((held.kind(), held.reasons[0].code()), (DecisionKind::Hold, ReasonCode::Stale));

    server.check_until_allowed(&target).await;
    server.set_rollout(percentage("new_checkout", 60.0)).await.unwrap();
}

/// Who signed up in a launch that the guard warns of.
struct Warned {
    passes: Passes,
    treated: Vec<String>,
    untreated: Vec<String>,
    treated_signups: usize,
    untreated_signups: usize,
}

/// A launch with two guardrails, and evidence of harm between the hold level and the level of harm.
async fn warned(server: &Server) -> Warned {
    server.create_metric(signup()).await;
    server.create_metric(guardrail("pages", "page_viewed")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let visitors = ids("visitor", 400);
    let passes = check_gate(server, "new_checkout", &visitors).await;
    let (treated, untreated): (Vec<String>, Vec<String>) =
        visitors.iter().cloned().partition(|visitor| passes[visitor]);

    // Half of both arms view a page, a quarter of both sign up.
    let shares = [("page_viewed", 2), ("visited_signup", 4)];
    let each = |arm: &[String], (name, one_in): (&str, usize)| -> Vec<Event> {
        arm.iter().take(arm.len() / one_in).map(|visitor| event(visitor, name)).collect()
    };
    let mut events: Vec<Event> = shares.iter().flat_map(|share| each(&treated, *share)).collect();
    events.extend(shares.iter().flat_map(|share| each(&untreated, *share)));
    log(server, events).await;
    server.check_until_allowed(&gate_target("new_checkout")).await;

    // One more of the control signs up, and one more, until the evidence of harm is between both levels.
    let (mut control, treatment) = (untreated.len() / 4, treated.len() / 4);
    let answer =
        sign_up(server, &untreated, &mut control, &treated, treatment, |answer| answer.e_value >= 5.0).await;
    assert!(answer.e_value < 20.0, "{}", answer.e_value);
    assert_eq!(answer.decision(), DecisionKind::Hold);
    assert!(codes(&answer).contains(&ReasonCode::Warning), "{answer:?}");
    Warned { passes, treated, untreated, treated_signups: treatment, untreated_signups: control }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_is_refused_while_there_is_a_warning_and_allowed_once_it_is_gone() {
    let server = Server::start().await;
    let mut warned = warned(&server).await;
    assert_refused(server.set_rollout(percentage("new_checkout", 60.0)).await, "Warning");
    let visitors: Vec<String> = warned.passes.keys().cloned().collect();
    let now = check_gate(&server, "new_checkout", &visitors).await;
    assert_eq!(now, warned.passes, "a warning moves nobody");

    // It is left only below half of the level.
    let (treated, untreated) = (&warned.treated, &warned.untreated);
    let signups = &mut warned.treated_signups;
    let answer = sign_up(&server, treated, signups, untreated, warned.untreated_signups, |answer| {
        answer.decision() == DecisionKind::Allow
    })
    .await;
    assert!(answer.e_value < 2.5, "{}", answer.e_value);
    server.set_rollout(percentage("new_checkout", 60.0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_not_shaken_off_by_ending_the_launch() {
    let server = Server::start().await;
    warned(&server).await;
    assert_refused(update_gate(&server, |gate| gate.rules[0].id = "another".to_owned()).await, "Warning");
    server.set_rollout(percentage("new_checkout", 0.0)).await.unwrap();
    let answer = server.check(&gate_target("new_checkout")).await;
    assert_eq!(answer.decision(), DecisionKind::Block);
    assert_refused(server.set_rollout(percentage("new_checkout", 1.0)).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_by_hand_is_a_launch_of_its_own_with_the_guardrails_there_are_by_then() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 10.0)).await;
    // Nothing stands against a raise that no guardrail watches.
    let raised = server.set_rollout(percentage("new_checkout", 20.0)).await.unwrap().launch.unwrap();
    server.create_metric(signup()).await;
    let lowered = server.set_rollout(percentage("new_checkout", 15.0)).await.unwrap().launch.unwrap();
    assert!(lowered.id == raised.id && lowered.metrics.iter().all(|metric| !metric.guardrail));
    let watched = server.set_rollout(percentage("new_checkout", 30.0)).await.unwrap().launch.unwrap();
    assert_ne!(watched.id, raised.id);
    assert!(watched.metrics.iter().any(|metric| metric.key == "signup" && metric.guardrail));
    assert_eq!(launch(&server, &raised.id).await.state(), LaunchState::Cancelled);
    let target = gate_target("new_checkout");
    server.check_until(&target, "the guard has looked", |answer| answer.judge_time.is_some()).await;
    assert_refused(server.set_rollout(percentage("new_checkout", 40.0)).await, "NoData");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_by_hand_is_watched_although_everybody_has_come_before() {
    let server = Server::start().await;
    let views = Metric { kind: MetricKind::Count.into(), ..guardrail("views", "page_viewed") };
    server.create_metric(views).await;
    server.create_gate(gate("new_checkout", 20.0)).await;
    let visitors = ids("visitor", 1_500);
    come_until_allowed(&server, &visitors).await;
    let raised = server.set_rollout(percentage("new_checkout", 50.0)).await.unwrap().launch.unwrap();
    // What was judged of the share before says nothing of this one.
    assert!(server.set_rollout(percentage("new_checkout", 60.0)).await.is_err());
    come_until_rolled_back(&server, &visitors, &raised.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_in_front_takes_units_out_of_the_comparison_and_out_of_the_control() {
    let server = Server::start().await;
    let views = Metric { kind: MetricKind::Count.into(), ..guardrail("views", "page_viewed") };
    server.create_metric(views).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let visitors = ids("visitor", 400);
    come_until_allowed(&server, &visitors).await;
    update_gate(&server, |gate| gate.rules.insert(0, rule("all", 100.0, Vec::new()))).await.unwrap();
    let behind = Target { rule_id: "everyone".to_owned(), ..gate_target("new_checkout") };
    let settled = |answer: &CheckLaunchResponse| {
        answer.verdicts.first().map(|verdict| verdict.epochs[0].control_settled.unwrap().sum)
    };
    // Everything that was done in the first epoch must have been counted by then.
    let second = |answer: &CheckLaunchResponse| {
        let began = answer.launch.as_ref().and_then(|launch| launch.epochs.get(1)?.start_time.as_ref());
        let counted =
            answer.as_of.as_ref().zip(began).is_some_and(|(as_of, began)| ms_of(as_of) >= ms_of(began));
        counted && answer.verdicts.first().is_some_and(|it| it.epochs.len() == 2)
    };
    let before = settled(&server.check_until(&behind, "the new epoch is looked at", second).await);
    come_back(&server, &visitors, true).await;
    let looked = std::cell::Cell::new(0);
    let again = |_: &CheckLaunchResponse| looked.replace(looked.get() + 1) > 10;
    let after = settled(&server.check_until(&behind, "the guard has looked on", again).await);
    assert_eq!(before, after, "what the former control does now is no outcome of a control");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_share_again_is_no_new_epoch() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    for _ in 0..3 {
        let launch = server.set_rollout(percentage("new_checkout", 50.0)).await.unwrap().launch.unwrap();
        assert_eq!(launch.epochs.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_off_takes_no_step_and_begins_anew_once_it_is_on() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(50.0, 300, 0), step(100.0, 0, 0)];
    let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    update_gate(&server, |gate| gate.enabled = Some(false)).await.unwrap();
    assert_eq!(launch(&server, &begun.id).await.state(), LaunchState::Cancelled);
    let refused = server.set_rollout(percentage("new_checkout", 60.0)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    update_gate(&server, |gate| gate.enabled = Some(true)).await.unwrap();
    let answer = server.check(&gate_target("new_checkout")).await;
    let launch = answer.launch.unwrap();
    assert_ne!(launch.id, begun.id);
    assert_eq!((launch.state(), launch.epochs[0].percentage), (LaunchState::Steady, 50.0));
}

/// The same visitors come again and again. A share of each arm does it each time they come.
async fn come_back(server: &Server, visitors: &[String], treated_do_it: bool) {
    let passes = check_gate(server, "new_checkout", visitors).await;
    let does = |(number, (visitor, pass)): (usize, (&String, &bool))| {
        ((treated_do_it || !pass) && number % 2 == 0).then(|| event(visitor, "page_viewed"))
    };
    log(server, passes.iter().enumerate().filter_map(does).collect()).await;
}

/// The same visitors come, and nothing is wrong, until the guard allows more.
async fn come_until_allowed(server: &Server, visitors: &[String]) {
    eventually("the guard allows", async || {
        come_back(server, visitors, true).await;
        let answer = server.check(&gate_target("new_checkout")).await;
        if answer.decision() == DecisionKind::Allow { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

/// The same visitors come, and the treated do it no more, until the guard has turned the treatment off.
async fn come_until_rolled_back(server: &Server, visitors: &[String], id: &str) {
    eventually("the launch is rolled back", async || {
        come_back(server, visitors, false).await;
        let launch = launch(server, id).await;
        if launch.state() == LaunchState::RolledBack { Ok(()) } else { Err(format!("{launch:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_after_a_raise_is_seen_although_everybody_has_come_before() {
    let server = Server::start().await;
    let views = Metric { kind: MetricKind::Count.into(), ..guardrail("views", "page_viewed") };
    server.create_metric(views).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(20.0, 0, 150), step(50.0, 3_600_000, 0), step(100.0, 0, 0)];
    let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    let visitors = ids("visitor", 1_500);
    eventually("the second step is in force", async || {
        come_back(&server, &visitors, true).await;
        let launch = launch(&server, &begun.id).await;
        if launch.current_step == 1 { Ok(()) } else { Err(format!("{launch:?}")) }
    })
    .await;
    come_until_rolled_back(&server, &visitors, &begun.id).await;
    assert!(passing(&check_gate(&server, "new_checkout", &visitors).await).is_empty());
}

/// One after the other of an arm signs up, until the guard's answer on exactly these is as wanted.
async fn sign_up(
    server: &Server,
    arm: &[String],
    signed_up: &mut usize,
    other: &[String],
    other_signed_up: usize,
    wanted: impl Fn(&CheckLaunchResponse) -> bool,
) -> CheckLaunchResponse {
    loop {
        let visitor = arm.get(*signed_up).expect("before all of the arm have signed up");
        log(server, vec![event(visitor, "visited_signup")]).await;
        *signed_up += 1;
        let all = arm.len() + other.len();
        let counted = |answer: &CheckLaunchResponse| {
            let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == "signup");
            let epochs = verdict.map(|verdict| verdict.epochs.as_slice()).unwrap_or_default();
            let arms = epochs.iter().flat_map(|epoch| [epoch.control, epoch.treatment]).flatten();
            let (n, sum) = arms.fold((0, 0.0), |(n, sum), arm| (n + arm.n, sum + arm.sum));
            usize::try_from(n).unwrap() == all && sum >= (*signed_up + other_signed_up) as f64
        };
        let answer = server.check_until(&gate_target("new_checkout"), "all is counted", counted).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(answer.e_value < 20.0, "{}", answer.e_value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_are_listed_newest_first_in_pages() {
    let server = Server::start().await;
    for number in 0..5 {
        server.create_gate(gate(&format!("gate-{number}"), 50.0)).await;
    }
    server.set_rollout(percentage("gate-4", 0.0)).await.unwrap();
    let mut request = ListLaunchesRequest { page_size: 2, ..ListLaunchesRequest::default() };
    let mut keys = Vec::new();
    loop {
        let page = server.guard().list_launches(request.clone()).await.unwrap().into_inner();
        assert!(page.launches.len() <= 2);
        keys.extend(page.launches.into_iter().map(|launch| launch.target.unwrap().key));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(keys, ["gate-4", "gate-3", "gate-2", "gate-1", "gate-0"]);
    let live = ListLaunchesRequest { live_only: true, ..ListLaunchesRequest::default() };
    assert_eq!(server.guard().list_launches(live).await.unwrap().into_inner().launches.len(), 4);
    let target = Some(gate_target("gate-4"));
    let ended = ListLaunchesRequest { target, ..ListLaunchesRequest::default() };
    let ended = server.guard().list_launches(ended).await.unwrap().into_inner().launches;
    assert_eq!(ended.iter().map(Launch::state).collect::<Vec<_>>(), [LaunchState::Cancelled]);
}

/// How many launches each rule of a gate has had, and how many epochs its latest.
async fn launches_of(server: &Server, rule: &str) -> (usize, usize) {
    let target = Target { rule_id: rule.to_owned(), ..gate_target("new_checkout") };
    let request = ListLaunchesRequest { target: Some(target), ..ListLaunchesRequest::default() };
    let launches = server.guard().list_launches(request).await.unwrap().into_inner().launches;
    (launches.len(), launches.first().map_or(0, |launch| launch.epochs.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_may_let_more_units_in_is_a_launch_and_nothing_else_is() {
    let server = Server::start().await;
    let german = condition("country", ConditionOperator::Any, &["DE"]);
    let rules = vec![rule("german", 10.0, vec![german]), rule("everyone", 100.0, Vec::new())];
    server.create_gate(Gate { rules, ..gate("new_checkout", 0.0) }).await;
    let everyone = Target { rule_id: "everyone".to_owned(), ..gate_target("new_checkout") };
    let completed = |answer: &CheckLaunchResponse| {
        answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::Completed)
    };
    server.check_until(&everyone, "everyone passes, and the launch is completed", completed).await;
    let german = Target { rule_id: "german".to_owned(), ..everyone.clone() };
    server.check_until_allowed(&german).await;

    // A rule behind the others moves nobody.
    update_gate(&server, |gate| gate.rules.push(rule("rest", 50.0, Vec::new()))).await.unwrap();
    assert_eq!(
        (launches_of(&server, "german").await, launches_of(&server, "everyone").await),
        ((1, 1), (1, 1))
    );
    assert_eq!(launches_of(&server, "rest").await, (1, 1));

    // A gate that is switched off lets nobody in, and on again lets everyone in again.
    update_gate(&server, |gate| gate.enabled = Some(false)).await.unwrap();
    assert_eq!(
        (launches_of(&server, "german").await, launches_of(&server, "everyone").await),
        ((1, 1), (1, 1))
    );
    let live = ListLaunchesRequest { live_only: true, ..ListLaunchesRequest::default() };
    assert!(server.guard().list_launches(live).await.unwrap().into_inner().launches.is_empty());
    update_gate(&server, |gate| gate.enabled = Some(true)).await.unwrap();
    assert_eq!(
        (launches_of(&server, "german").await, launches_of(&server, "everyone").await),
        ((2, 1), (2, 1))
    );
    server.check_until_allowed(&german).await;

    // Without the rule before it, more units reach a rule.
    server.check_until(&everyone, "the second launch is completed as well", completed).await;
    server.check_until_allowed(&Target { rule_id: "rest".to_owned(), ..everyone.clone() }).await;
    update_gate(&server, |gate| drop(gate.rules.remove(0))).await.unwrap();
    assert_eq!(launches_of(&server, "everyone").await, (3, 1));
}
