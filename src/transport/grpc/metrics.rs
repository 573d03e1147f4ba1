//! What is measured of launches, and by which metrics.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};

use super::convert::{count, page_size, required, wire_time};
use super::documents::DocumentMessage;
use super::guard::known_target;
use super::records::{moments, number};
use super::wire::metric_service_server::MetricService;
use super::{scorecards, wire};
use crate::admin::{Admin, Subject};
use crate::analysis::audit::Audit;
use crate::analysis::measurement::{ArmMoments, ArmUnits, Blindness, Cause};
use crate::analysis::published::{Audited, Published};
use crate::domain::launch::LaunchId;
use crate::error::Error;
use crate::stats::moments::Moments;
use crate::stats::outcome::Outcome;

/// Level of a scorecard's intervals where none is asked for.
const LEVEL: f64 = 0.95;

/// The metric service.
#[derive(Debug)]
pub(super) struct Measuring {
    pub(super) admin: Admin,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MetricService for Measuring {
    async fn get_measurement(
        &self,
        request: Request<wire::GetMeasurementRequest>,
    ) -> Answer<wire::GetMeasurementResponse> {
        let request = request.into_inner();
        let launch = crate::admin::parse_id("launch_id", &request.launch_id).map(LaunchId)?;
        let published = self.admin.published(launch, positive("number", request.number)?).await?;
        Ok(Response::new(wire::GetMeasurementResponse { measurement: Some(sent(&published)) }))
    }

    async fn list_measurements(
        &self,
        request: Request<wire::ListMeasurementsRequest>,
    ) -> Answer<wire::ListMeasurementsResponse> {
        let request = request.into_inner();
        let launch = crate::admin::parse_id("launch_id", &request.launch_id).map(LaunchId)?;
        let limit = i64::try_from(page_size(request.page_size)?).unwrap_or(i64::MAX);
        let before = positive("before_number", request.before_number)?;
        let all = self.admin.all_published(launch, before, limit).await?;
        Ok(Response::new(wire::ListMeasurementsResponse { measurements: all.iter().map(sent).collect() }))
    }

    async fn get_scorecard(
        &self,
        request: Request<wire::GetScorecardRequest>,
    ) -> Answer<wire::GetScorecardResponse> {
        let request = request.into_inner();
        let subject = match request.subject {
            Some(wire::get_scorecard_request::Subject::LaunchId(id)) => {
                Subject::Launch(crate::admin::parse_id("launch_id", &id).map(LaunchId)?)
            }
            Some(wire::get_scorecard_request::Subject::Target(message)) => {
                Subject::Target(known_target(&self.admin, "target", message)?)
            }
            None => return Err(Error::field("subject", "one of launch_id and target is required").into()),
        };
        let found = self.admin.scorecard(subject, request.level.unwrap_or(LEVEL)).await?;
        Ok(Response::new(scorecards::sent(&found)))
    }

    async fn preview_metric(
        &self,
        request: Request<wire::PreviewMetricRequest>,
    ) -> Answer<wire::PreviewMetricResponse> {
        let request = request.into_inner();
        let (metric, _) = required("metric", request.metric)?.read()?;
        let launch = match request.launch_id.as_str() {
            "" => None,
            id => Some(crate::admin::parse_id("launch_id", id).map(LaunchId)?),
        };
        let preview = self.admin.preview(metric, launch).await?;
        let event = |(name, minutes): &(String, Vec<crate::admin::Intake>)| wire::PreviewedEvent {
            name: name.clone(),
            events: count(minutes.iter().map(|minute| minute.events).sum()),
            duplicates: count(minutes.iter().map(|minute| minute.duplicates).sum()),
            without_value: count(minutes.iter().map(|minute| minute.without_value).sum()),
            least: minutes.iter().filter_map(|minute| minute.least).reduce(f64::min),
            greatest: minutes.iter().filter_map(|minute| minute.greatest).reduce(f64::max),
        };
        Ok(Response::new(wire::PreviewMetricResponse {
            arms: arms(&preview.rows),
            units: count(preview.units),
            events: preview.intake.iter().map(event).collect(),
        }))
    }

    async fn list_metric_versions(
        &self,
        request: Request<wire::ListMetricVersionsRequest>,
    ) -> Answer<wire::ListMetricVersionsResponse> {
        let request = request.into_inner();
        let revision = positive("revision", request.revision)?;
        let versions = self.admin.metric_versions(&request.key, revision).await?;
        let version = |version: &crate::admin::MetricVersion| wire::MetricVersion {
            metric: Some(wire::Metric::sent(&version.stored)),
            principal: version.actor.clone(),
        };
        Ok(Response::new(wire::ListMetricVersionsResponse {
            versions: versions.iter().map(version).collect(),
        }))
    }
}

/// A number from 1; none for 0.
fn positive(field: &str, number: i64) -> Result<Option<i64>, Error> {
    match number {
        0 => Ok(None),
        1.. => Ok(Some(number)),
        _ => Err(Error::field(field, "must not be negative")),
    }
}

fn sent(published: &Published) -> wire::Measurement {
    let found = &published.measurement;
    let metric = |(key, audited): (&String, &Audited)| {
        let blind = found.blind.get(key);
        wire::MeasuredMetric {
            metric: key.clone(),
            as_of: audited.as_of.map(wire_time),
            watermark: audited.watermark.map(wire_time),
            blind: blind.map_or(wire::ReasonCode::Unspecified, reason).into(),
            blind_message: blind.map(|blind| blind.message.clone()).unwrap_or_default(),
            audits: audited.audits.iter().map(audit).collect(),
            arms: found.metrics.get(key).map(|rows| arms(rows)).unwrap_or_default(),
            segments: found.segments.get(key).map(segments).unwrap_or_default(),
            blind_since_time: blind.and_then(|blind| blind.since).map(wire_time),
        }
    };
    let dealt = |row: &ArmUnits| wire::DealtUnits {
        epoch: number(row.epoch),
        arm: row.arm.clone(),
        units: count(row.units),
    };
    wire::Measurement {
        launch_id: published.launch.to_string(),
        number: published.number,
        time: Some(wire_time(published.at)),
        as_of: Some(wire_time(found.as_of)),
        watermark: Some(wire_time(found.watermark)),
        metrics: published.metrics.iter().map(metric).collect(),
        dealt: found.dealt.iter().map(dealt).collect(),
    }
}

fn reason(blind: &Blindness) -> wire::ReasonCode {
    match blind.cause {
        Cause::Stale => wire::ReasonCode::Stale,
        Cause::Audit => wire::ReasonCode::AuditFailed,
        Cause::Undefined => wire::ReasonCode::Undefined,
        Cause::NoBaseline => wire::ReasonCode::NoBaseline,
    }
}

fn audit(audit: &Audit) -> wire::MetricAudit {
    wire::MetricAudit {
        check: audit.check.name().to_owned(),
        event: audit.event.clone(),
        found: audit.found,
        least: audit.least,
        most: audit.most,
        passed: audit.passes(),
        message: audit.to_string(),
    }
}

/// By segment and arm, epochs together.
fn segments(segments: &BTreeMap<String, Vec<ArmMoments>>) -> Vec<wire::MeasuredSegment> {
    let mut arms: BTreeMap<(&str, &str), Outcome> = BTreeMap::new();
    for (segment, rows) in segments {
        for row in rows {
            let within = arms.entry((segment, &row.arm)).or_default();
            *within = within.merged(row.moments);
        }
    }
    let arm = |((segment, arm), within): ((&str, &str), Outcome)| wire::MeasuredSegment {
        segment: segment.to_owned(),
        arm: arm.to_owned(),
        within: Some(moments(within.counted())),
    };
    arms.into_iter().map(arm).collect()
}

/// By epoch and arm, weeks together.
fn arms(rows: &[ArmMoments]) -> Vec<wire::MeasuredArm> {
    let mut arms: BTreeMap<(u32, &str), (Outcome, Outcome)> = BTreeMap::new();
    for row in rows {
        let (within, settled) = arms.entry((row.epoch, &row.arm)).or_default();
        (*within, *settled) = (within.merged(row.moments), settled.merged(row.settled));
    }
    let arm = |((epoch, arm), (within, settled)): ((u32, &str), (Outcome, Outcome))| wire::MeasuredArm {
        epoch: number(epoch),
        arm: arm.to_owned(),
        within: Some(moments(within.counted())),
        settled: Some(moments(settled.counted())),
        beside: beside(&within).map(moments),
    };
    arms.into_iter().map(arm).collect()
}

/// The denominator of a ratio, or the covariate of a mean.
fn beside(outcome: &Outcome) -> Option<&Moments> {
    match outcome {
        Outcome::Mean(_) => None,
        Outcome::Ratio(pair) | Outcome::Adjusted(pair) => Some(&pair.second),
        Outcome::AdjustedRatio(pairs) => Some(&pairs.outcome.second),
    }
}
