//! The stream of decisions to one watcher, from a cursor on, until it goes away, falls behind, or the server stops.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::status::resumable;
use super::{records, wire};
use crate::admin::{Admin, DecisionQuery};

/// Decisions that are read, and may wait for a slow watcher, at a time.
const BATCH: usize = 100;

/// What a watcher gets.
pub(super) type DecisionStream =
    Pin<Box<dyn Stream<Item = Result<wire::WatchDecisionsResponse, Status>> + Send>>;

/// How a stream is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    /// How long nothing is sent before a heartbeat is.
    pub(super) heartbeat: Duration,
    /// How long what is sent may wait to be taken.
    pub(super) patience: Duration,
}

impl Watch {
    /// Begins to send what is wanted.
    pub(super) fn begin(
        self,
        admin: Admin,
        wanted: DecisionQuery,
        stop: CancellationToken,
    ) -> DecisionStream {
        // One place more than is ever filled, for the last word.
        let (sender, receiver) = mpsc::channel(BATCH + 1);
        let wanted = DecisionQuery { limit: i64::try_from(BATCH).unwrap_or(i64::MAX), ..wanted };
        let watcher = Watcher { admin, sender, wanted, watch: self, sent_at: Instant::now() };
        tokio::spawn(watcher.run(stop));
        Box::pin(ReceiverStream::new(receiver))
    }
}

struct Watcher {
    admin: Admin,
    sender: mpsc::Sender<Result<wire::WatchDecisionsResponse, Status>>,
    /// Its cursor moves on with what was sent.
    wanted: DecisionQuery,
    watch: Watch,
    sent_at: Instant,
}

/// Why a stream ends.
enum End {
    /// The watcher went away.
    Gone,
    /// It is told why.
    Told(Status),
}

impl Watcher {
    async fn run(mut self, stop: CancellationToken) {
        let Ok(last_word) = self.sender.clone().reserve_owned().await else {
            return;
        };
        let end = tokio::select! {
            end = self.watch() => end,
            () = stop.cancelled() => {
                let cursor = self.wanted.after;
                End::Told(resumable(Code::Unavailable, "SERVER_STOPPING", "the server is stopping", cursor))
            }
        };
        if let End::Told(status) = end {
            last_word.send(Err(status));
        }
    }

    async fn watch(&mut self) -> End {
        let mut news = self.admin.watch_decisions();
        loop {
            // Taken before reading, so that what comes in while reading is not missed.
            let until = *news.borrow_and_update();
            if let Err(end) = self.send_all(until).await {
                return end;
            }
            let heartbeat_at = self.sent_at + self.watch.heartbeat;
            let changed = tokio::select! {
                changed = news.changed() => changed.is_ok(),
                () = sleep_until(heartbeat_at) => true,
                () = self.sender.closed() => false,
            };
            if !changed {
                return End::Gone;
            }
            if Instant::now() >= heartbeat_at
                && let Err(end) = self.send(None, self.wanted.after).await
            {
                return end;
            }
        }
    }

    /// Sends everything that is wanted; once all is sent, the cursor stands at `until` or after.
    async fn send_all(&mut self, until: i64) -> Result<(), End> {
        loop {
            let recorded =
                self.admin.decisions(&self.wanted).await.map_err(|error| End::Told(error.into()))?;
            for decision in &recorded {
                self.send(Some(records::decision(decision)), decision.cursor).await?;
            }
            if recorded.len() < BATCH {
                self.wanted.after = self.wanted.after.max(until);
                return Ok(());
            }
        }
    }

    async fn send(&mut self, decision: Option<wire::Decision>, cursor: i64) -> Result<(), End> {
        let response = wire::WatchDecisionsResponse { decision, cursor };
        // Where there is room it goes at once; a full channel is a watcher that does not take what was sent before.
        let sent = timeout(self.watch.patience, self.sender.send(Ok(response))).await;
        self.sent_at = Instant::now();
        match sent {
            Ok(Ok(())) => {
                // Only now, so that what could not be sent is what comes next time.
                self.wanted.after = cursor;
                Ok(())
            }
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                let message = "decisions were not taken for too long";
                let cursor = self.wanted.after;
                Err(End::Told(resumable(Code::ResourceExhausted, "SLOW_CONSUMER", message, cursor)))
            }
        }
    }
}
