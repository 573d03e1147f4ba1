//! Events on a PostgreSQL server.

mod append;
mod copy;
mod histories;
mod partitions;
mod retention;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use tokio::time::timeout;

use super::batch::MINUTE_MS;
use super::{Asked, Dropped, EventStore, Intake, Outcomes, Reach};
use crate::analysis::history::History;
use crate::database::repeated;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use partitions::Partitions;

/// How long a write may take before the server counts as out of reach. A connection that was cut says nothing at all.
const WRITE_WITHIN: Duration = Duration::from_secs(8);
/// How long a page of reading may take: longer than the server lets a statement run.
const READ_WITHIN: Duration = Duration::from_secs(40);
/// Writes under way at a time: while one waits for the disk, others are worked on.
const WRITES_AT_ONCE: usize = 3;

/// The event store of a server. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct PostgresEvents {
    pool: PgPool,
    partitions: Arc<Partitions>,
    /// Number of a write that is known to be durable with all before it; 0 where none is, as after any failure: a server that
    /// took over from another one may have lost some, and gives their numbers again.
    durable: Arc<AtomicI64>,
}

impl PostgresEvents {
    /// An event store in an opened database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, partitions: Arc::default(), durable: Arc::default() }
    }

    async fn write(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        self.within(WRITE_WITHIN, async |connection| {
            self.partitions.make_for(connection, events).await?;
            let (outcomes, arrival) = append::append(connection, events, exposures).await?;
            self.flush(connection, arrival).await?;
            Ok(outcomes)
        })
        .await
    }

    /// Waits until the writes up to this one are durable.
    async fn flush(&self, connection: &mut PgConnection, arrival: i64) -> Result<()> {
        append::flush(connection).await?;
        self.durable.store(arrival, Ordering::Release);
        Ok(())
    }

    /// Works on a connection that is given up when the work fails or takes too long: nobody waits for one that may be cut,
    /// and the server drops what it had begun on it.
    async fn within<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        let late = |_| Error::Unavailable("the store does not answer in time".to_owned());
        let mut connection = timeout(limit, self.pool.acquire()).await.map_err(late)??;
        let done = timeout(limit, work(&mut connection)).await.map_err(late).flatten();
        if done.is_err() {
            self.durable.store(0, Ordering::Release);
            drop(connection.detach());
        }
        done
    }
}

#[async_trait]
impl EventStore for PostgresEvents {
    async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        // A write that others got in the way of is safe to repeat: it was undone as a whole.
        repeated(|| self.write(events, exposures)).await
    }

    fn writes_at_once(&self) -> usize {
        WRITES_AT_ONCE
    }

    async fn reach(&self, names: &[&str]) -> Result<Reach> {
        let query = sqlx::query(
            "select a.last, w.name, w.at
             from arrival a left join watermark w on w.name = '' or w.name = any($1)",
        )
        .bind(names);
        self.within(READ_WITHIN, async |connection| {
            let mut reach = Reach::default();
            for row in query.fetch_all(&mut *connection).await? {
                reach.arrival = row.try_get("last")?;
                reach.note(row.try_get("name")?, row.try_get("at")?);
            }
            // Another writer's may not be safe yet. A number that a crash took back would be given again, to other rows.
            if self.durable.load(Ordering::Acquire) != reach.arrival {
                self.flush(connection, reach.arrival).await?;
            }
            Ok(reach)
        })
        .await
    }

    async fn histories(&self, asked: &Asked, after: Option<&str>, limit: usize) -> Result<Vec<History>> {
        self.within(READ_WITHIN, async |connection| {
            histories::histories(connection, asked, after, limit).await
        })
        .await
    }

    async fn intake(&self, name: &str, since: Timestamp) -> Result<Vec<Intake>> {
        let query = sqlx::query("select * from intake where name = $1 and minute >= $2 order by minute")
            .bind(name)
            .bind(since.0.div_euclid(MINUTE_MS));
        let rows =
            self.within(READ_WITHIN, async |connection| Ok(query.fetch_all(connection).await?)).await?;
        let intake = |row: &PgRow| {
            let count = |column| u64::try_from(row.try_get::<i64, _>(column)?).map_err(Error::internal);
            Ok(Intake {
                minute: Timestamp(row.try_get::<i64, _>("minute")?.saturating_mul(MINUTE_MS)),
                events: count("events")?,
                duplicates: count("duplicates")?,
                without_value: count("without_value")?,
                without_user_id: count("without_user_id")?,
                late: count("late")?,
                early: count("early")?,
                least: row.try_get("least")?,
                greatest: row.try_get("greatest")?,
            })
        };
        rows.iter().map(intake).collect()
    }

    async fn drop_before(&self, at: Timestamp) -> Result<Dropped> {
        retention::drop_before(&self.pool, &self.partitions, at).await
    }
}
