//! The guard's answers: launches, checks, latches and the stream of decisions.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::administration::{PRINCIPAL, named_principal};
use super::convert::{decision_kinds, duration_ms, page_size, required, timestamp};
use super::decisions::{DecisionStream, Watch};
use super::wire::guard_service_server::GuardService;
use super::{records, wire};
use crate::admin::{Admin, DecisionQuery, LaunchQuery, Subject};
use crate::analysis::decision::DecisionId;
use crate::clock::Clock;
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::{LaunchId, Target};
use crate::domain::target_filter::TargetFilter;
use crate::error::{Error, Result};

/// How long nothing is sent to a watcher before a heartbeat is.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long that may be, in milliseconds.
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 100..=600_000;

/// The guard service.
#[derive(Debug)]
pub(super) struct Guarding {
    pub(super) admin: Admin,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    pub(super) watch_patience: Duration,
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
        let target = request.target.map(|target| known_target(&self.admin, "target", target)).transpose()?;
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
                Subject::Target(known_target(&self.admin, "target", target)?)
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
            target: request.target.as_ref().map(target_filter).transpose()?,
            kinds: decision_kinds("kinds", &request.kinds)?,
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

    async fn get_decision(
        &self,
        request: Request<wire::GetDecisionRequest>,
    ) -> Answer<wire::GetDecisionResponse> {
        let id = crate::admin::parse_id("id", &request.into_inner().id)?;
        let recorded = self.admin.decision(DecisionId(id)).await?;
        let record = serde_json::to_string(&recorded.decision).map_err(Error::internal)?;
        let decision = Some(records::decision(&recorded));
        Ok(Response::new(wire::GetDecisionResponse { decision, record }))
    }

    type WatchDecisionsStream = DecisionStream;

    async fn watch_decisions(
        &self,
        request: Request<wire::WatchDecisionsRequest>,
    ) -> Answer<Self::WatchDecisionsStream> {
        let request = request.into_inner();
        let last = self.admin.last_cursor().await?;
        let after = request.after_cursor.unwrap_or(last);
        if after > last {
            let message = format!("must not be past the latest decision, whose cursor is {last}");
            return Err(Error::field("after_cursor", message).into());
        }
        let wanted = DecisionQuery {
            launch: launch_filter(&request.launch_id)?,
            target: request.target.as_ref().map(target_filter).transpose()?,
            kinds: decision_kinds("kinds", &request.kinds)?,
            after,
            ..DecisionQuery::default()
        };
        let heartbeat = heartbeat(request.heartbeat.as_ref())?;
        let watch = Watch { heartbeat, patience: self.watch_patience };
        Ok(Response::new(watch.begin(self.admin.clone(), wanted, self.stop.clone())))
    }
}

/// A target that exists; the rule may be left out where the gate has one.
pub(super) fn known_target(admin: &Admin, field: &str, message: wire::Target) -> Result<Target> {
    match message.kind() {
        wire::TargetKind::GateRule => admin.rule_target::<Gate>(&message.key, &message.rule_id),
        wire::TargetKind::ConfigRule => admin.rule_target::<DynamicConfig>(&message.key, &message.rule_id),
        wire::TargetKind::Experiment => {
            admin.get::<Experiment>(&message.key)?;
            Ok(Target::Experiment { experiment: message.key })
        }
        wire::TargetKind::Shipment => {
            admin.get::<Experiment>(&message.key)?;
            Ok(Target::Shipment { experiment: message.key })
        }
        wire::TargetKind::Holdout => {
            admin.get::<Holdout>(&message.key)?;
            Ok(Target::Holdout { holdout: message.key })
        }
        wire::TargetKind::Unspecified => {
            let kinds = "must be GATE_RULE, CONFIG_RULE, EXPERIMENT, SHIPMENT or HOLDOUT";
            Err(Error::field(format!("{field}.kind"), kinds))
        }
    }
}

fn launch_id(field: &str, text: &str) -> Result<LaunchId> {
    crate::admin::parse_id(field, text).map(LaunchId)
}

fn launch_filter(text: &str) -> Result<Option<LaunchId>> {
    if text.is_empty() { Ok(None) } else { launch_id("launch_id", text).map(Some) }
}

fn heartbeat(duration: Option<&prost_types::Duration>) -> Result<Duration> {
    let Some(duration) = duration else {
        return Ok(HEARTBEAT);
    };
    let ms = duration_ms("heartbeat", duration)?;
    let fits = u64::try_from(ms).ok().filter(|ms| HEARTBEAT_MS.contains(ms));
    fits.map(Duration::from_millis)
        .ok_or_else(|| Error::field("heartbeat", "must be from 100 ms to 10 minutes"))
}

/// Targets that are asked for; one without a rule stands for all rules of its gate.
fn target_filter(message: &wire::Target) -> Result<TargetFilter> {
    let kind = match message.kind() {
        wire::TargetKind::GateRule => "gate",
        wire::TargetKind::ConfigRule => "config",
        wire::TargetKind::Experiment => "experiment",
        wire::TargetKind::Shipment => "shipment",
        wire::TargetKind::Holdout => "holdout",
        wire::TargetKind::Unspecified => return Err(Error::field("target.kind", "must be given")),
    };
    let rule = if message.rule_id.is_empty() { String::new() } else { format!("/{}", message.rule_id) };
    let path = format!("{kind}:{}{rule}", message.key);
    path.parse().map_err(|_| Error::field("target.key", "must be given"))
}
