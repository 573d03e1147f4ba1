//! Watches what becomes of the launches, and ticks off what the demo promises.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::checklist::{Checklist, Promise};
use super::clients::Clients;
use super::timeline::Timeline;
use super::visitors::Visitors;
use super::world::{BLIND, EXPERIMENT, GROUPS, HARMFUL, HARMFUL_GROUP, HARMLESS, World};
use crate::transport::grpc::wire::check_launch_request::Subject;
use crate::transport::grpc::wire::{
    CheckGateRequest, CheckLaunchRequest, CheckLaunchResponse, Decision, DecisionAction, EvaluationReason,
    GetExperimentRequest, LaunchState, User, WatchDecisionsRequest, WatchDecisionsResponse,
};

/// Time between two reports on how things stand.
const REPORT: Duration = Duration::from_secs(1);
/// Visitors that are asked for, to see what everyone is served.
pub(super) const SAMPLE: u64 = 200;
/// After so many visitors what has no data cannot be told to have had too little time.
const MANY: u64 = 1_000;
/// Steps after the first one that the harmless ramp takes.
const ADVANCES: usize = 3;

/// Follows the decisions until everything is observed.
pub(super) async fn watch(
    clients: &mut Clients,
    world: &World,
    visitors: &Visitors,
    timeline: &Timeline,
    checklist: &mut Checklist,
) -> Result<(), String> {
    let watch = WatchDecisionsRequest { after_cursor: Some(0), ..WatchDecisionsRequest::default() };
    let stream = clients.guard.watch_decisions(watch).await.map_err(|status| in_words(&status))?.into_inner();
    let mut story = Story { clients, world, visitors, timeline, checklist, advances: 0 };
    story.follow(stream).await.map_err(|status| in_words(&status))
}

/// What is told, and by what it is told.
pub(super) struct Story<'d> {
    pub(super) clients: &'d mut Clients,
    pub(super) world: &'d World,
    visitors: &'d Visitors,
    pub(super) timeline: &'d Timeline,
    pub(super) checklist: &'d mut Checklist,
    advances: usize,
}

impl Story<'_> {
    async fn follow(&mut self, mut stream: Streaming<WatchDecisionsResponse>) -> Result<(), Status> {
        let mut report_at = Instant::now() + REPORT;
        while !self.checklist.missing().is_empty() {
            tokio::select! {
                message = stream.message() => match message? {
                    Some(WatchDecisionsResponse { decision: Some(decision), .. }) => self.hear(&decision).await?,
                    Some(_) => {}
                    None => return Err(Status::unavailable("the stream of decisions ended")),
                },
                () = tokio::time::sleep_until(report_at) => {
                    self.report().await?;
                    report_at = Instant::now() + REPORT;
                }
            }
            self.timeline.observed(self.checklist.observed() as u64);
        }
        Ok(())
    }

    /// A decision came in over the stream.
    async fn hear(&mut self, decision: &Decision) -> Result<(), Status> {
        let name = self.name(&decision.launch_id);
        match decision.action() {
            DecisionAction::Advance => {
                self.advances += usize::from(decision.launch_id == self.world.harmless);
                self.timeline.line(&format!(
                    "{name}: next step, {} %; e-value {:.2}",
                    decision.percentage, decision.e_value
                ));
            }
            DecisionAction::Complete => {
                self.timeline.line(&format!("{name}: the ramp is complete; e-value {:.2}", decision.e_value));
                self.see_completed(decision).await?;
            }
            DecisionAction::RollBack => {
                self.timeline.line(&format!(
                    "{name}: ROLLED BACK to {} %; e-value {:.1} reached {:.0}",
                    decision.percentage,
                    decision.e_value,
                    1.0 / decision.alpha
                ));
                self.timeline.line(&format!("    why: {}", first_reason(&decision.reasons)));
                if decision.launch_id != self.world.harmful {
                    return Err(false_alarm());
                }
                self.see_rolled_back().await?;
            }
            DecisionAction::StopArm => {
                self.timeline.line(&format!(
                    "{name}: group {} STOPPED; e-value {:.1}",
                    decision.arm, decision.e_value
                ));
                if decision.arm != HARMFUL_GROUP {
                    return Err(false_alarm());
                }
                self.see_arm_stopped().await?;
            }
            DecisionAction::None => {
                let said = decision.kind().as_str_name().trim_start_matches("DECISION_KIND_").to_lowercase();
                self.timeline.line(&format!("{name}: {said}: {}", first_reason(&decision.reasons)));
            }
            _ => {}
        }
        Ok(())
    }

    /// The harmless ramp is at its end: everyone must get the feature.
    async fn see_completed(&mut self, decision: &Decision) -> Result<(), Status> {
        if decision.launch_id != self.world.harmless {
            return Ok(());
        }
        let whole = self.advances == ADVANCES && decision.percentage >= 100.0;
        self.checklist.note(Promise::RampCompleted, whole);
        let on = self.count_served(HARMLESS).await?;
        self.checklist.note(Promise::FeatureOn, on == SAMPLE);
        self.timeline.line(&format!("{HARMLESS}: {on} of {SAMPLE} visitors get it"));
        Ok(())
    }

    /// The harmful launch is off: nobody may get the feature, and the latch must refuse to raise it again.
    async fn see_rolled_back(&mut self) -> Result<(), Status> {
        self.checklist.note(Promise::RolledBack, true);
        let on = self.count_served(HARMFUL).await?;
        self.checklist.note(Promise::FeatureOff, on == 0);
        self.timeline.line(&format!("{HARMFUL}: {on} of {SAMPLE} visitors get it"));
        if let Some(harmed) = self.visitors.harmed().await {
            let seconds = harmed.last.duration_since(harmed.first).as_secs_f64();
            self.timeline.line(&format!(
                "{HARMFUL}: {seconds:.1} s from the first visitor harmed to off; {} visitors got it",
                harmed.count
            ));
        }
        self.try_to_raise_harmful().await?;
        self.resolve().await
    }

    /// The harmful group is off: the experiment must go on with the others, and the group must not be shipped.
    async fn see_arm_stopped(&mut self) -> Result<(), Status> {
        self.checklist.note(Promise::ArmStopped, true);
        let check = self.check(&self.world.experiment.clone()).await?;
        let mut groups = BTreeSet::new();
        for number in 0..SAMPLE {
            let request = GetExperimentRequest {
                user: Some(sample_user(number)),
                experiment: EXPERIMENT.to_owned(),
                disable_exposure: true,
                ..GetExperimentRequest::default()
            };
            let answer = self.clients.evaluation.get_experiment(request).await?.into_inner();
            if answer.reason() == EvaluationReason::Rule {
                groups.insert(answer.group);
            }
        }
        let running = check.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::Steady);
        let others = groups.len() == GROUPS.len() - 1 && !groups.contains(HARMFUL_GROUP);
        self.checklist.note(Promise::ExperimentGoesOn, running && others);
        self.timeline.line(&format!(
            "{EXPERIMENT}: running: {running}, groups served: {}",
            groups.into_iter().collect::<Vec<_>>().join(", ")
        ));
        self.try_to_ship().await
    }

    /// How many of a sample of visitors get a feature.
    pub(super) async fn count_served(&mut self, gate: &str) -> Result<u64, Status> {
        let mut served = 0;
        for number in 0..SAMPLE {
            let request = CheckGateRequest {
                user: Some(sample_user(number)),
                gate: gate.to_owned(),
                disable_exposure: true,
            };
            let answer = self.clients.evaluation.check_gate(request).await?.into_inner();
            served += u64::from(answer.pass);
        }
        Ok(served)
    }

    /// How all launches stand.
    async fn report(&mut self) -> Result<(), Status> {
        let launches = [&self.world.harmless, &self.world.harmful, &self.world.blind, &self.world.experiment];
        let mut parts = vec![format!("{} visitors", self.visitors.count())];
        if self.visitors.failures() > 0 {
            parts.push(format!("{} calls failed", self.visitors.failures()));
        }
        for id in launches {
            let check = self.check(id).await?;
            if let Some(part) = self.standing(id, &check) {
                parts.push(part);
            }
        }
        self.timeline.status(&parts.join(" | "));
        if self.visitors.count() >= MANY && !self.checklist.has(Promise::BlindHeld) {
            self.try_to_raise_blind().await?;
        }
        Ok(())
    }

    /// One launch in a few words: e-value, and units of the arms in the present epoch.
    fn standing(&self, id: &str, check: &CheckLaunchResponse) -> Option<String> {
        let launch = check.launch.as_ref()?;
        if !matches!(launch.state(), LaunchState::Ramping | LaunchState::Steady) {
            return None;
        }
        let epoch = launch.epochs.last()?.number;
        let units: Vec<String> = arm_units(check, epoch).iter().map(ToString::to_string).collect();
        let units = if units.is_empty() { "none yet".to_owned() } else { units.join("/") };
        Some(format!("{}: e {:.2}, units {units}", self.name(id), check.e_value))
    }

    fn name(&self, launch_id: &str) -> &'static str {
        if launch_id == self.world.harmless {
            HARMLESS
        } else if launch_id == self.world.harmful {
            HARMFUL
        } else if launch_id == self.world.blind {
            BLIND
        } else {
            EXPERIMENT
        }
    }

    pub(super) async fn check(&mut self, launch_id: &str) -> Result<CheckLaunchResponse, Status> {
        let request = CheckLaunchRequest { subject: Some(Subject::LaunchId(launch_id.to_owned())) };
        Ok(self.clients.guard.check_launch(request).await?.into_inner())
    }
}

/// Units of the control and of each treatment in one epoch, by the first metric.
fn arm_units(check: &CheckLaunchResponse, epoch: i32) -> Vec<i64> {
    let Some(first) = check.verdicts.first() else {
        return Vec::new();
    };
    let of_metric = check.verdicts.iter().filter(|verdict| verdict.metric == first.metric);
    let moments: Vec<_> = of_metric
        .filter_map(|verdict| verdict.epochs.iter().find(|moments| moments.epoch == epoch))
        .collect();
    let control = moments.first().and_then(|moments| moments.control).map(|control| control.n);
    let treatments = moments.iter().filter_map(|moments| moments.treatment).map(|treatment| treatment.n);
    control.into_iter().chain(treatments).collect()
}

/// Of the harmless launches a few are stopped by chance; then there is no more to show.
fn false_alarm() -> Status {
    Status::aborted("a false alarm, as up to 5 % of harmless launches have one; try another --seed")
}

fn sample_user(number: u64) -> User {
    User { user_id: format!("sample-{number}"), ..User::default() }
}

fn first_reason(reasons: &[crate::transport::grpc::wire::Reason]) -> &str {
    reasons.first().map_or("", |reason| cut(&reason.message))
}

/// The first part of a long message.
pub(super) fn cut(message: &str) -> &str {
    message.split(';').next().unwrap_or(message)
}

fn in_words(status: &Status) -> String {
    format!("{}: {}", status.code(), status.message())
}
