//! The way to durability: the store, or the local disk while the store is not available.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use crate::clock::Clock;
use crate::database::is_of_the_data;
use crate::domain::event::{Event, Exposure};
use crate::error::{Error, Result};
use crate::events::spool::{Spool, Spooled};
use crate::events::{Appended, EventStore, Outcomes};

/// How long the store is left alone after it was not available.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether something waits.
const LOOK: Duration = Duration::from_millis(100);
/// Batches that are stored together at most.
const MOST_BATCHES: usize = 64;

/// Where everything goes. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Durable {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) spool: Arc<Spool>,
    pub(super) counts: Counts,
    pub(super) clock: Clock,
    /// Shut while the last that waits is stored. Else what comes meanwhile would wait behind it, and so on for ever.
    pub(super) door: Arc<RwLock<()>>,
}

/// How fast the store takes what waited.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Batches that it is given together.
    most: usize,
    /// Whether it took the last ones.
    keeps_up: bool,
}

impl Durable {
    /// Makes a batch durable. What waits goes first: while there is any, new batches go behind it. For what waits it is not
    /// known yet whether it is there already; it counts as stored.
    pub(super) async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        let open = self.door.read().await;
        if !self.spool.is_empty() {
            return self.spool(events, exposures).await;
        }
        drop(open);
        match self.store(events, exposures).await {
            Err(Error::Unavailable(cause)) => {
                tracing::warn!(cause, "the store is not available: events wait on the local disk");
                self.spool(events, exposures).await
            }
            done => done,
        }
    }

    /// Stores what waits, in the order in which it came, until the stop; what is left then is stored after the next start.
    pub(super) async fn drain(self, stop: CancellationToken) {
        let mut pace = Pace { most: MOST_BATCHES, keeps_up: false };
        while !stop.is_cancelled() {
            let pause = match self.drain_some(&mut pace).await {
                Ok(true) => continue,
                Ok(false) => LOOK,
                Err(error) => {
                    tracing::warn!(
                        cause = error.in_full(),
                        "what waits on the local disk was not stored yet"
                    );
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Stores the oldest that wait, at most so many batches; says whether there were any. A store that is too slow for them
    /// is given half of them the next time, and more again once it keeps up.
    async fn drain_some(&self, pace: &mut Pace) -> Result<bool> {
        if self.spool.is_empty() {
            return Ok(false);
        }
        let is_last = pace.keeps_up && self.spool.state().batches <= pace.most as u64;
        let _shut = if is_last { Some(self.door.write().await) } else { None };
        let batches = self.spool.oldest(pace.most).await?;
        pace.keeps_up = false;
        match self.store_all(&batches).await {
            Ok(()) => self.spool.remove(&batches).await?,
            Err(error) if is_of_the_data(&error) => {
                tracing::error!(error = error.in_full(), "what waited is not stored together");
                for batch in &batches {
                    self.drain_one(batch).await?;
                }
            }
            Err(error) => {
                pace.most = batches.len().div_ceil(2);
                return Err(error);
            }
        }
        *pace = Pace { most: pace.most.saturating_mul(2).min(MOST_BATCHES), keeps_up: true };
        if self.spool.is_empty() {
            tracing::info!("nothing waits on the local disk any more");
        }
        Ok(true)
    }

    /// Stores a batch by halves, so that what the store will not take is set aside alone.
    async fn drain_one(&self, batch: &Spooled) -> Result<()> {
        let events: Vec<&Event> = batch.events.iter().collect();
        let exposures: Vec<&Exposure> = batch.exposures.iter().collect();
        let (mut rest, mut refused) = (vec![(&events[..], &exposures[..])], Vec::new());
        while let Some((events, exposures)) = rest.pop() {
            let Err(error) = self.store(events, exposures).await else {
                continue;
            };
            if !is_of_the_data(&error) {
                return Err(error);
            }
            if let Some((first, second)) = halves(events, exposures) {
                rest.extend([second, first]);
                continue;
            }
            let (error, event) = (error.in_full(), events.first().map(|event| event.id.as_str()));
            tracing::error!(error, event, "the store refuses what waited: it is set aside");
            refused.push((events, exposures));
        }
        self.spool.set_aside(batch, &refused).await
    }

    async fn store_all(&self, batches: &[Spooled]) -> Result<()> {
        let events: Vec<&Event> = batches.iter().flat_map(|batch| &batch.events).collect();
        let exposures: Vec<&Exposure> = batches.iter().flat_map(|batch| &batch.exposures).collect();
        self.store(&events, &exposures).await.map(|_| ())
    }

    async fn store(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        let outcomes = self.store.append(events, exposures).await?;
        self.counts.store(&outcomes);
        Ok(outcomes)
    }

    async fn spool(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        self.spool.push(&[(events, exposures)], self.clock.now()).await?;
        self.counts.spool(events.len());
        let stored = |count| vec![Appended::Stored; count];
        Ok(Outcomes { events: stored(events.len()), exposures: stored(exposures.len()) })
    }
}

/// Events and exposures that are stored together.
type Set<'s> = (&'s [&'s Event], &'s [&'s Exposure]);

/// Two halves of a set, exposures before events; none of what is one.
fn halves<'s>(events: &'s [&'s Event], exposures: &'s [&'s Exposure]) -> Option<(Set<'s>, Set<'s>)> {
    if !events.is_empty() && !exposures.is_empty() {
        return Some(((&[], exposures), (events, &[])));
    }
    if events.len() + exposures.len() < 2 {
        return None;
    }
    let (first, second) = events.split_at(events.len() / 2);
    let (earlier, later) = exposures.split_at(exposures.len() / 2);
    Some(((first, earlier), (second, later)))
}
