//! One refresh of one launch: what is new is folded and kept, then everything is audited and published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Measurer;
use crate::analysis::audit::{CameIn, Known, audit};
use crate::analysis::fold::{CellKey, Cells, Cut, Definition, IN_TWO_ARMS, Measure, apply, measurement};
use crate::analysis::measurement::{KEPT_BUCKETS, Measurement};
use crate::analysis::published::{Audited, Published};
use crate::domain::launch::{Launch, LaunchId, Target};
use crate::domain::metric::Metric;
use crate::domain::time::Timestamp;
use crate::domain::user::{USER_ID, canonical_unit_type};
use crate::error::Result;
use crate::events::Reach;
use crate::events::folding::fold;
use crate::store::lease::Fence;
use crate::store::{Moved, Position};

/// What is kept of a launch between refreshes.
#[derive(Debug)]
pub(super) struct Kept {
    position: Position,
    cells: Cells,
}

/// What a refresh made of it.
struct Advanced {
    kept: Kept,
    /// Event time up to which everything is counted.
    as_of: Timestamp,
    /// The cells that are to be stored; none where the position stays.
    changed: Option<BTreeSet<CellKey>>,
    /// Whether everything was folded anew.
    anew: bool,
}

impl Measurer {
    /// Measures a launch and publishes what was found; none where there is nothing to measure by yet. Where that says
    /// nothing new, or somebody else has measured it meanwhile, what was published stands. Nothing is published once another
    /// server has taken the lease since `fence`.
    pub async fn refresh(&self, fence: Fence, id: LaunchId) -> Result<Option<Published>> {
        // Read in this order: whatever exposures are stored by then are within reach, and so is the end of each epoch that
        // they may fall behind.
        let exposures_until = self.parts.ingest.exposures_until();
        let names = self.names(id);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let reach = self.parts.events.reach(&names).await?;
        let Some(launch) = self.parts.live.in_force().catalogue.launches.get(&id).cloned() else {
            return Ok(None);
        };
        let Some(watermark) = complete_until(&launch, &reach, exposures_until) else {
            return Ok(None);
        };
        let kept = self.kept.lock().await.remove(&id);
        let kept = match kept {
            Some(kept) => Some(kept),
            None => self.parts.store.measured(id).await?.map(|(position, cells)| Kept { position, cells }),
        };
        let as_of = self.as_of(watermark);
        let advanced = self.advance(&launch, kept, &reach, as_of).await?;
        let cut = Cut { as_of: advanced.as_of, watermark };
        let before = match self.parts.live.published(id).flatten() {
            Some(before) => Some(before),
            None => self.parts.store.snapshot(id, None).await?.map(Arc::new),
        };
        let published = self.audited(&launch, &advanced.kept, &reach, cut, before.as_deref()).await?;
        let Advanced { mut kept, changed, anew, .. } = advanced;
        if let Some(before) =
            before.as_deref().filter(|before| changed.is_none() && published.repeats(before))
        {
            self.kept.lock().await.insert(id, kept);
            return Ok(Some(published.as_before(before)));
        }
        let rows = changed.iter().flatten().filter_map(|key| kept.cells.get_key_value(key)).collect();
        let moved = Moved { launch: id, position: &kept.position, anew, changed: rows };
        let moved = changed.is_some().then_some(&moved);
        let fails_anew = published.fails_anew(before.as_deref());
        if !self.parts.store.publish(fence, &published, fails_anew, moved).await? {
            // Somebody else was faster; what they have is as good.
            return self.parts.store.snapshot(id, None).await;
        }
        kept.cells.retain(|_, sums| !sums.is_empty());
        self.kept.lock().await.insert(id, kept);
        Ok(Some(published))
    }

    /// Folds what is new into the cells.
    async fn advance(
        &self,
        launch: &Launch,
        kept: Option<Kept>,
        reach: &Reach,
        as_of: Timestamp,
    ) -> Result<Advanced> {
        let mut definition = Definition::of(launch, self.width_ms());
        if let Some(kept) = &kept {
            definition.keep_frozen(&kept.position.definition);
        }
        self.freeze_thresholds(launch, &mut definition, reach.arrival).await?;
        self.freeze_segments(launch, &mut definition, reach.arrival).await?;
        let revision = kept.as_ref().map_or(0, |kept| kept.position.revision);
        let carried =
            kept.filter(|kept| definition.carries_on(&kept.position.definition, kept.position.merged_before));
        let anew = carried.is_none();
        let (before, mut cells) = match carried {
            Some(kept) => (Some(kept.position), kept.cells),
            None => (None, Cells::new()),
        };
        // Event time never goes back: what was merged cannot be cut apart again.
        let merged = before.as_ref().map_or(Timestamp::default(), |before| before.merged_before);
        let as_of = as_of.max(merged.plus_ms(definition.width_ms.saturating_mul(KEPT_BUCKETS)));
        let merged_before = definition.kept_from(as_of).max(Timestamp::default());

        let measures = Measure::all(launch, &definition);
        let events = self.parts.events.as_ref();
        let since = before.as_ref().map(|before| (before.arrival, &before.definition));
        let into = (&definition, merged_before);
        let delta = fold(events, launch, &measures, since, into, reach.arrival).await?;
        let changed = apply(&mut cells, delta, &definition, merged_before);
        let is_same = before.as_ref().is_some_and(|before| {
            before.arrival == reach.arrival && before.definition == definition && changed.is_empty()
        });
        if is_same && let Some(position) = before {
            return Ok(Advanced { kept: Kept { position, cells }, as_of, changed: None, anew: false });
        }
        let arrival = reach.arrival;
        let position = Position { revision: revision + 1, arrival, merged_before, definition };
        Ok(Advanced { kept: Kept { position, cells }, as_of, changed: Some(changed), anew })
    }

    /// Audits what was measured, so that it can be published whole.
    async fn audited(
        &self,
        launch: &Launch,
        kept: &Kept,
        reach: &Reach,
        cut: Cut,
        before: Option<&Published>,
    ) -> Result<Published> {
        let now = self.parts.clock.now();
        let definition = &kept.position.definition;
        let measures = Measure::all(launch, definition);
        let found = measurement(launch, definition, &measures, &kept.cells, cut);
        let found = Measurement { shares: self.shares(launch), ..found };
        let in_two_arms = in_two_arms(&kept.cells, cut.as_of);
        let events = self.came_in(launch, reach, now).await;
        let by_user = canonical_unit_type(&launch.unit_type) == USER_ID;
        let mut metrics = BTreeMap::new();
        for measure in &measures {
            let metric: &Metric = &measure.metric;
            let rows = found.metrics.get(&metric.key).into_iter().flatten();
            let units = rows.fold((0, 0), |(units, joined), row| {
                (units + row.moments.n(), joined + row.moments.counted().nonzero)
            });
            let known = Known { now, whole: cut.watermark, events: &events, by_user, units, in_two_arms };
            let (watermark, audits) = (known.watermark(metric), audit(metric, &known));
            let audited = Audited { as_of: Some(cut.as_of), watermark, audits };
            metrics.insert(metric.key.clone(), audited);
        }
        Ok(Published::publish(launch.id, now, found, metrics, before))
    }

    /// What came in of the events that a launch's metrics are made from, by name. Where that cannot be read, it is said of that
    /// name alone.
    async fn came_in(&self, launch: &Launch, reach: &Reach, now: Timestamp) -> BTreeMap<String, CameIn> {
        let mut events = BTreeMap::new();
        for name in self.names(launch.id) {
            let intake = self.intakes.of(self.parts.events.as_ref(), &name, reach.arrival, now).await;
            if let Err(error) = &intake {
                let error = error.in_full();
                tracing::error!(error, launch = %launch.id, event = name, "what came in of an event could not be read");
            }
            let (watermark, is_unread) = (reach.by_name.get(&name).copied(), intake.is_err());
            events.insert(name, CameIn { watermark, intake: intake.unwrap_or_default(), is_unread });
        }
        events
    }

    /// Names of all events that a launch's metrics are made from.
    fn names(&self, id: LaunchId) -> BTreeSet<String> {
        let in_force = self.parts.live.in_force();
        let launch = in_force.catalogue.launches.get(&id);
        let metrics = launch.iter().flat_map(|launch| &launch.metrics);
        metrics.flat_map(|pinned| pinned.metric.events().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Shares of an experiment's groups, which are fixed from its start.
    fn shares(&self, launch: &Launch) -> BTreeMap<String, f64> {
        let Target::Experiment { experiment } = &launch.target else {
            return BTreeMap::new();
        };
        let in_force = self.parts.live.in_force();
        let stored = in_force.catalogue.experiments.get(experiment);
        let groups = stored.iter().flat_map(|stored| &stored.document.groups);
        groups.map(|group| (group.name.clone(), group.weight)).collect()
    }
}

/// Event time up to which a launch can be measured. Where no guardrail is made from events, none are waited for.
pub(super) fn complete_until(
    launch: &Launch,
    reach: &Reach,
    exposures_until: Timestamp,
) -> Option<Timestamp> {
    let needs_events = launch.guardrails().any(|pinned| pinned.metric.events().next().is_some());
    let events = if needs_events { reach.watermark } else { Some(exposures_until) };
    events.map(|events| events.min(exposures_until))
}

/// Units left out of both arms, over all epochs.
fn in_two_arms(cells: &Cells, as_of: Timestamp) -> u64 {
    let counts = |key: &CellKey| &*key.metric == IN_TWO_ARMS && key.bucket < as_of;
    let units: i64 = cells.iter().filter(|(key, _)| counts(key)).map(|(_, sums)| sums.units).sum();
    u64::try_from(units).unwrap_or(0)
}
