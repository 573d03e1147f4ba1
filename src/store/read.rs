//! Reading what is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::Store;
use crate::analysis::decision::Decision;
use crate::domain::catalogue::{Catalogue, Shelf};
use crate::domain::latch::Latch;
use crate::domain::launch::{Launch, LaunchId, Target};
use crate::domain::stored::{Document, Stored};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// Which launches to list.
#[derive(Clone, Debug, Default)]
pub struct LaunchQuery {
    /// Only this target's.
    pub target: Option<Target>,
    /// Only those that have not ended.
    pub live_only: bool,
    /// Only those older than this one.
    pub before: Option<LaunchId>,
    /// At most this many.
    pub limit: i64,
}

/// Which decisions to list.
#[derive(Clone, Debug, Default)]
pub struct DecisionQuery {
    /// Only this launch's.
    pub launch: Option<LaunchId>,
    /// Only those after this cursor.
    pub after: i64,
    /// At most this many.
    pub limit: i64,
}

/// A decision with its place in the stream of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Grows with each decision.
    pub cursor: i64,
    /// The decision.
    pub decision: Decision,
}

impl Store {
    /// Everything that is configured, as of one moment.
    pub async fn load(&self) -> Result<Catalogue> {
        let mut transaction = self.pool.begin().await?;
        let revision: i64 = sqlx::query_scalar("select revision from config where id = 1")
            .fetch_one(&mut *transaction)
            .await?;
        // The same that was in force after each change: later than the change before, and not before its own time.
        let changed_at: i64 =
            sqlx::query_scalar("select coalesce(max(at - config_revision), 0) + ? from audit")
                .bind(revision)
                .fetch_one(&mut *transaction)
                .await?;
        let catalogue = Catalogue {
            revision,
            changed_at: Timestamp(changed_at),
            gates: shelf(&mut transaction).await?,
            experiments: shelf(&mut transaction).await?,
            holdouts: shelf(&mut transaction).await?,
            segments: shelf(&mut transaction).await?,
            configs: shelf(&mut transaction).await?,
            layers: shelf(&mut transaction).await?,
            metrics: shelf(&mut transaction).await?,
            policies: shelf(&mut transaction).await?,
            sdk_keys: shelf(&mut transaction).await?,
            launches: launches(&mut transaction).await?,
            latches: latches(&mut transaction).await?,
        };
        transaction.commit().await?;
        Ok(catalogue)
    }

    /// One launch.
    pub async fn launch(&self, id: LaunchId) -> Result<Option<Launch>> {
        let row = sqlx::query("select body from launch where id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(body).transpose()
    }

    /// Launches, newest first.
    pub async fn launches(&self, query: &LaunchQuery) -> Result<Vec<Launch>> {
        let target = query.target.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?;
        let rows = sqlx::query(
            "select body from launch
             where (?1 is null or target = ?1) and (not ?2 or live = 1) and (?3 is null or id < ?3)
             order by id desc limit ?4",
        )
        .bind(target)
        .bind(query.live_only)
        .bind(query.before.map(|id| id.to_string()))
        .bind(query.limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(body).collect()
    }

    /// Decisions, oldest first.
    pub async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<Recorded>> {
        let rows = sqlx::query(
            "select cursor, body from decision
             where cursor > ?1 and (?2 is null or launch_id = ?2) order by cursor limit ?3",
        )
        .bind(query.after)
        .bind(query.launch.map(|id| id.to_string()))
        .bind(query.limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(recorded).collect()
    }

    /// The latest decision about a launch; `judged`: the latest that rests on a judgement.
    pub async fn latest_decision(&self, launch: LaunchId, judged: bool) -> Result<Option<Decision>> {
        let row = sqlx::query(
            "select body from decision
             where launch_id = ?1 and (not ?2 or body ->> '$.judgement' is not null)
             order by cursor desc limit 1",
        )
        .bind(launch.to_string())
        .bind(judged)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(body).transpose()
    }

    /// Cursor of the latest decision; 0 when there is none.
    pub async fn last_cursor(&self) -> Result<i64> {
        let cursor = sqlx::query_scalar("select coalesce(max(cursor), 0) from decision");
        Ok(cursor.fetch_one(&self.pool).await?)
    }
}

async fn shelf<T: Document>(transaction: &mut Transaction<'_, Sqlite>) -> Result<Shelf<T>> {
    let rows =
        sqlx::query("select revision, archived, created_at, updated_at, body from document where kind = ?")
            .bind(T::KIND)
            .fetch_all(&mut **transaction)
            .await?;
    let stored = |row: &SqliteRow| -> Result<(String, Arc<Stored<T>>)> {
        let document: T = body(row)?;
        let key = document.key().to_owned();
        let stored = Stored {
            document,
            revision: row.try_get("revision")?,
            archived: row.try_get("archived")?,
            created_at: Timestamp(row.try_get("created_at")?),
            updated_at: Timestamp(row.try_get("updated_at")?),
        };
        Ok((key, Arc::new(stored)))
    };
    rows.iter().map(stored).collect()
}

/// Live launches, and the latest of each target.
async fn launches(transaction: &mut Transaction<'_, Sqlite>) -> Result<BTreeMap<LaunchId, Arc<Launch>>> {
    let rows = sqlx::query(
        "select body from launch where live = 1 or id in (select max(id) from launch group by target)",
    )
    .fetch_all(&mut **transaction)
    .await?;
    let launch = |row| body(row).map(|launch: Launch| (launch.id, Arc::new(launch)));
    rows.iter().map(launch).collect()
}

async fn latches(
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<BTreeMap<crate::domain::latch::LatchId, Arc<Latch>>> {
    let rows = sqlx::query("select body from latch").fetch_all(&mut **transaction).await?;
    let latch = |row| body(row).map(|latch: Latch| (latch.id, Arc::new(latch)));
    rows.iter().map(latch).collect()
}

fn recorded(row: &SqliteRow) -> Result<Recorded> {
    Ok(Recorded { cursor: row.try_get("cursor")?, decision: body(row)? })
}

fn body<T: DeserializeOwned>(row: &SqliteRow) -> Result<T> {
    let text: &str = row.try_get("body")?;
    serde_json::from_str(text).map_err(Error::internal)
}
