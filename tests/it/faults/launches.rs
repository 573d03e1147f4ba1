//! Five launches of one server, each in another state, with visitors of their own; time goes on only with these.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    CheckGateRequest, CheckLaunchResponse, DecideExperimentRequest, DecisionAction, DecisionKind, Event,
    GetExperimentRequest, Holdback, Metric, Policy, Reason, ReasonCode, Target, TargetKind, Verdict,
};

use crate::documents::{gate, halves, ramp, step};
use crate::overriding::override_launch;
use crate::policies::policy;
use crate::ramps::{approval, pause};
use crate::server::{Server, TestClock, eventually, gate_target, ms_of, wire_duration, wire_time};
use crate::visitors::{check_gate, event, groups, heartbeat, ids, log, user};

const HOUR_MS: i64 = 3_600_000;

/// The states, which are the keys of the gates and of the experiment as well.
pub(super) const STATES: [&str; 5] = ["ramping", "paused", "at_100", "awaiting_approval", "shipped"];

/// What the guard says of a launch: the guardrail's verdict, the decision, and the reasons' codes.
pub(super) type Said = (Verdict, DecisionKind, Vec<ReasonCode>);

pub(super) struct Launches {
    pub(super) server: Server,
    pub(super) clock: TestClock,
    /// Who came, by state, with the arm in which they were served.
    pub(super) served: BTreeMap<&'static str, BTreeMap<String, String>>,
    came: BTreeMap<(&'static str, String), usize>,
    waves: usize,
    /// How many steps the guard had taken when all were in their states.
    steps_taken: usize,
}

/// A target by the state that its launch is in.
pub(super) fn target(state: &str) -> Target {
    match state {
        "shipped" => Target { kind: TargetKind::Shipment.into(), key: state.to_owned(), ..Target::default() },
        _ => gate_target(state),
    }
}

impl Launches {
    /// All in their states, and judged to be well.
    pub(super) async fn begin(guardrail: Metric) -> Self {
        Self::begin_with(vec![guardrail]).await
    }

    /// All in their states, where that takes it by an override that has run out since.
    pub(super) async fn begin_with(guardrails: Vec<Metric>) -> Self {
        let clock = TestClock::new();
        let server = Server::start_with(&clock).await;
        let is_alone = guardrails.len() == 1;
        for guardrail in guardrails {
            server.create_metric(guardrail).await;
        }
        let long = || step(50.0, 72 * HOUR_MS, 0);
        for (state, first, last) in [
            ("ramping", long(), step(100.0, 0, 0)),
            ("paused", long(), step(100.0, 0, 0)),
            ("at_100", step(50.0, 0, 50), step(100.0, 72 * HOUR_MS, 0)),
            ("awaiting_approval", approval(50.0), step(100.0, 0, 0)),
        ] {
            server.create_gate(gate(state, 0.0)).await;
            let begun = server.set_rollout(ramp(state, vec![first, last])).await.unwrap().launch.unwrap();
            if state == "paused" {
                pause(&server, &begun.id).await.unwrap();
            }
            if state == "at_100" && !is_alone {
                override_launch(&server, &begun.id, clock.now_ms() + HOUR_MS).await.unwrap();
            }
        }
        let holdback = Holdback { percentage: 50.0, duration: Some(wire_duration(72 * HOUR_MS)) };
        server.create_policy(Policy { holdback: Some(holdback), ..policy() }).await.unwrap();
        let (running, begun) = server.run_experiment(halves("shipped", "red")).await;
        override_launch(&server, &begun.id, clock.now_ms() + HOUR_MS).await.unwrap();
        let decision = Some(Outcome::ShipGroup("treatment".to_owned()));
        let request = DecideExperimentRequest { key: running.key, revision: running.revision, decision };
        server.admin().decide_experiment(request).await.unwrap();

        let (served, came) = Default::default();
        let mut launches = Self { server, clock, served, came, waves: 0, steps_taken: 0 };
        let events = launches.visit(140).await;
        launches.send(events).await;
        eventually("everyone has what is at 100 %", async || {
            heartbeat(&launches.server).await;
            let launch = launches.check("at_100").await.launch.expect("the launch");
            if launch.current_step == 1 { Ok(()) } else { Err(format!("{launch:?}")) }
        })
        .await;
        if !is_alone {
            launches.clock.advance(Duration::from_hours(1));
        }
        let events = launches.visit(40).await;
        launches.send(events).await;
        launches.steps_taken = launches.steps_taken().await;
        launches
    }

    /// How many steps the guard has taken, in all states.
    async fn steps_taken(&self) -> usize {
        let decisions = self.server.decisions("").await;
        decisions.iter().filter(|decision| decision.action() == DecisionAction::Advance).count()
    }

    pub(super) async fn check(&self, state: &str) -> CheckLaunchResponse {
        self.server.check(&target(state)).await
    }

    /// What is said of all of them now.
    pub(super) async fn said(&self) -> BTreeMap<&'static str, Said> {
        let mut said = BTreeMap::new();
        for state in STATES {
            let answer = self.check(state).await;
            let verdicts = answer.verdicts.iter().filter(|verdict| verdict.guardrail);
            let verdict = verdicts.map(portcullis::transport::grpc::wire::MetricVerdict::verdict).next();
            let codes = answer.reasons.iter().map(Reason::code).collect();
            said.insert(state, (verdict.unwrap_or_default(), answer.decision(), codes));
        }
        said
    }

    /// The arm in which each visitor of a state is served now.
    pub(super) async fn serve(&self, state: &str, visitors: &[String]) -> BTreeMap<String, String> {
        if state == "shipped" {
            return groups(&self.server, state, visitors).await;
        }
        let passes = check_gate(&self.server, state, visitors).await;
        passes.into_iter().map(|(visitor, pass)| (visitor, arm(pass))).collect()
    }

    /// The same without a record of it.
    pub(super) async fn peek(&self, state: &str, visitors: Vec<String>) -> BTreeMap<String, String> {
        let mut client = self.server.evaluation();
        let mut arms = BTreeMap::new();
        for visitor in visitors {
            let (user, disable_exposure) = (Some(user(&visitor)), true);
            let served = if state == "shipped" {
                let experiment = state.to_owned();
                let request = GetExperimentRequest {
                    user,
                    experiment,
                    disable_exposure,
                    ..GetExperimentRequest::default()
                };
                client.get_experiment(request).await.unwrap().into_inner().group
            } else {
                let request = CheckGateRequest { user, gate: state.to_owned(), disable_exposure };
                arm(client.check_gate(request).await.unwrap().into_inner().pass)
            };
            arms.insert(visitor, served);
        }
        arms
    }

    /// As many new visitors come to each at one moment; gives that half of each arm sign up, and does not send it yet.
    pub(super) async fn visit(&mut self, count: usize) -> Vec<Event> {
        self.clock.advance(Duration::from_secs(1));
        self.waves += 1;
        let mut done = Vec::new();
        for state in STATES {
            let new = ids(&format!("{state}-{}", self.waves), count);
            let arms = self.serve(state, &new).await;
            for (visitor, arm) in &arms {
                let came = self.came.entry((state, arm.clone())).or_default();
                *came += 1;
                done.extend(came.is_multiple_of(2).then(|| self.now(visitor)));
            }
            self.served.entry(state).or_default().extend(arms);
        }
        done
    }

    /// A signup of a visitor now.
    pub(super) fn now(&self, visitor: &str) -> Event {
        let time = Some(wire_time(self.clock.now_ms()));
        Event { time, ..event(visitor, "visited_signup") }
    }

    /// Sends events and lets the time go on until all of them have been judged.
    pub(super) async fn send(&self, events: Vec<Event>) {
        log(&self.server, events).await;
        self.clock.advance(Duration::from_secs(1));
        self.judged().await;
    }

    /// Waits until everything up to now has been judged.
    pub(super) async fn judged(&self) {
        let now = self.clock.now_ms();
        for state in STATES {
            let judged =
                |answer: &CheckLaunchResponse| answer.as_of.as_ref().is_some_and(|as_of| ms_of(as_of) >= now);
            self.server.check_until(&target(state), "the guard has judged all that came in", judged).await;
        }
    }

    /// How many units were counted in a state, and how many of them signed up.
    pub(super) async fn counted(&self, state: &str) -> (i64, i64) {
        let answer = self.check(state).await;
        let epochs = answer.verdicts.iter().filter(|verdict| verdict.guardrail).flat_map(|it| &it.epochs);
        let arms = epochs.flat_map(|epoch| [epoch.control, epoch.treatment]).flatten();
        arms.fold((0, 0), |(n, nonzero), arm| (n + arm.n, nonzero + arm.nonzero))
    }

    /// Everybody of a sample is served as before, and the guard neither acted nor took a step.
    pub(super) async fn assert_untouched(&self) {
        for (state, served) in &self.served {
            let visitors: Vec<String> = served.keys().step_by(4).cloned().collect();
            let now = self.serve(state, &visitors).await;
            // Whoever came before a planned step got the treatment with it.
            let same = |visitor: &String| {
                now[visitor] == served[visitor] || (*state == "at_100" && now[visitor] == "treatment")
            };
            assert!(visitors.iter().all(same), "somebody was moved while {state}");
            let launch = self.check(state).await.launch.expect("the launch");
            for decision in self.server.decisions(&launch.id).await {
                let protects = [DecisionAction::RollBack, DecisionAction::StopArm, DecisionAction::Complete];
                assert!(!protects.contains(&decision.action()), "{state}: {decision:?}");
            }
        }
        assert_eq!(self.steps_taken().await, self.steps_taken, "a step was taken");
    }
}

fn arm(pass: bool) -> String {
    if pass { "treatment" } else { "control" }.to_owned()
}
