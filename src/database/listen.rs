//! Hears at once of what other servers change, where the engine tells it.

use std::future::pending;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Database, NativePool};
use crate::error::{Error, Result};

/// What listeners listen to.
const CHANNEL: &str = "portcullis";
/// Tells all of them that the configuration is another one.
pub(super) const NOTIFY: &str = "notify portcullis";
/// After so long a silence the connection is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long after one attempt to listen the next one is made.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells that there may be something new.
#[derive(Debug)]
pub struct News(watch::Receiver<Heard>);

/// What was heard so far.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// Grows with everything that may be news: a change, and that listening begins or ends.
    count: u64,
    is_listening: bool,
}

/// Listens on a connection of its own.
#[derive(Debug)]
pub struct Listener {
    pool: PgPool,
    heard: watch::Sender<Heard>,
}

impl Database {
    /// News of what other servers change, and what listens for it; nothing does where the engine does not tell.
    #[must_use]
    pub fn news(&self) -> (News, Option<Listener>) {
        let (heard, news) = watch::channel(Heard::default());
        let listener = match self.native() {
            NativePool::Postgres(pool) => Some(Listener { pool: pool.clone(), heard }),
            NativePool::Sqlite(_) => None,
        };
        (News(news), listener)
    }
}

impl News {
    /// Whether changes are heard of at once.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.0.borrow().is_listening
    }

    /// Waits until there may be something new; forever where nobody listens.
    pub async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Listener {
    /// Listens until the stop. A connection that is lost is made again; what was missed meanwhile is for the listener's owner
    /// to ask for, which is told.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let lost = tokio::select! {
                lost = self.listen() => lost,
                () = stop.cancelled() => return,
            };
            if let Err(error) = lost {
                tracing::warn!(
                    error = error.in_full(),
                    "changes of other servers are not heard of at once; they are asked for"
                );
            }
            self.tell(false);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Listens until the connection is lost.
    async fn listen(&self) -> Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        self.tell(true);
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(_))) => self.tell(true),
                Ok(Ok(None)) => return Err(Error::Unavailable("the connection was lost".to_owned())),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    let asked = timeout(ANSWER, sqlx::query("select 1").execute(&mut listener)).await;
                    asked.map_err(|_| Error::Unavailable("the connection is silent".to_owned()))??;
                }
            }
        }
    }

    fn tell(&self, is_listening: bool) {
        self.heard.send_modify(|heard| *heard = Heard { count: heard.count + 1, is_listening });
    }
}
