//! What is taken from the first units of a launch and stays: thresholds of quantiles that their documents do not give, and which
//! values of a column make a segment.

use std::collections::BTreeMap;

use super::Measurer;
use crate::analysis::fold::{Definition, Measure};
use crate::analysis::history::{Deed, Exposed, History};
use crate::domain::launch::Launch;
use crate::domain::metric::{BASELINE_MS, BASELINE_VALUES};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::folding::asked;

/// Units that are read at a time.
const PAGE: usize = 2_000;
/// Units that did something before the launch, of which no more are needed.
const UNITS_OF_BASELINE: usize = 2_000;
/// Pages of units that are asked for what they did before at one time.
const PAGES: usize = 25;
/// How long it waits before it asks them again, in milliseconds.
const PAUSE_MS: i64 = 60_000;
/// Units that have come before segments are made, so that the frequent values are known.
const UNITS_OF_SEGMENTS: u64 = 200;

/// When the thresholds of a launch were last asked for in vain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    at: Timestamp,
    /// Everything up to this write was known.
    arrival: i64,
}

impl Measurer {
    /// Freezes each threshold that is not known yet, once there are enough values from before the launch. It looks at both
    /// arms together, and at nothing that the launch could have changed. It asks once a minute at most, and only where
    /// something has come since.
    pub(super) async fn freeze_thresholds(
        &self,
        launch: &Launch,
        definition: &mut Definition,
        arrival: i64,
    ) -> Result<()> {
        let measures = Measure::all(launch, definition);
        let unknown: Vec<&Measure<'_>> =
            measures.iter().filter(|measure| measure.has_no_baseline()).collect();
        let now = self.parts.clock.now();
        let last = self.baselines.lock().await.get(&launch.id).copied();
        let may_differ = |last: Asked| last.arrival < arrival && now.ms_since(last.at) >= PAUSE_MS;
        if unknown.is_empty() || !last.is_none_or(may_differ) {
            return Ok(());
        }
        let mut found = BTreeMap::new();
        for measure in unknown {
            let values = self.values_before(launch, measure, arrival).await?;
            let quantile = measure.metric.tail.map_or(0.0, |tail| tail.quantile);
            found.extend(threshold(values, quantile).map(|value| (measure.metric.key.clone(), value)));
        }
        definition.thresholds.extend(found);
        self.baselines.lock().await.insert(launch.id, Asked { at: now, arrival });
        Ok(())
    }

    /// The values of a metric's events from before the launch, of units in the order of their ids.
    async fn values_before(&self, launch: &Launch, measure: &Measure<'_>, arrival: i64) -> Result<Vec<f64>> {
        let mut of = asked(launch, std::slice::from_ref(measure), (0, arrival), Vec::new());
        (of.since, of.until) = (launch.started_at.plus_ms(-BASELINE_MS), Some(launch.started_at));
        let metric = &measure.metric;
        let counts = |deed: &&Deed| {
            let mut filters = metric.filters.iter();
            deed.name == metric.event
                && filters.all(|filter| filter.passes(&deed.properties, &deed.attributes))
        };
        let (mut values, mut units, mut after) = (Vec::new(), 0, None::<String>);
        for _ in 0..PAGES {
            let page = self.parts.events.histories(&of, after.as_deref(), PAGE).await?;
            for history in &page {
                let known = values.len();
                values.extend(history.events.iter().filter(counts).filter_map(|deed| deed.value));
                units += usize::from(values.len() > known);
            }
            if page.len() < PAGE || units >= UNITS_OF_BASELINE {
                break;
            }
            after = page.into_iter().last().map(|history| history.unit_id);
        }
        Ok(values)
    }

    /// Freezes which values of the policy's columns have a segment of their own, once enough units have come: the most frequent
    /// ones at first exposures, of both arms together. It looks at nothing that units did.
    pub(super) async fn freeze_segments(
        &self,
        launch: &Launch,
        definition: &mut Definition,
        arrival: i64,
    ) -> Result<()> {
        if launch.policy.policy.segments.is_empty() || definition.segments.is_some() {
            return Ok(());
        }
        let of = asked(launch, &[], (0, arrival), Vec::new());
        let (mut units, mut counts, mut after) = (0, BTreeMap::new(), None::<String>);
        loop {
            let page = self.parts.events.histories(&of, after.as_deref(), PAGE).await?;
            for first in page.iter().filter_map(first) {
                units += 1;
                for (column, value) in &first.attributes {
                    *counts.entry((column.clone(), value.clone())).or_default() += 1;
                }
            }
            let is_last = page.len() < PAGE;
            after = page.into_iter().last().map(|history| history.unit_id);
            if is_last {
                break;
            }
        }
        if units >= UNITS_OF_SEGMENTS {
            definition.segments = Some(Definition::frequent(launch, &counts));
        }
        Ok(())
    }
}

fn first(history: &History) -> Option<&Exposed> {
    history.exposures.iter().min_by_key(|exposed| (exposed.at, exposed.arrival))
}

/// The value of a quantile, where there are enough of them.
fn threshold(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let place = (quantile * values.len() as f64) as usize;
    values.get(place).copied().filter(|_| values.len() >= BASELINE_VALUES)
}
