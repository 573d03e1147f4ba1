//! The guard: looks at every live launch, whatever its state, and carries out what the look calls for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::analysis::decision::{DecisionKind, Judgement};
use crate::analysis::judge::judge;
use crate::analysis::measurement::Measurement;
use crate::analysis::plan::plan;
use crate::clock::Clock;
use crate::domain::launch::{Launch, Target};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::EventStore;
use crate::events::sqlite::{Cut, SqliteEvents};
use crate::ingest::Ingest;
use crate::live::Live;

/// How many launches are looked at side by side.
const LOOKS_AT_ONCE: usize = 8;
/// How often the guard asks whether there is something new to look at.
const NEWS: Duration = Duration::from_secs(1);

/// The guard with all it works on.
#[derive(Debug)]
pub struct Guard {
    /// What is in force.
    pub live: Arc<Live>,
    /// What happened.
    pub events: Arc<dyn EventStore>,
    /// What it measures on; without it every metric is blind.
    pub moments: Option<SqliteEvents>,
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
            let watermark = match guard.events.reach(&[]).await {
                Ok(reach) => reach.watermark,
                Err(error) => {
                    tracing::error!(error = error.in_full(), "the watermark could not be read");
                    None
                }
            };
            // A change of the configuration is news too: a launch that has just begun is looked at soon.
            let news = Some((watermark, guard.live.in_force().catalogue.revision));
            if news != seen || looked_at.elapsed() >= guard.tick {
                (seen, looked_at) = (news, tokio::time::Instant::now());
                look(&guard, watermark, &stop).await;
            }
            tokio::select! {
                () = tokio::time::sleep(guard.tick.min(NEWS)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One look at one launch.
    async fn look_at(&self, launch: &Launch, watermark: Option<Timestamp>) {
        let judgement = Arc::new(self.judge(launch, watermark).await);
        self.live.note_judgement(launch.id, &judgement);
        if let Err(error) = self.act(launch, &judgement).await {
            let error = error.in_full();
            tracing::error!(error, launch = %launch.id, "the guard could not act; it tries again at the next look");
        }
    }

    async fn judge(&self, launch: &Launch, watermark: Option<Timestamp>) -> Judgement {
        let measurement = self.measure(launch, watermark).await.unwrap_or_else(|error| {
            tracing::error!(error = error.in_full(), launch = %launch.id, "the launch could not be measured and is blind");
            None
        });
        judge(launch, measurement.as_ref(), self.clock.now())
    }

    /// Measures on what is complete: logged events up to their watermark, exposures up to what is stored. Where no
    /// guardrail is made from events, none are waited for.
    async fn measure(&self, launch: &Launch, watermark: Option<Timestamp>) -> Result<Option<Measurement>> {
        let exposures = self.ingest.exposures_until();
        let needs_events = launch.guardrails().any(|pinned| !pinned.metric.event.is_empty());
        let events = if needs_events { watermark } else { Some(exposures) };
        let (Some(events), Some(moments)) = (events, &self.moments) else {
            return Ok(None);
        };
        let watermark = events.min(exposures);
        let as_of = watermark.plus_ms(-self.allowed_lateness_ms);
        let bucket_ms = i64::try_from(self.tick.as_millis()).unwrap_or(i64::MAX).max(1);
        let measured = moments.measure(launch, Cut { as_of, watermark, bucket_ms }).await?;
        Ok(Some(Measurement { shares: self.shares(launch), ..measured }))
    }

    /// Shares of an experiment's groups, which are fixed from its start.
    fn shares(&self, launch: &Launch) -> BTreeMap<String, f64> {
        let Target::Experiment { experiment } = &launch.target else {
            return BTreeMap::new();
        };
        let in_force = self.live.in_force();
        let stored = in_force.catalogue.experiments.get(experiment);
        let groups = stored.iter().flat_map(|stored| &stored.document.groups);
        groups.map(|group| (group.name.clone(), group.weight)).collect()
    }

    async fn act(&self, launch: &Launch, judgement: &Judgement) -> Result<()> {
        // As of the look, so that the plan can be made again from what is recorded of it.
        let now = judgement.at;
        let in_force = self.live.in_force();
        let latch = in_force.catalogue.closed_latch(&launch.target, None, now).map(AsRef::as_ref);
        let plan = plan(launch, judgement, latch, now);
        let wrote = self.admin.carry_out(launch, judgement, latch, &plan).await?;
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

/// One look at every live launch, some side by side, each in a task of its own: one that fails, or panics, does not keep the
/// others from theirs. A stop ends those that are under way where they wait; what is being written is written.
async fn look(guard: &Arc<Guard>, watermark: Option<Timestamp>, stop: &CancellationToken) {
    let in_force = guard.live.in_force();
    let mut looks = JoinSet::new();
    for launch in in_force.catalogue.launches.values().filter(|launch| launch.is_live()) {
        let (guard, launch) = (Arc::clone(guard), Arc::clone(launch));
        if looks.len() >= LOOKS_AT_ONCE && !end_one(&mut looks, stop).await {
            return;
        }
        looks.spawn(async move { guard.look_at(&launch, watermark).await });
    }
    while !looks.is_empty() {
        if !end_one(&mut looks, stop).await {
            return;
        }
    }
    guard.live.forget_ended(&guard.live.in_force().catalogue);
}

/// Waits until a look has ended. False at the stop.
async fn end_one(looks: &mut JoinSet<()>, stop: &CancellationToken) -> bool {
    tokio::select! {
        ended = looks.join_next() => {
            if let Some(Err(error)) = ended {
                tracing::error!(%error, "a look of the guard failed; it looks again with the next tick");
            }
            true
        }
        () = stop.cancelled() => false,
    }
}
