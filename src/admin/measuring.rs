//! What is measured, and by which metrics: published numbers, previews and versions.

use std::borrow::Cow;

use super::{Admin, Subject};
use crate::analysis::fold::{Cut, Definition, Measure, measurement};
use crate::analysis::measurement::ArmMoments;
use crate::analysis::published::Published;
use crate::analysis::scorecard::{ScoredMetric, scorecard};
use crate::domain::launch::{Launch, LaunchId, PinnedMetric};
use crate::domain::metric::Metric;
use crate::domain::stored::Document;
use crate::domain::time::DAY_MS;
use crate::error::{Error, Result};
use crate::events::Intake;
use crate::events::folding::fold;
use crate::store::MetricVersion;

/// How far back a preview tells what came in, in milliseconds.
const INTAKE_MS: i64 = 7 * DAY_MS;
/// Buckets of a preview, in milliseconds.
const WIDTH_MS: i64 = 1_000;

/// What a metric would say.
#[derive(Clone, Debug)]
pub struct Preview {
    /// By epoch, week and arm.
    pub rows: Vec<ArmMoments>,
    /// Units of the launch that were looked at.
    pub units: u64,
    /// What came in of each event's name, by minute.
    pub intake: Vec<(String, Vec<Intake>)>,
}

/// What a launch changes.
#[derive(Clone, Debug)]
pub struct Scorecard {
    /// The launch.
    pub launch: Launch,
    /// What it is made from.
    pub published: Published,
    /// Level of the intervals.
    pub level: f64,
    /// One for each metric of the launch.
    pub metrics: Vec<ScoredMetric>,
}

impl Admin {
    /// What was published of a launch: a number, or the latest.
    pub async fn published(&self, launch: LaunchId, number: Option<i64>) -> Result<Published> {
        let not_found = || Error::NotFound { kind: "measurement of launch", key: launch.to_string() };
        self.store.snapshot(launch, number).await?.ok_or_else(not_found)
    }

    /// What was published of a launch, newest first.
    pub async fn all_published(
        &self,
        launch: LaunchId,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Published>> {
        self.store.snapshots(launch, before, limit).await
    }

    /// What a launch changes, from its latest published numbers, with intervals at a level from 0.5 up to below 1.
    pub async fn scorecard(&self, subject: Subject, level: f64) -> Result<Scorecard> {
        if !(0.5..1.0).contains(&level) {
            return Err(Error::field("level", format!("must be from 0.5 up to below 1, is {level}")));
        }
        let in_force = self.live.in_force();
        let (target, launch) = self.launch_of(&in_force.catalogue, subject).await?;
        let launch = launch.ok_or_else(|| Error::NotFound { kind: "launch of", key: target.path() })?;
        let published = self.published(launch.id, None).await?;
        let metrics = scorecard(&launch, &published.measurement, level);
        Ok(Scorecard { launch, published, level, metrics })
    }

    /// What a metric would say of a launch, from everything that is stored; nothing is kept.
    pub async fn preview(&self, metric: Metric, launch: Option<LaunchId>) -> Result<Preview> {
        metric.check()?;
        let now = self.clock.now();
        let mut intake = Vec::new();
        for name in metric.events() {
            intake.push((name.to_owned(), self.events.intake(name, now.plus_ms(-INTAKE_MS)).await?));
        }
        let (mut rows, mut units) = (Vec::new(), 0);
        if let Some(id) = launch {
            let pinned = PinnedMetric { metric: metric.clone(), revision: 0, scale: None };
            let launch = Launch { metrics: vec![pinned], ..self.launch(id).await? };
            if !metric.is_of(&launch.unit_type) {
                let message = format!("must be `{}`, as the launch's, or empty", launch.unit_type);
                return Err(Error::field("metric.unit_type", message));
            }
            let definition = Definition::of(&launch, WIDTH_MS);
            let measures = [Measure::new(Cow::Borrowed(&metric), &definition)];
            let reach = self.events.reach(&[]).await?;
            let events = self.events.as_ref();
            let watermark = reach.watermark.unwrap_or(now).max(now).plus_ms(WIDTH_MS);
            let cut = Cut { as_of: definition.bucket(watermark), watermark };
            let into = (&definition, definition.kept_from(cut.as_of));
            let cells = fold(events, &launch, &measures, None, into, reach.arrival).await?;
            let mut found = measurement(&launch, &definition, &measures, &cells, cut);
            units = found.dealt.iter().map(|row| row.units).sum();
            rows = found.metrics.remove(&metric.key).unwrap_or_default();
        }
        Ok(Preview { rows, units, intake })
    }

    /// Every revision of a metric, newest first; only one where it is given.
    pub async fn metric_versions(&self, key: &str, revision: Option<i64>) -> Result<Vec<MetricVersion>> {
        let mut versions = self.store.metric_versions(key).await?;
        versions.retain(|version| revision.is_none_or(|revision| version.stored.revision == revision));
        if versions.is_empty() {
            return Err(Error::NotFound { kind: "metric", key: key.to_owned() });
        }
        Ok(versions)
    }
}
