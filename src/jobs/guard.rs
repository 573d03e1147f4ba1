//! The guard: looks at every live launch, whatever its state, and carries out what the look calls for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::analysis::decision::{DecisionKind, Judgement};
use crate::analysis::judge::judge;
use crate::analysis::measurement::Measurement;
use crate::analysis::plan::plan;
use crate::clock::Clock;
use crate::domain::catalogue::Catalogue;
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::EventStore;
use crate::ingest::Ingest;
use crate::live::Live;

/// How often the guard asks whether there is something new to look at.
const NEWS: Duration = Duration::from_secs(1);

/// The guard with all it works on.
#[derive(Debug)]
pub struct Guard {
    /// What is in force.
    pub live: Arc<Live>,
    /// What it measures on.
    pub events: EventStore,
    /// Tells how far exposures are stored.
    pub ingest: Ingest,
    /// How it acts.
    pub admin: Admin,
    /// Tells the time.
    pub clock: Clock,
    /// The longest time between two looks.
    pub tick: Duration,
    /// How long after its time an event is waited for, in milliseconds.
    pub allowed_lateness_ms: i64,
}

impl Guard {
    /// Looks until the stop, every tick and as soon as there are new events.
    pub async fn run(self, stop: CancellationToken) {
        let guard = Arc::new(self);
        let mut seen = None;
        let mut looked_at = tokio::time::Instant::now();
        while !stop.is_cancelled() {
            let watermark = guard.events.watermark().await.unwrap_or_else(|error| {
                tracing::error!(%error, "the watermark could not be read");
                None
            });
            // A change of the configuration is news too: a launch that has just begun is looked at soon.
            let news = Some((watermark, guard.live.in_force().catalogue.revision));
            if news != seen || looked_at.elapsed() >= guard.tick {
                (seen, looked_at) = (news, tokio::time::Instant::now());
                let look = Arc::clone(&guard);
                // In a task of its own: a look that panics must not be the last one.
                if let Err(error) = tokio::spawn(async move { look.look(watermark).await }).await {
                    tracing::error!(%error, "a look of the guard failed; the next one comes with the next tick");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(guard.tick.min(NEWS)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One look at every live launch. A launch whose look fails does not keep the others from theirs.
    async fn look(&self, watermark: Option<Timestamp>) {
        let in_force = self.live.in_force();
        let mut judgements = BTreeMap::new();
        for launch in in_force.catalogue.launches.values().filter(|launch| launch.is_live()) {
            let judgement = Arc::new(self.judge(launch, watermark).await);
            judgements.insert(launch.id, Arc::clone(&judgement));
            if let Err(error) = self.act(&in_force.catalogue, launch, &judgement).await {
                tracing::error!(%error, launch = %launch.id, "the guard could not act; it tries again at the next look");
            }
        }
        self.live.note_judgements(judgements);
    }

    async fn judge(&self, launch: &Launch, watermark: Option<Timestamp>) -> Judgement {
        let measurement = self.measure(launch, watermark).await.unwrap_or_else(|error| {
            tracing::error!(%error, launch = %launch.id, "the launch could not be measured and is blind");
            None
        });
        judge(launch, measurement.as_ref(), self.clock.now())
    }

    /// Measures on what is complete: logged events up to their watermark, exposures up to what is stored. A launch
    /// without guardrails waits for no events.
    async fn measure(&self, launch: &Launch, watermark: Option<Timestamp>) -> Result<Option<Measurement>> {
        let exposures = self.ingest.exposures_until();
        let events = if launch.guardrails().next().is_none() { Some(exposures) } else { watermark };
        let Some(events) = events else {
            return Ok(None);
        };
        let as_of = events.min(exposures).plus_ms(-self.allowed_lateness_ms);
        self.events.measure(launch, as_of).await.map(Some)
    }

    async fn act(&self, catalogue: &Catalogue, launch: &Launch, judgement: &Judgement) -> Result<()> {
        let now = self.clock.now();
        let latch = catalogue.closed_latch(&launch.target, None, now);
        let plan = plan(launch, judgement, latch.map(AsRef::as_ref), now);
        let wrote = self.admin.carry_out(launch, judgement, &plan).await?;
        if wrote {
            let (target, e_value) = (&launch.target, judgement.ln_e.exp());
            if plan.kind == DecisionKind::RollBack {
                tracing::warn!(launch = %launch.id, %target, e_value, action = ?plan.action, "harm: treatment turned off");
            } else {
                tracing::info!(launch = %launch.id, %target, e_value, kind = %plan.kind, action = ?plan.action, "decision");
            }
        }
        Ok(())
    }
}
