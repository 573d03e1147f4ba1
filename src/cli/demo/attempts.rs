//! What people try while the guard stands against it, and how a latch is opened.

use prost_types::Timestamp;
use tonic::{Code, Status};

use super::checklist::Promise;
use super::watch::{SAMPLE, Story, cut};
use super::world::{BLIND, EXPERIMENT, HARMFUL, HARMFUL_GROUP, by_demo, set_rollout, to};
use crate::clock::Clock;
use crate::transport::grpc::wire::decide_experiment_request::Decision;
use crate::transport::grpc::wire::set_rollout_request::Rollout;
use crate::transport::grpc::wire::{
    DecideExperimentRequest, DecisionKind, GetExperimentDocumentRequest, ResolveLatchRequest,
};

/// What the raises ask for.
const RAISE: f64 = 50.0;
/// How long the latch stays open.
const OPEN_FOR_SECONDS: i64 = 3_600;

impl Story<'_> {
    /// Raises what was rolled back; the latch must refuse it.
    pub(super) async fn try_to_raise_harmful(&mut self) -> Result<(), Status> {
        let Some(refusal) = self.refused_raise(HARMFUL).await else {
            return Ok(());
        };
        let check = self.check(&self.world.harmful.clone()).await?;
        let refused = refusal.code() == Code::FailedPrecondition
            && check.decision() == DecisionKind::Block
            && check.latches.iter().any(|latch| latch.closed);
        self.checklist.note(Promise::RaiseRefused, refused);
        Ok(())
    }

    /// Opens the latch with a reason, as a person does who has mended the form.
    pub(super) async fn resolve(&mut self) -> Result<(), Status> {
        let check = self.check(&self.world.harmful.clone()).await?;
        let Some(closed) = check.latches.iter().find(|latch| latch.closed) else {
            return Ok(());
        };
        let reason = "the form asks for less now";
        let now = Clock::system().now();
        let request = ResolveLatchRequest {
            latch_id: closed.id.clone(),
            reason: reason.to_owned(),
            expire_time: Some(Timestamp { seconds: now.0.div_euclid(1_000) + OPEN_FOR_SECONDS, nanos: 0 }),
        };
        self.clients.guard.resolve_latch(by_demo(request)).await?;
        let check = self.check(&self.world.harmful.clone()).await?;
        self.checklist.note(Promise::LatchResolved, check.latches.iter().all(|latch| !latch.closed));
        self.timeline.line(&format!("{HARMFUL}: the latch is resolved for an hour: {reason}"));
        Ok(())
    }

    /// Raises what is held for lack of data; it must stay as it is, and be served.
    pub(super) async fn try_to_raise_blind(&mut self) -> Result<(), Status> {
        let Some(refusal) = self.refused_raise(BLIND).await else {
            return Ok(());
        };
        let on = self.count_served(BLIND).await?;
        self.checklist.note(Promise::BlindHeld, refusal.code() == Code::FailedPrecondition && on > 0);
        self.timeline.line(&format!("{BLIND}: {on} of {SAMPLE} visitors get it, as before"));
        Ok(())
    }

    /// Ships the group that was stopped; it must be refused.
    pub(super) async fn try_to_ship(&mut self) -> Result<(), Status> {
        let request = GetExperimentDocumentRequest { key: EXPERIMENT.to_owned() };
        let stored = self.clients.admin.get_experiment_document(request).await?.into_inner();
        let request = DecideExperimentRequest {
            key: EXPERIMENT.to_owned(),
            revision: stored.experiment.unwrap_or_default().revision,
            decision: Some(Decision::ShipGroup(HARMFUL_GROUP.to_owned())),
        };
        let Err(refusal) = self.clients.admin.decide_experiment(by_demo(request)).await else {
            self.timeline.line(&format!("{EXPERIMENT}: {HARMFUL_GROUP} was shipped, which it must not be"));
            return Ok(());
        };
        self.checklist.note(Promise::ShipRefused, refusal.code() == Code::FailedPrecondition);
        let said = cut(refusal.message());
        self.timeline.line(&format!("{EXPERIMENT}: shipping {HARMFUL_GROUP} is refused: {said}"));
        Ok(())
    }

    /// What a raise was refused with; none where it went through.
    async fn refused_raise(&mut self, gate: &str) -> Option<Status> {
        let raised = set_rollout(self.clients, to(gate, Rollout::Percentage(RAISE))).await;
        let Err(refusal) = raised else {
            self.timeline.line(&format!("{gate}: a raise to {RAISE} % went through, which it must not"));
            return None;
        };
        self.timeline.line(&format!("{gate}: a raise to {RAISE} % is refused: {}", cut(refusal.message())));
        Some(refusal)
    }
}
