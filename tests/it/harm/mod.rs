//! Injected harm: launches with visitors, and what these are served once something is wrong.

mod experiments;
mod gates;
mod harmless;
mod recovery;
mod waiting;

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, Decision, DecisionAction, DecisionKind, Event, Launch, LaunchState, Metric,
    MetricDirection, Target, TargetKind, Verdict,
};

use crate::documents::guardrail;
use crate::server::{Server, TestClock, ms_of, wire_time};
use crate::visitors::{check_gate, event, groups, ids, log};

/// Which share of an arm does what, by the name of the event.
pub(crate) type Habits<'h> = &'h [(&'h str, fn(&str) -> f64)];

/// Most visitors until harm must have been seen.
const MOST: usize = 6_000;

/// One launch, its visitors, and the time, which goes on only with them.
pub(crate) struct Scene {
    pub(crate) server: Server,
    clock: TestClock,
    target: Target,
    waves: usize,
    /// How many came in an arm who may do something.
    came: BTreeMap<(String, String), usize>,
    /// All visitors with the arm in which they came.
    visitors: BTreeMap<String, String>,
}

impl Scene {
    pub(crate) async fn new(target: Target) -> Self {
        let clock = TestClock::new();
        let server = Server::start_with(&clock).await;
        let (came, visitors) = Default::default();
        Self { server, clock, target, waves: 0, came, visitors }
    }

    /// The arm in which each visitor is served now: of a gate `treatment` for whom it lets pass.
    async fn serve(&self, visitors: &[String]) -> BTreeMap<String, String> {
        if self.target.kind() != TargetKind::GateRule {
            return groups(&self.server, &self.target.key, visitors).await;
        }
        let passes = check_gate(&self.server, &self.target.key, visitors).await;
        let arm = |pass| if pass { "treatment" } else { "control" };
        passes.into_iter().map(|(visitor, pass)| (visitor, arm(pass).to_owned())).collect()
    }

    /// New visitors come at one moment; gives what they do then and does not send it yet, each with its arm.
    async fn visit(&mut self, count: usize, habits: Habits<'_>) -> Vec<(String, Event)> {
        self.waves += 1;
        let new = ids(&format!("wave-{}", self.waves), count);
        let arms = self.serve(&new).await;
        let mut done = Vec::new();
        for (visitor, arm) in &arms {
            for (name, share) in habits {
                let (came, share) =
                    (self.came.entry((arm.clone(), (*name).to_owned())).or_default(), share(arm));
                *came += 1;
                // Evenly: the share of all who came so far.
                let does = (*came as f64 * share).floor() > ((*came - 1) as f64 * share).floor();
                done.extend(does.then(|| (arm.clone(), self.now(visitor, name))));
            }
        }
        self.visitors.extend(arms);
        done
    }

    /// Something that a visitor does now, of a value.
    fn now(&self, visitor: &str, name: &str) -> Event {
        let time = Some(wire_time(self.clock.now_ms()));
        Event { time, value: Some(10.0), ..event(visitor, name) }
    }

    /// Sends events and lets the time go on; gives what the guard says when it has judged all of them.
    async fn send(&self, events: Vec<Event>) -> CheckLaunchResponse {
        log(&self.server, events).await;
        self.clock.advance(Duration::from_secs(1));
        let now = self.clock.now_ms();
        // Where it says that it rolls back, it is about to.
        let judged = |answer: &CheckLaunchResponse| {
            let covered = answer.as_of.as_ref().is_some_and(|as_of| ms_of(as_of) >= now);
            has_ended(answer) || (covered && answer.decision() != DecisionKind::RollBack)
        };
        self.server.check_until(&self.target, "the guard has judged all that came in", judged).await
    }

    /// New visitors come and do what they do, a second after the others.
    async fn come(&mut self, count: usize, habits: Habits<'_>) -> CheckLaunchResponse {
        self.clock.advance(Duration::from_secs(1));
        let done = self.visit(count, habits).await;
        self.send(done.into_iter().map(|(_, event)| event).collect()).await
    }

    /// New visitors come in waves until the launch has ended or has an arm less; gives how many it took.
    pub(crate) async fn come_until_harm_is_seen(&mut self, wave: usize, habits: Habits<'_>) -> usize {
        let before = self.visitors.len();
        loop {
            let answer = self.come(wave, habits).await;
            let came = self.visitors.len() - before;
            if has_ended(&answer) || !answer.latches.is_empty() {
                return came;
            }
            assert!(came < MOST, "harm was not seen on {came} visitors: {answer:#?}");
        }
    }

    /// All visitors who came in an arm.
    fn of_arm(&self, wanted: &str) -> Vec<String> {
        let of_arm = self.visitors.iter().filter(|(_, arm)| *arm == wanted);
        of_arm.map(|(visitor, _)| visitor.clone()).collect()
    }

    async fn launch(&self) -> Launch {
        self.server.check(&self.target).await.launch.expect("the launch")
    }

    /// Nobody gets the treatment any more, neither who had it nor who comes now; and it is on record that the guard did it,
    /// and for which metrics. Gives that record.
    pub(crate) async fn assert_turned_off(&self, metrics: &[&str]) -> Decision {
        let answer = self.server.check(&self.target).await;
        assert_eq!(answer.launch.as_ref().expect("the launch").state(), LaunchState::RolledBack);
        assert_eq!(answer.decision(), DecisionKind::Block);
        let visitors: Vec<String> = self.visitors.keys().cloned().chain(ids("later", 100)).collect();
        let served = self.serve(&visitors).await;
        assert!(served.values().all(|arm| arm != "treatment"), "somebody gets the treatment");
        assert!(!self.of_arm("treatment").is_empty(), "nobody ever got it");

        let latch = &answer.latches[0];
        assert!(latch.closed && metrics.iter().all(|metric| latch.cause.contains(metric)), "{latch:?}");
        let decisions = self.server.decisions(&answer.launch.expect("the launch").id).await;
        let of_guard = |decision: &&Decision| decision.action() == DecisionAction::RollBack;
        let decision = decisions.into_iter().rfind(|decision| of_guard(&decision)).expect("it is on record");
        assert_eq!((decision.kind(), decision.actor.as_str()), (DecisionKind::RollBack, "guard"));
        for metric in metrics {
            let mut verdicts = decision.verdicts.iter().filter(|verdict| verdict.metric == *metric);
            assert!(verdicts.any(|verdict| verdict.verdict() == Verdict::Harm), "{metric}: {decision:?}");
        }
        decision
    }

    /// The launch goes on, and everybody is served as before; the guard never acted.
    async fn assert_untouched(&self) {
        let launch = self.launch().await;
        assert!(matches!(launch.state(), LaunchState::Steady | LaunchState::Ramping), "{launch:?}");
        let visitors: Vec<String> = self.visitors.keys().cloned().collect();
        assert_eq!(self.serve(&visitors).await, self.visitors, "somebody was moved");
        let decisions = self.server.decisions(&launch.id).await;
        let protects = |decision: &Decision| {
            matches!(decision.action(), DecisionAction::RollBack | DecisionAction::StopArm)
        };
        assert!(!decisions.iter().any(protects), "{decisions:?}");
    }
}

fn has_ended(answer: &CheckLaunchResponse) -> bool {
    answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::RolledBack)
}

/// The share of units that sign up, which must not fall.
fn signup() -> Metric {
    guardrail("signup", "visited_signup")
}

/// The share of units that see an error, which must not rise.
fn errors() -> Metric {
    Metric { direction: MetricDirection::LowerIsBetter.into(), ..guardrail("errors", "error_shown") }
}

/// Half of every arm sign up.
const HARMLESS: Habits<'_> = &[("visited_signup", |_| 0.5)];

/// Half sign up; in the treatment a fifth do.
pub(crate) const HARMFUL: Habits<'_> =
    &[("visited_signup", |arm| if arm == "treatment" { 0.2 } else { 0.5 })];
