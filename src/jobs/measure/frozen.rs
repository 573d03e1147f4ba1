//! What is taken from the first units of a launch and stays: thresholds of quantiles that their documents do not give, and which
//! values of a column make a segment.

use std::collections::BTreeMap;

use super::Measurer;
use crate::analysis::fold::{Definition, Measure};
use crate::analysis::history::{Deed, Exposed, History};
use crate::domain::launch::Launch;
use crate::domain::time::DAY_MS;
use crate::error::Result;
use crate::events::folding::asked;

/// Units that are asked for what they did before.
const UNITS: usize = 2_000;
/// Fewer values than this make no quantile.
const MIN_VALUES: usize = 200;
/// Units that have come before segments are made, so that the frequent values are known.
const UNITS_OF_SEGMENTS: u64 = 200;
/// How far back they are asked.
const BACK_MS: i64 = 28 * DAY_MS;

impl Measurer {
    /// Freezes each threshold that is not known yet, once there are enough values from before the launch. It looks at both
    /// arms together, and at nothing that the launch could have changed.
    pub(super) async fn freeze_thresholds(
        &self,
        launch: &Launch,
        definition: &mut Definition,
        arrival: i64,
    ) -> Result<()> {
        for pinned in &launch.metrics {
            let Some(tail) = pinned.metric.tail.filter(|tail| tail.threshold.is_none()) else {
                continue;
            };
            if definition.thresholds.contains_key(&pinned.metric.key) {
                continue;
            }
            let measures = [Measure::new(std::borrow::Cow::Borrowed(&pinned.metric), definition)];
            let mut of = asked(launch, &measures, (0, arrival), Vec::new());
            of.since = launch.started_at.plus_ms(-BACK_MS);
            let histories = self.parts.events.histories(&of, None, UNITS).await?;
            let counts = |deed: &&Deed| {
                let mut filters = pinned.metric.filters.iter();
                deed.at < launch.started_at
                    && deed.name == pinned.metric.event
                    && filters.all(|filter| filter.passes(&deed.properties, &deed.attributes))
            };
            let deeds = histories.iter().flat_map(|history| &history.events).filter(counts);
            let values: Vec<f64> = deeds.filter_map(|deed| deed.value).collect();
            if let Some(threshold) = quantile(values, tail.quantile) {
                definition.thresholds.insert(pinned.metric.key.clone(), threshold);
            }
        }
        Ok(())
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
            let page = self.parts.events.histories(&of, after.as_deref(), UNITS).await?;
            for first in page.iter().filter_map(first) {
                units += 1;
                for (column, value) in &first.attributes {
                    *counts.entry((column.clone(), value.clone())).or_default() += 1;
                }
            }
            let is_last = page.len() < UNITS;
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

fn quantile(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let place = (quantile * values.len() as f64) as usize;
    values.get(place).copied().filter(|_| values.len() >= MIN_VALUES)
}
