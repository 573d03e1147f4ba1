//! Thresholds of quantiles that their documents do not give: taken from what the first units did before the launch.

use super::Measurer;
use crate::analysis::fold::{Definition, Measure};
use crate::analysis::history::Deed;
use crate::domain::launch::Launch;
use crate::domain::time::DAY_MS;
use crate::error::Result;
use crate::events::folding::asked;

/// Units that are asked for what they did before.
const UNITS: usize = 2_000;
/// Fewer values than this make no quantile.
const MIN_VALUES: usize = 200;
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
}

fn quantile(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let place = (quantile * values.len() as f64) as usize;
    values.get(place).copied().filter(|_| values.len() >= MIN_VALUES)
}
