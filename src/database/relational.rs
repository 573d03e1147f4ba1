//! Statements that are the same on every engine.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyPool, Transaction};
use tokio::time::{sleep, timeout};

use super::failure::{busy, is_in_the_way};
use crate::error::{Error, Result};

/// Longer than any statement may take on the server: what lasts longer has lost its connection.
const DEADLINE: Duration = Duration::from_secs(40);
/// How often work is tried that others got in the way of.
const TRIES: u32 = 5;
/// What the wait before another try begins with.
const PAUSE: Duration = Duration::from_millis(10);

/// Connections that speak what all engines understand. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Relational {
    pool: AnyPool,
    dialect: Dialect,
}

/// What the engine says in its own way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// Begins what sees one state of everything.
    pub(super) read: &'static str,
    /// Begins what changes.
    pub(super) write: &'static str,
    /// The time by the database's clock, in milliseconds since 1970.
    pub(super) now: &'static str,
    /// Ends a query whose rows nobody changes until the transaction has ended.
    pub(super) shared_lock: &'static str,
    /// Tells those who listen, once the transaction is committed; none where nobody can.
    pub(super) notify: Option<&'static str>,
}

impl Relational {
    pub(super) fn new(pool: AnyPool, dialect: Dialect) -> Self {
        Self { pool, dialect }
    }

    /// A transaction that sees one state of everything. It is for reading.
    pub async fn read(&self) -> Result<Transaction<'static, Any>> {
        Ok(self.pool.begin_with(self.dialect.read).await?)
    }

    /// A transaction that may write.
    pub async fn write(&self) -> Result<Transaction<'static, Any>> {
        Ok(self.pool.begin_with(self.dialect.write).await?)
    }

    /// The expression for the time by the database's clock, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> &'static str {
        self.dialect.now
    }

    /// What ends a query whose rows nobody is to change until the transaction has ended.
    #[must_use]
    pub fn shared_lock(&self) -> &'static str {
        self.dialect.shared_lock
    }

    /// Tells other servers, once the transaction is committed, that the configuration is another one.
    pub async fn notify(&self, transaction: &mut Transaction<'_, Any>) -> Result<()> {
        if let Some(notify) = self.dialect.notify {
            sqlx::query(notify).execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// All rows of a query.
    pub async fn all(&self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>> {
        bounded(async { Ok(query.fetch_all(&self.pool).await?) }).await
    }

    /// The first row of a query.
    pub async fn first(&self, query: Query<'_, Any, AnyArguments>) -> Result<Option<AnyRow>> {
        bounded(async { Ok(query.fetch_optional(&self.pool).await?) }).await
    }

    /// Runs a statement that is a transaction of its own, and says how many rows it has changed.
    pub async fn run(&self, query: Query<'_, Any, AnyArguments>) -> Result<u64> {
        bounded(async { Ok(query.execute(&self.pool).await?.rows_affected()) }).await
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Ends work that has lost its connection, instead of waiting for what never comes.
pub async fn bounded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::Unavailable(format!("the store does not answer in {} s", DEADLINE.as_secs()));
    timeout(DEADLINE, work).await.map_err(|_| late())?
}

/// Does work that is safe to repeat as a whole, such as one transaction: again where the database undid it because others
/// got in its way.
pub async fn repeated<T, W: Future<Output = Result<T>>>(work: impl Fn() -> W) -> Result<T> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match bounded(work()).await {
            Err(error) if is_in_the_way(&error) => tracing::debug!(error = %error.in_full(), "repeated"),
            done => return done,
        }
        sleep(pause).await;
        pause *= 2;
    }
    bounded(work()).await.map_err(busy)
}
