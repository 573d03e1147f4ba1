//! Holds the lease of the guard, or waits for it: one of all servers on a database acts.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::{Clock, new_id};
use crate::error::Result;
use crate::live::Live;
use crate::live::leadership::Leadership;
use crate::store::Store;
use crate::store::lease::{Fence, Holder};

/// Name of the file in the data folder that tells this server from others, also after a restart.
const ID_FILE: &str = "server-id";
/// How often within its length the lease is renewed, or asked for.
const TIMES: u32 = 3;
/// The least wait before the lease is asked for again.
const LEAST_WAIT: Duration = Duration::from_millis(20);

/// The job with all it works on.
#[derive(Debug)]
pub struct Lead {
    live: Arc<Live>,
    store: Store,
    holder: Holder,
    /// How long the lease lasts unless it is renewed.
    length: Duration,
    /// Whether this server may have the lease without knowing: an earlier process had it, or an answer was lost.
    is_unsure: bool,
}

impl Lead {
    /// A job that has not begun. `holder` may hold the lease for `length` at a time.
    #[must_use]
    pub fn new(live: Arc<Live>, store: Store, holder: Holder, length: Duration) -> Self {
        Self { live, store, holder, length, is_unsure: true }
    }

    /// Holds the lease or waits for it until the stop, then hands it back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut answers = true;
        while !stop.is_cancelled() {
            let looked = self.look().await;
            if let Err(error) = &looked
                && answers
            {
                tracing::error!(error = error.in_full(), "the lease of the guard could not be asked for");
            }
            answers = looked.is_ok();
            self.is_unsure = looked.is_err();
            tokio::select! {
                () = tokio::time::sleep(looked.unwrap_or(self.length / TIMES)) => {}
                () = stop.cancelled() => {}
            }
        }
        if let Some(fence) = self.live.leadership().leads() {
            self.live.note_leadership(Leadership { own_until: None, ..self.live.leadership() });
            if let Err(error) = self.store.release_lease(&self.holder, fence).await {
                let error = error.in_full();
                tracing::warn!(
                    error,
                    "the lease was not handed back; another server acts once it has run out"
                );
            }
        }
    }

    /// Renews the lease, or takes it where nobody holds it. Says after what time to look again.
    async fn look(&mut self) -> Result<Duration> {
        let before = self.live.leadership();
        // As of before the store is asked, since the lease may run from any moment between.
        let until = Instant::now() + self.length;
        let own = before.own_until.and(before.lease.as_ref()).map(|lease| lease.fence);
        if let Some(fence) = own
            && self.store.renew_lease(&self.holder, fence, self.length).await?
        {
            self.live.note_leadership(Leadership { own_until: Some(until), ..before });
            return Ok(self.length / TIMES);
        }
        let taken = self.store.take_lease(&self.holder, self.length, self.is_unsure).await?;
        let lease = self.store.lease().await?;
        // It may have run out again, where the answers took so long.
        let taken = taken && lease.holder == self.holder.id.to_string();
        let (fence, leader, left) = (lease.fence.0, lease.name.clone(), lease.left);
        if taken {
            tracing::info!(fence, "this server acts for the guard");
        } else if let Some(Fence(lost)) = own {
            tracing::warn!(lost, fence, leader, "another server acts for the guard");
        }
        self.live.note_leadership(Leadership { lease: Some(lease), own_until: taken.then_some(until) });
        // Whoever waits is there when the lease runs out.
        let wait = self.length / TIMES;
        Ok(if taken { wait } else { wait.min(left + Duration::from_millis(1)).max(LEAST_WAIT) })
    }
}

/// This server as a holder: told from others by a file in its data folder, which one process at a time has.
pub async fn holder(data_dir: &Path, name: String, clock: &Clock) -> io::Result<Holder> {
    let path = data_dir.join(ID_FILE);
    let known = match tokio::fs::read_to_string(&path).await {
        Ok(text) => Uuid::parse_str(text.trim()).ok(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(cause),
    };
    if let Some(id) = known {
        return Ok(Holder { id, name });
    }
    let id = new_id(clock.now());
    tokio::fs::write(&path, format!("{id}\n")).await?;
    Ok(Holder { id, name })
}
