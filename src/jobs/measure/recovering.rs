//! What became of harmed guardrails since their rollback, folded from what was stored since. It is kept in memory only: all of
//! it follows from events and exposures.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Measurer;
use crate::analysis::decision::Judgement;
use crate::analysis::fold::{Cells, Cut, Definition, Measure, apply, measurement};
use crate::analysis::measurement::KEPT_BUCKETS;
use crate::analysis::recovery::{Recovery, recoveries, since_rollback};
use crate::domain::launch::{Launch, LaunchId};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::Reach;
use crate::events::folding::fold;

/// What is kept of a launch that was rolled back.
#[derive(Debug)]
pub(super) struct RolledBack {
    /// What the rollback rests on.
    judgement: Judgement,
    /// The write up to which everything is folded; none before the first time.
    arrival: Option<i64>,
    merged_before: Timestamp,
    definition: Definition,
    cells: Cells,
}

/// Tells of recoveries beside everything else, one time after the other: no live launch waits for it.
#[derive(Debug, Default)]
pub(super) struct Aside {
    under_way: Option<JoinHandle<()>>,
}

impl Aside {
    /// Tells of them anew, unless it is still at it.
    pub(super) fn tell(&mut self, measurer: &Arc<Measurer>) {
        if self.under_way.as_ref().is_none_or(JoinHandle::is_finished) {
            let own = Arc::clone(measurer);
            self.under_way = Some(tokio::spawn(async move { own.tell_recoveries().await }));
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

impl Measurer {
    /// Tells of all launches that were rolled back lately. Where one cannot be measured, what was told of it stands.
    async fn tell_recoveries(&self) {
        let live = &self.parts.live;
        let in_force = live.in_force();
        let now = self.parts.clock.now();
        let lately: Vec<(&Arc<Launch>, Launch)> = in_force
            .catalogue
            .launches
            .values()
            .filter_map(|launch| since_rollback(launch, now).map(|since| (launch, since)))
            .collect();
        let mut told: BTreeMap<LaunchId, Vec<Recovery>> = BTreeMap::new();
        for (launch, since) in &lately {
            let found = self.recoveries(launch, since).await.unwrap_or_else(|error| {
                let error = error.in_full();
                tracing::error!(error, launch = %launch.id, "the recovery could not be measured");
                live.recoveries(launch.id)
            });
            told.insert(launch.id, found);
        }
        self.rolled_back.lock().await.retain(|id, _| told.contains_key(id));
        live.note_recoveries(told);
    }

    async fn recoveries(&self, launch: &Launch, since: &Launch) -> Result<Vec<Recovery>> {
        let exposures_until = self.parts.ingest.exposures_until();
        let reach = self.parts.events.reach(&[]).await?;
        let kept = self.rolled_back.lock().await.remove(&launch.id);
        let kept = match kept {
            Some(kept) => Some(kept),
            None => self.rolled_back_now(launch, since).await?,
        };
        let (Some(mut kept), Some(watermark)) = (kept, reach.watermark) else {
            return Ok(Vec::new());
        };
        let watermark = watermark.min(exposures_until);
        let as_of = self.fold_since(since, &mut kept, &reach, watermark).await?;
        let measures = Measure::all(since, &kept.definition);
        let cut = Cut { as_of, watermark };
        let found = measurement(since, &kept.definition, &measures, &kept.cells, cut);
        let recoveries = recoveries(launch, &kept.judgement, &found);
        self.rolled_back.lock().await.insert(launch.id, kept);
        Ok(recoveries)
    }

    /// Folds what is new; gives the event time up to which everything is counted.
    async fn fold_since(
        &self,
        since: &Launch,
        kept: &mut RolledBack,
        reach: &Reach,
        watermark: Timestamp,
    ) -> Result<Timestamp> {
        let as_of = self.as_of(watermark);
        let kept_ms = kept.definition.width_ms.saturating_mul(KEPT_BUCKETS);
        let as_of = as_of.max(kept.merged_before.plus_ms(kept_ms));
        let mut earlier = kept.definition.clone();
        if kept.arrival.is_none() {
            // As if the epoch were new to what is known: its units are read, and none of the many that came before.
            earlier.epochs.clear();
        }
        let before = Some((kept.arrival.unwrap_or(reach.arrival), &earlier));
        let measures = Measure::all(since, &kept.definition);
        let events = self.parts.events.as_ref();
        let delta = fold(events, since, &measures, before, &kept.definition, reach.arrival).await?;
        kept.merged_before = kept.definition.kept_from(as_of).max(kept.merged_before);
        apply(&mut kept.cells, delta, &kept.definition, kept.merged_before);
        kept.cells.retain(|_, sums| !sums.is_empty());
        kept.arrival = Some(reach.arrival);
        Ok(as_of)
    }

    /// A launch of which nothing was folded yet; none where no judgement is on record.
    async fn rolled_back_now(&self, launch: &Launch, since: &Launch) -> Result<Option<RolledBack>> {
        let decision = self.parts.store.latest_decision(launch.id, true).await?;
        let Some(judgement) = decision.and_then(|decision| decision.judgement) else {
            return Ok(None);
        };
        let mut definition = Definition::of(since, self.width_ms());
        definition.with_reverted = true;
        if let Some((position, _)) = self.parts.store.measured(launch.id).await? {
            definition.thresholds = position.definition.thresholds;
        }
        let (arrival, merged_before, cells) = (None, Timestamp::default(), Cells::new());
        Ok(Some(RolledBack { judgement, arrival, merged_before, definition, cells }))
    }
}
