//! The guard's answers: launches, checks, latches and the stream of decisions.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::administration::{PRINCIPAL, named_principal};
use super::convert::{page_size, required, timestamp};
use super::wire::guard_service_server::GuardService;
use super::{records, wire};
use crate::admin::{Admin, DecisionQuery, LaunchQuery, Subject};
use crate::clock::Clock;
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::{LaunchId, Target};
use crate::error::{Error, Result};

/// Decisions that are read, and may wait for a slow watcher, at a time.
const WATCH_BATCH: usize = 100;

/// The guard service.
#[derive(Debug)]
pub(super) struct Guarding {
    pub(super) admin: Admin,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

type Answer<T> = std::result::Result<Response<T>, Status>;

#[tonic::async_trait]
impl GuardService for Guarding {
    async fn get_launch(&self, request: Request<wire::GetLaunchRequest>) -> Answer<wire::GetLaunchResponse> {
        let id = launch_id("id", &request.into_inner().id)?;
        let launch = self.admin.launch(id).await?;
        Ok(Response::new(wire::GetLaunchResponse { launch: Some(records::launch(&launch)) }))
    }

    async fn list_launches(
        &self,
        request: Request<wire::ListLaunchesRequest>,
    ) -> Answer<wire::ListLaunchesResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let token = request.page_token;
        let before = if token.is_empty() { None } else { Some(launch_id("page_token", &token)?) };
        let target = request.target.map(|target| self.target("target", target)).transpose()?;
        let query = LaunchQuery {
            target,
            live_only: request.live_only,
            before,
            limit: i64::try_from(size).unwrap_or(i64::MAX),
        };
        let page = self.admin.launches(query).await?;
        Ok(Response::new(wire::ListLaunchesResponse {
            launches: page.entries.iter().map(records::launch).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn check_launch(
        &self,
        request: Request<wire::CheckLaunchRequest>,
    ) -> Answer<wire::CheckLaunchResponse> {
        let subject = match request.into_inner().subject {
            Some(wire::check_launch_request::Subject::LaunchId(id)) => {
                Subject::Launch(launch_id("launch_id", &id)?)
            }
            Some(wire::check_launch_request::Subject::Target(target)) => {
                Subject::Target(self.target("target", target)?)
            }
            None => return Err(Error::field("subject", "one of launch_id and target is required").into()),
        };
        let answer = self.admin.check(subject).await?;
        Ok(Response::new(records::answer(&answer)))
    }

    async fn resolve_latch(
        &self,
        request: Request<wire::ResolveLatchRequest>,
    ) -> Answer<wire::ResolveLatchResponse> {
        let actor = named_principal(request.metadata())?;
        let actor = required(PRINCIPAL, actor)?;
        let request = request.into_inner();
        let id = crate::admin::parse_id("latch_id", &request.latch_id)?;
        let expire_time = required("expire_time", request.expire_time)?;
        let expires_at = timestamp("expire_time", &expire_time)?;
        let latch = self.admin.resolve_latch(&actor, id, &request.reason, expires_at).await?;
        let latch = Some(records::latch(&latch, self.clock.now()));
        Ok(Response::new(wire::ResolveLatchResponse { latch }))
    }

    async fn pause_launch(
        &self,
        request: Request<wire::PauseLaunchRequest>,
    ) -> Answer<wire::PauseLaunchResponse> {
        let actor = required(PRINCIPAL, named_principal(request.metadata())?)?;
        let request = request.into_inner();
        let id = launch_id("launch_id", &request.launch_id)?;
        let launch = Some(records::launch(&self.admin.pause_launch(&actor, id, &request.reason).await?));
        Ok(Response::new(wire::PauseLaunchResponse { launch }))
    }

    async fn resume_launch(
        &self,
        request: Request<wire::ResumeLaunchRequest>,
    ) -> Answer<wire::ResumeLaunchResponse> {
        let actor = required(PRINCIPAL, named_principal(request.metadata())?)?;
        let request = request.into_inner();
        let id = launch_id("launch_id", &request.launch_id)?;
        let launch = Some(records::launch(&self.admin.resume_launch(&actor, id, &request.reason).await?));
        Ok(Response::new(wire::ResumeLaunchResponse { launch }))
    }

    async fn cancel_launch(
        &self,
        request: Request<wire::CancelLaunchRequest>,
    ) -> Answer<wire::CancelLaunchResponse> {
        let actor = required(PRINCIPAL, named_principal(request.metadata())?)?;
        let request = request.into_inner();
        let id = launch_id("launch_id", &request.launch_id)?;
        let launch = Some(records::launch(&self.admin.cancel_launch(&actor, id, &request.reason).await?));
        Ok(Response::new(wire::CancelLaunchResponse { launch }))
    }

    async fn override_launch(
        &self,
        request: Request<wire::OverrideLaunchRequest>,
    ) -> Answer<wire::OverrideLaunchResponse> {
        let actor = required(PRINCIPAL, named_principal(request.metadata())?)?;
        let request = request.into_inner();
        let id = launch_id("launch_id", &request.launch_id)?;
        let expire_time = required("expire_time", request.expire_time)?;
        let expires_at = timestamp("expire_time", &expire_time)?;
        let launch = self.admin.override_launch(&actor, id, &request.reason, expires_at).await?;
        Ok(Response::new(wire::OverrideLaunchResponse { launch: Some(records::launch(&launch)) }))
    }

    async fn approve_step(
        &self,
        request: Request<wire::ApproveStepRequest>,
    ) -> Answer<wire::ApproveStepResponse> {
        let actor = required(PRINCIPAL, named_principal(request.metadata())?)?;
        let request = request.into_inner();
        let id = launch_id("launch_id", &request.launch_id)?;
        let step = usize::try_from(request.step).map_err(|_| Error::field("step", "must not be negative"))?;
        let launch = self.admin.approve_step(&actor, id, step, &request.reason).await?;
        Ok(Response::new(wire::ApproveStepResponse { launch: Some(records::launch(&launch)) }))
    }

    async fn list_decisions(
        &self,
        request: Request<wire::ListDecisionsRequest>,
    ) -> Answer<wire::ListDecisionsResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let query = DecisionQuery {
            launch: launch_filter(&request.launch_id)?,
            after: request.after_cursor,
            limit: i64::try_from(size + 1).unwrap_or(i64::MAX),
        };
        let mut recorded = self.admin.decisions(&query).await?;
        let more = recorded.len() > size;
        recorded.truncate(size);
        let next = recorded.last().filter(|_| more).map(|last| last.cursor);
        Ok(Response::new(wire::ListDecisionsResponse {
            decisions: recorded.iter().map(records::decision).collect(),
            next_cursor: next.unwrap_or_default(),
        }))
    }

    type WatchDecisionsStream =
        Pin<Box<dyn Stream<Item = std::result::Result<wire::WatchDecisionsResponse, Status>> + Send>>;

    async fn watch_decisions(
        &self,
        request: Request<wire::WatchDecisionsRequest>,
    ) -> Answer<Self::WatchDecisionsStream> {
        let request = request.into_inner();
        let launch = launch_filter(&request.launch_id)?;
        let after = request.after_cursor.unwrap_or_else(|| *self.admin.watch_decisions().borrow());
        let (sender, receiver) = mpsc::channel(WATCH_BATCH);
        let watcher = Watcher { admin: self.admin.clone(), stop: self.stop.clone(), sender };
        tokio::spawn(watcher.run(launch, after));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Guarding {
    /// A target that exists; the rule may be left out where the gate has one.
    fn target(&self, field: &str, message: wire::Target) -> Result<Target> {
        match message.kind() {
            wire::TargetKind::GateRule => self.admin.rule_target::<Gate>(&message.key, &message.rule_id),
            wire::TargetKind::ConfigRule => {
                self.admin.rule_target::<DynamicConfig>(&message.key, &message.rule_id)
            }
            wire::TargetKind::Experiment => {
                self.admin.get::<Experiment>(&message.key)?;
                Ok(Target::Experiment { experiment: message.key })
            }
            wire::TargetKind::Shipment => {
                self.admin.get::<Experiment>(&message.key)?;
                Ok(Target::Shipment { experiment: message.key })
            }
            wire::TargetKind::Holdout => {
                self.admin.get::<Holdout>(&message.key)?;
                Ok(Target::Holdout { holdout: message.key })
            }
            wire::TargetKind::Unspecified => {
                let kinds = "must be GATE_RULE, CONFIG_RULE, EXPERIMENT, SHIPMENT or HOLDOUT";
                Err(Error::field(format!("{field}.kind"), kinds))
            }
        }
    }
}

/// Sends decisions to one caller, from a cursor on, until it goes away or the server stops.
struct Watcher {
    admin: Admin,
    stop: CancellationToken,
    sender: mpsc::Sender<std::result::Result<wire::WatchDecisionsResponse, Status>>,
}

impl Watcher {
    async fn run(self, launch: Option<LaunchId>, mut after: i64) {
        let mut news = self.admin.watch_decisions();
        loop {
            // Marked before reading, so that what comes in while reading is not missed.
            news.mark_unchanged();
            if let Err(status) = self.send_all(launch, &mut after).await {
                let _ = self.sender.send(Err(status)).await;
                return;
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
                () = self.stop.cancelled() => {
                    let message = "the server is stopping; take the stream up again from the last cursor";
                    let _ = self.sender.send(Err(Status::unavailable(message))).await;
                    return;
                }
            }
        }
    }

    async fn send_all(&self, launch: Option<LaunchId>, after: &mut i64) -> std::result::Result<(), Status> {
        loop {
            let limit = i64::try_from(WATCH_BATCH).unwrap_or(i64::MAX);
            let recorded = self.admin.decisions(&DecisionQuery { launch, after: *after, limit }).await?;
            for decision in &recorded {
                *after = decision.cursor;
                let response = wire::WatchDecisionsResponse { decision: Some(records::decision(decision)) };
                let delivery = self.sender.send(Ok(response));
                tokio::select! {
                    delivered = delivery => if delivered.is_err() { return Ok(()) },
                    () = self.stop.cancelled() => return Ok(()),
                }
            }
            if recorded.len() < WATCH_BATCH {
                return Ok(());
            }
        }
    }
}

fn launch_id(field: &str, text: &str) -> Result<LaunchId> {
    crate::admin::parse_id(field, text).map(LaunchId)
}

fn launch_filter(text: &str) -> Result<Option<LaunchId>> {
    if text.is_empty() { Ok(None) } else { launch_id("launch_id", text).map(Some) }
}
