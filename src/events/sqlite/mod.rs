//! Events in the database file.

mod append;
mod histories;
mod retention;

use async_trait::async_trait;
use sqlx::{Row, SqlitePool};

use super::batch::MINUTE_MS;
use super::{Asked, Dropped, EventStore, Intake, Outcomes, Reach};
use crate::analysis::history::History;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// The event store of a database file. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct SqliteEvents {
    pool: SqlitePool,
}

impl SqliteEvents {
    /// An event store in an opened database.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl EventStore for SqliteEvents {
    async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Outcomes> {
        append::append(&self.pool, events, exposures).await
    }

    /// The file has one writer at a time.
    fn writes_at_once(&self) -> usize {
        1
    }

    async fn reach(&self, names: &[&str]) -> Result<Reach> {
        let rows = sqlx::query(
            "select a.last, w.name, w.at
             from arrival a
             left join watermark w on w.name = '' or w.name in (select value from json_each(?))",
        )
        .bind(serde_json::to_string(names).map_err(Error::internal)?)
        .fetch_all(&self.pool)
        .await?;
        let mut reach = Reach::default();
        for row in rows {
            reach.arrival = row.try_get("last")?;
            reach.note(row.try_get("name")?, row.try_get("at")?);
        }
        Ok(reach)
    }

    async fn histories(&self, asked: &Asked, after: Option<&str>, limit: usize) -> Result<Vec<History>> {
        histories::histories(&self.pool, asked, after, limit).await
    }

    async fn intake(&self, name: &str, since: Timestamp) -> Result<Vec<Intake>> {
        let rows = sqlx::query("select * from intake where name = ? and minute >= ? order by minute")
            .bind(name)
            .bind(since.0.div_euclid(MINUTE_MS))
            .fetch_all(&self.pool)
            .await?;
        let intake = |row: &sqlx::sqlite::SqliteRow| {
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
        retention::drop_before(&self.pool, at).await
    }
}
