//! Delivers decisions to webhooks: what stands in the outbox is sent until it is taken, or given up.

mod address;
mod lane;
mod post;
mod signature;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::Result;
use crate::live::Live;
use crate::store::lease::Fence;
use crate::store::{Recorded, Store};
use lane::Lane;
use post::Post;

pub use signature::sign;

/// How often retries that have become due are looked for; what is new is sent at once.
const PERIOD: Duration = Duration::from_secs(1);

/// How a decision is written in a notice. The form is that of an edge, and handed in from there.
#[derive(Clone)]
pub struct Form(Arc<Writing>);

/// A function that writes a decision.
type Writing = dyn Fn(&Recorded) -> Result<String> + Send + Sync;

/// The lanes that are under way, by webhook.
type Lanes = BTreeMap<String, JoinHandle<()>>;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// How often a delivery is attempted before it is given up.
    pub attempts: u32,
    /// How long the second attempt waits; each wait after it is twice as long.
    pub retry: Duration,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Whether private and loopback addresses may be sent to.
    pub private_addresses: bool,
    /// Folder of secrets that webhooks name.
    pub secrets_dir: PathBuf,
}

/// The delivering job with all it works on.
#[derive(Debug)]
pub struct Deliver {
    shared: Arc<Shared>,
}

/// What all lanes share.
#[derive(Debug)]
struct Shared {
    live: Arc<Live>,
    store: Store,
    clock: Clock,
    form: Form,
    post: Post,
    settings: DeliverySettings,
}

impl Form {
    /// Writes by a function.
    pub fn of(write: impl Fn(&Recorded) -> Result<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    fn write(&self, recorded: &Recorded) -> Result<String> {
        (self.0)(recorded)
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Form")
    }
}

impl Deliver {
    /// A job that has not begun.
    pub fn new(
        live: Arc<Live>,
        store: Store,
        clock: Clock,
        form: Form,
        settings: DeliverySettings,
    ) -> Result<Self> {
        let post = Post::new(settings.timeout, settings.private_addresses)?;
        Ok(Self { shared: Arc::new(Shared { live, store, clock, form, post, settings }) })
    }

    /// Delivers until the stop, while this server holds the lease. Each webhook has a lane of its own, so that one that does not answer keeps none of the
    /// others waiting.
    pub async fn run(self, stop: CancellationToken) {
        let mut news = self.shared.live.watch_decisions();
        let mut leadership = self.shared.live.watch_leadership();
        let mut lanes: Lanes = Lanes::new();
        let mut answers = true;
        while !stop.is_cancelled() {
            lanes.retain(|_, lane| !lane.is_finished());
            let leads = leadership.borrow_and_update().leads();
            if let Some(fence) = leads {
                let due = self.due().await;
                if let Err(error) = &due
                    && answers
                {
                    tracing::error!(error = error.in_full(), "the outbox could not be read");
                }
                answers = due.is_ok();
                self.open_lanes(fence, due.unwrap_or_default(), &mut lanes, &stop);
            }
            tokio::select! {
                _ = news.changed() => {}
                _ = leadership.changed() => {}
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => {}
            }
        }
        for (webhook, lane) in lanes {
            if let Err(error) = lane.await {
                tracing::error!(%error, webhook, "a delivery did not end cleanly");
            }
        }
    }

    /// Begins a lane for each webhook that has none.
    fn open_lanes(&self, fence: Fence, due: Vec<String>, lanes: &mut Lanes, stop: &CancellationToken) {
        for webhook in due {
            lanes.entry(webhook).or_insert_with_key(|webhook| {
                let lane = Lane { shared: Arc::clone(&self.shared), webhook: webhook.clone(), fence };
                tokio::spawn(lane.run(stop.clone()))
            });
        }
    }

    /// Webhooks that something is due for. One that is switched off keeps what it has until it is switched on.
    async fn due(&self) -> Result<Vec<String>> {
        let mut due = self.shared.store.due_webhooks(self.shared.clock.now()).await?;
        let in_force = self.shared.live.in_force();
        let is_off = |webhook: &String| {
            let stored = in_force.catalogue.webhooks.get(webhook);
            stored.is_some_and(|stored| !stored.archived && !stored.document.active)
        };
        due.retain(|webhook| !is_off(webhook));
        Ok(due)
    }
}
