//! What became of harmed guardrails since their treatment was turned off, folded from what was stored since. It is kept in memory only: all of
//! it follows from events and exposures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Measurer;
use crate::analysis::decision::{Decision, DecisionAction, DecisionKind, Judgement};
use crate::analysis::fold::{Cells, Cut, Definition, Measure, Stop, apply, measurement};
use crate::analysis::measurement::KEPT_BUCKETS;
use crate::analysis::recovery::{Recovery, Since, recoveries, since_turned_off};
use crate::domain::launch::{Launch, LaunchId};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::Reach;
use crate::events::folding::fold;
use crate::store::DecisionQuery;

/// Decisions that are looked through for the one by which an arm was stopped.
const MOST_DECISIONS: i64 = 1_000;

/// What is kept of a launch, or of one arm, that was turned off.
#[derive(Debug)]
pub(super) struct TurnedOff {
    /// What that rests on.
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
    /// Tells of all launches and arms that were turned off lately. Where one cannot be measured, what was told of it stands.
    async fn tell_recoveries(&self) {
        let live = &self.parts.live;
        let in_force = live.in_force();
        let now = self.parts.clock.now();
        let mut told: BTreeMap<LaunchId, Vec<Recovery>> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for launch in in_force.catalogue.launches.values() {
            for since in since_turned_off(launch, now) {
                let found = self.recoveries(launch, &since).await.unwrap_or_else(|error| {
                    let error = error.in_full();
                    tracing::error!(error, launch = %launch.id, "the recovery could not be measured");
                    let mut before = live.recoveries(launch.id);
                    before.retain(|recovery| since.arm.as_ref().is_none_or(|arm| *arm == recovery.arm));
                    before
                });
                told.entry(launch.id).or_default().extend(found);
                known.insert((launch.id, since.arm));
            }
        }
        self.turned_off.lock().await.retain(|of, _| known.contains(of));
        live.note_recoveries(told);
    }

    async fn recoveries(&self, launch: &Launch, since: &Since) -> Result<Vec<Recovery>> {
        let exposures_until = self.parts.ingest.exposures_until();
        let reach = self.parts.events.reach(&[]).await?;
        let of = (launch.id, since.arm.clone());
        let kept = self.turned_off.lock().await.remove(&of);
        let kept = match kept {
            Some(kept) => Some(kept),
            None => self.turned_off_now(launch, since).await?,
        };
        let (Some(mut kept), Some(watermark)) = (kept, reach.watermark) else {
            return Ok(Vec::new());
        };
        let watermark = watermark.min(exposures_until);
        let as_of = self.fold_since(since, &mut kept, &reach, watermark).await?;
        let measures = Measure::all(&since.launch, &kept.definition);
        let cut = Cut { as_of, watermark };
        let found = measurement(&since.launch, &kept.definition, &measures, &kept.cells, cut);
        let recoveries = recoveries(launch, since.arm.as_deref(), &kept.judgement, &found);
        self.turned_off.lock().await.insert(of, kept);
        Ok(recoveries)
    }

    /// Folds what is new; gives the event time up to which everything is counted.
    async fn fold_since(
        &self,
        since: &Since,
        kept: &mut TurnedOff,
        reach: &Reach,
        watermark: Timestamp,
    ) -> Result<Timestamp> {
        // A launch of which one arm was stopped goes on, and may come to other epochs.
        let mut definition = self.definition_since(since);
        definition.keep_frozen(&kept.definition);
        let mut earlier = std::mem::replace(&mut kept.definition, definition);
        if kept.arrival.is_some() && !kept.definition.carries_on(&earlier, kept.merged_before) {
            kept.cells.clear();
            (kept.arrival, kept.merged_before) = (None, Timestamp::default());
        }
        if kept.arrival.is_none() {
            // As if the epochs were new to what is known: their units are read, and none of the many that came before.
            earlier.epochs.clear();
        }
        let as_of = self.as_of(watermark);
        let kept_ms = kept.definition.width_ms.saturating_mul(KEPT_BUCKETS);
        let as_of = as_of.max(kept.merged_before.plus_ms(kept_ms));
        let before = Some((kept.arrival.unwrap_or(reach.arrival), &earlier));
        let measures = Measure::all(&since.launch, &kept.definition);
        let events = self.parts.events.as_ref();
        kept.merged_before = kept.definition.kept_from(as_of).max(kept.merged_before);
        let into = (&kept.definition, kept.merged_before);
        let delta = fold(events, &since.launch, &measures, before, into, reach.arrival).await?;
        apply(&mut kept.cells, delta, &kept.definition, kept.merged_before);
        kept.cells.retain(|_, sums| !sums.is_empty());
        kept.arrival = Some(reach.arrival);
        Ok(as_of)
    }

    fn definition_since(&self, since: &Since) -> Definition {
        let at = since.launch.started_at;
        let mut definition = Definition::of(&since.launch, self.width_ms());
        definition.with_reverted = true;
        definition.since_stop = since.arm.clone().map(|arm| Stop { arm, at });
        definition
    }

    /// What nothing was folded of yet; none where no judgement is on record.
    async fn turned_off_now(&self, launch: &Launch, since: &Since) -> Result<Option<TurnedOff>> {
        let decision = match &since.arm {
            Some(arm) => self.stop_of(launch, arm).await?,
            None => self.parts.store.latest_decision(launch.id, true).await?,
        };
        let Some(judgement) = decision.and_then(|decision| decision.judgement) else {
            return Ok(None);
        };
        let mut definition = self.definition_since(since);
        if let Some((position, _)) = self.parts.store.measured(launch.id).await? {
            definition.thresholds = position.definition.thresholds;
        }
        let (arrival, merged_before, cells) = (None, Timestamp::default(), Cells::new());
        Ok(Some(TurnedOff { judgement, arrival, merged_before, definition, cells }))
    }

    /// The decision by which an arm was stopped.
    async fn stop_of(&self, launch: &Launch, arm: &str) -> Result<Option<Decision>> {
        // Arms are few, and each is stopped once.
        let query = DecisionQuery {
            launch: Some(launch.id),
            kinds: vec![DecisionKind::RollBack],
            limit: MOST_DECISIONS,
            ..DecisionQuery::default()
        };
        let recorded = self.parts.store.decisions(&query).await?;
        let is_stop = |decision: &Decision| {
            decision.action == DecisionAction::StopArm && decision.arm.as_deref() == Some(arm)
        };
        Ok(recorded.into_iter().map(|recorded| recorded.decision).find(is_stop))
    }
}
