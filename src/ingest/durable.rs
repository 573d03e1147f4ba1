//! The way to durability: the store, or the local disk while the store is not available.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use crate::clock::Clock;
use crate::domain::event::{Event, Exposure};
use crate::error::{Error, Result};
use crate::events::spool::{Spool, Spooled};
use crate::events::{Appended, EventStore};

/// How long the store is left alone after it was not available.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether something waits.
const LOOK: Duration = Duration::from_millis(100);

/// Where everything goes. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Durable {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) spool: Arc<Spool>,
    pub(super) counts: Counts,
    pub(super) clock: Clock,
}

impl Durable {
    /// Makes a batch durable. What waits goes first: while there is any, new batches go behind it. For events that wait it
    /// is not known yet whether they are there already; they count as stored.
    pub(super) async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Vec<Appended>> {
        if !self.spool.is_empty() {
            return self.spool(events, exposures).await;
        }
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
        while !stop.is_cancelled() {
            let pause = match self.drain_some().await {
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

    /// Stores the oldest that wait; says whether there were any.
    async fn drain_some(&self) -> Result<bool> {
        if self.spool.is_empty() {
            return Ok(false);
        }
        let batches = self.spool.oldest().await?;
        match self.store_all(&batches).await {
            Ok(()) => self.spool.remove(&batches).await?,
            Err(unavailable @ Error::Unavailable(_)) => return Err(unavailable),
            Err(error) => {
                tracing::error!(error = error.in_full(), "what waited is not stored together");
                for batch in batches {
                    self.drain_one(batch).await?;
                }
            }
        }
        if self.spool.is_empty() {
            tracing::info!("nothing waits on the local disk any more");
        }
        Ok(true)
    }

    async fn drain_one(&self, batch: Spooled) -> Result<()> {
        match self.store_all(std::slice::from_ref(&batch)).await {
            Ok(()) => self.spool.remove(&[batch]).await,
            Err(unavailable @ Error::Unavailable(_)) => Err(unavailable),
            Err(error) => {
                let events = batch.events.len();
                tracing::error!(
                    error = error.in_full(),
                    events,
                    "a batch that waited is set aside: the store refuses it"
                );
                self.spool.refuse(&batch).await
            }
        }
    }

    async fn store_all(&self, batches: &[Spooled]) -> Result<()> {
        let events: Vec<&Event> = batches.iter().flat_map(|batch| &batch.events).collect();
        let exposures: Vec<&Exposure> = batches.iter().flat_map(|batch| &batch.exposures).collect();
        self.store(&events, &exposures).await.map(|_| ())
    }

    async fn store(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Vec<Appended>> {
        let outcomes = self.store.append(events, exposures).await?;
        let stored = outcomes.iter().filter(|outcome| **outcome == Appended::Stored).count();
        self.counts.store(stored, outcomes.len() - stored, exposures.len());
        Ok(outcomes)
    }

    async fn spool(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Vec<Appended>> {
        self.spool.push(&[(events, exposures)], self.clock.now()).await?;
        self.counts.spool(events.len());
        Ok(vec![Appended::Stored; events.len()])
    }
}
