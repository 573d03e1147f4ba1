//! The guard: looks at every live launch, whatever its state, and carries out what the look calls for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::analysis::decision::{DecisionKind, Judgement};
use crate::analysis::judge::judge;
use crate::analysis::plan::plan;
use crate::analysis::published::Published;
use crate::clock::Clock;
use crate::domain::launch::{Launch, LaunchId};
use crate::error::{Error, Result};
use crate::failpoint::reach;
use crate::live::Live;
use crate::store::lease::Fence;

/// How many launches are judged side by side.
const JUDGED_AT_ONCE: usize = 8;
/// How often an act is tried again because somebody else has changed the configuration meanwhile.
const AGAIN: usize = 5;
/// How often the guard asks whether the configuration has changed.
const NEWS: Duration = Duration::from_secs(1);

/// The guard with all it works on. It judges by published numbers alone.
#[derive(Debug)]
pub struct Guard {
    /// What is in force, and what is published.
    pub live: Arc<Live>,
    /// How it acts.
    pub admin: Admin,
    /// Tells the time.
    pub clock: Clock,
    /// The longest time between two looks.
    pub tick: Duration,
}

impl Guard {
    /// Looks until the stop, every tick and as soon as there are new numbers.
    pub async fn run(self, stop: CancellationToken) {
        let guard = Arc::new(self);
        let mut published = guard.live.watch_published();
        let mut leadership = guard.live.watch_leadership();
        let mut seen = None;
        let mut looked = HashMap::new();
        let mut acts = Acts::default();
        while !stop.is_cancelled() {
            // A change of the configuration is news too: a launch that has just begun is looked at soon.
            // And so is that it is on this server to act.
            let leads = leadership.borrow_and_update().leads();
            published.borrow_and_update();
            let news = Some((guard.live.in_force().catalogue.revision, leads));
            if news != seen {
                seen = news;
                looked.clear();
            }
            look(&guard, &mut looked, &mut acts).await;
            tokio::select! {
                _ = published.changed() => {}
                _ = leadership.changed() => {}
                launch = acts.next() => drop(looked.remove(&launch)),
                () = tokio::time::sleep(guard.tick.min(NEWS)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One look at one launch. Nothing new in it stops protection, and nothing old is taken for fresh. Every server judges,
    /// and the one with the lease acts, on numbers that it has measured itself.
    fn judge(&self, launch: Arc<Launch>, published: Option<Arc<Published>>) -> Look {
        // As of before anything is read, so that what was read before another server took over is refused.
        let leads = self.live.leadership().leads();
        let measurement = published.as_ref().map(|published| &published.measurement);
        let judgement = Arc::new(judge(&launch, measurement, self.clock.now()));
        self.live.note_judgement(launch.id, &judgement);
        let is_own = published.is_none_or(|published| published.has_buckets());
        Look { launch, judgement, fence: leads.filter(|_| is_own) }
    }

    /// Carries out what a look calls for.
    async fn act_on(&self, fence: Fence, launch: &Launch, judgement: &Judgement) {
        let mut acted = self.act(fence, launch, judgement).await;
        for _ in 0..AGAIN {
            // Somebody else's change was first. Protection does not wait for the next look.
            if !matches!(acted, Err(Error::Conflict { .. })) {
                break;
            }
            acted = self.act(fence, launch, judgement).await;
        }
        if let Err(error) = acted {
            let error = error.in_full();
            tracing::error!(error, launch = %launch.id, "the guard could not act; it tries again at the next look");
        }
    }

    async fn act(&self, fence: Fence, launch: &Launch, judgement: &Judgement) -> Result<()> {
        // As of the look, so that the plan can be made again from what is recorded of it.
        let now = judgement.at;
        let in_force = self.live.in_force();
        let latch = in_force.catalogue.closed_latch(&launch.target, None, now).map(AsRef::as_ref);
        let plan = plan(launch, judgement, latch, now);
        reach("before", plan.kind.name()).await;
        let wrote = self.admin.carry_out(fence, launch, judgement, latch, &plan).await?;
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

/// A launch as it was judged.
#[derive(Debug)]
struct Look {
    launch: Arc<Launch>,
    judgement: Arc<Judgement>,
    /// What to act under; none where it is not on this server to act.
    fence: Option<Fence>,
}

/// What a launch was last looked at by, and when.
#[derive(Clone, Copy, Debug)]
struct Looked {
    /// Number of what is published; none where there was nothing.
    number: Option<i64>,
    at: Instant,
}

/// What is being carried out, at most one act for a launch, each in a task of its own: one that fails, panics, or waits for a
/// store that is away does not keep others from theirs, nor anybody from being judged. Dropping ends those that are under way
/// where they wait; what is being written is written.
#[derive(Debug, Default)]
struct Acts {
    tasks: JoinSet<()>,
    under_way: HashMap<Id, (LaunchId, Waiting)>,
}

/// Whether a launch was judged anew while the guard was acting on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Judgement,
}

impl Acts {
    /// Acts on a look, unless the guard is still acting on one before it.
    fn begin(&mut self, guard: &Arc<Guard>, look: Look) {
        let Some(fence) = look.fence else {
            return;
        };
        let id = look.launch.id;
        if let Some((_, waiting)) = self.under_way.values_mut().find(|(launch, _)| *launch == id) {
            *waiting = Waiting::Judgement;
            return;
        }
        let guard = Arc::clone(guard);
        let task = self.tasks.spawn(async move { guard.act_on(fence, &look.launch, &look.judgement).await });
        self.under_way.insert(task.id(), (id, Waiting::Nothing));
    }

    /// Waits for acts to end, until there is one whose launch was judged anew meanwhile: that launch. Nothing is lost by giving
    /// up waiting.
    async fn next(&mut self) -> LaunchId {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let task = match ended {
                Ok((task, ())) => task,
                Err(error) => {
                    tracing::error!(%error, "an act of the guard failed; it looks again with the next tick");
                    error.id()
                }
            };
            if let Some((launch, Waiting::Judgement)) = self.under_way.remove(&task) {
                return launch;
            }
        }
    }
}

/// One look at every live launch that was measured and has new numbers, or was not looked at for a tick; some are judged side by
/// side. What it calls for is then carried out in the background.
async fn look(guard: &Arc<Guard>, looked: &mut HashMap<LaunchId, Looked>, acts: &mut Acts) {
    let (in_force, begun) = (guard.live.in_force(), Instant::now());
    let mut looks = JoinSet::new();
    for launch in in_force.catalogue.launches.values().filter(|launch| launch.is_live()) {
        let Some(published) = guard.live.published(launch.id) else {
            continue;
        };
        let number = published.as_ref().map(|published| published.number);
        let is_known = |last: &Looked| last.number == number && begun.duration_since(last.at) < guard.tick;
        if looked.get(&launch.id).is_some_and(is_known) {
            continue;
        }
        looked.insert(launch.id, Looked { number, at: begun });
        if looks.len() >= JUDGED_AT_ONCE {
            act_on_next(guard, &mut looks, acts).await;
        }
        let (judging, launch) = (Arc::clone(guard), Arc::clone(launch));
        looks.spawn(async move { judging.judge(launch, published) });
    }
    while !looks.is_empty() {
        act_on_next(guard, &mut looks, acts).await;
    }
    let catalogue = &guard.live.in_force().catalogue;
    looked.retain(|id, _| catalogue.launches.get(id).is_some_and(|launch| launch.is_live()));
    guard.live.forget_ended(catalogue);
}

/// Waits for the next judgement, and begins to act on it.
async fn act_on_next(guard: &Arc<Guard>, looks: &mut JoinSet<Look>, acts: &mut Acts) {
    match looks.join_next().await {
        Some(Ok(look)) => acts.begin(guard, look),
        Some(Err(error)) => {
            tracing::error!(%error, "a look of the guard failed; it looks again with the next tick");
        }
        None => {}
    }
}
