//! Reading what is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::Store;
use crate::analysis::decision::{Decision, DecisionId, DecisionKind};
use crate::database::bounded;
use crate::domain::catalogue::{Catalogue, Shelf};
use crate::domain::latch::{Latch, LatchId};
use crate::domain::launch::{Launch, LaunchId, Target};
use crate::domain::stored::{Document, Stored};
use crate::domain::target_filter::TargetFilter;
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
    /// Only these targets'.
    pub target: Option<TargetFilter>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<DecisionKind>,
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
        bounded(self.load_at_once()).await
    }

    async fn load_at_once(&self) -> Result<Catalogue> {
        let mut transaction = self.database.read().await?;
        let revision: i64 = sqlx::query_scalar("select revision from config where id = 1")
            .fetch_one(&mut *transaction)
            .await?;
        // The same that was in force after each change: later than the change before, and not before its own time.
        let changed_at: i64 =
            sqlx::query_scalar("select coalesce(max(at - config_revision), 0) + $1 from audit")
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
            webhooks: shelf(&mut transaction).await?,
            policies: shelf(&mut transaction).await?,
            sdk_keys: shelf(&mut transaction).await?,
            launches: launches(&mut transaction).await?,
            latches: latches(&mut transaction).await?,
        };
        transaction.commit().await?;
        Ok(catalogue)
    }

    /// Revision of what is configured.
    pub async fn revision(&self) -> Result<i64> {
        let query = sqlx::query("select revision from config where id = 1");
        match self.database.first(query).await? {
            Some(row) => Ok(row.try_get("revision")?),
            None => Err(Error::internal("the configuration has no revision")),
        }
    }

    /// One launch.
    pub async fn launch(&self, id: LaunchId) -> Result<Option<Launch>> {
        let query = sqlx::query("select body from launch where id = $1").bind(id.to_string());
        self.database.first(query).await?.as_ref().map(body).transpose()
    }

    /// Launches, newest first.
    pub async fn launches(&self, query: &LaunchQuery) -> Result<Vec<Launch>> {
        let target = query.target.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?;
        let query = sqlx::query(
            "select body from launch
             where ($1 is null or target = $1) and live >= $2 and ($3 is null or id < $3)
             order by id desc limit $4",
        )
        .bind(target)
        .bind(i64::from(query.live_only))
        .bind(query.before.map(|id| id.to_string()))
        .bind(query.limit);
        self.database.all(query).await?.iter().map(body).collect()
    }

    /// Decisions, oldest first.
    pub async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<Recorded>> {
        let wanted = |kind: DecisionKind| query.kinds.is_empty() || query.kinds.contains(&kind);
        // A kind that is not wanted leaves a name that no decision has.
        let [allow, hold, block, roll_back] =
            DecisionKind::ALL.map(|kind| if wanted(kind) { kind.name() } else { "" });
        let query = sqlx::query(
            "select cursor, body from decision
             where cursor > $1 and ($2 is null or launch_id = $2)
                 and ($3 is null or target = $3 or substr(target, 1, length($4)) = $4)
                 and kind in ($5, $6, $7, $8)
             order by cursor limit $9",
        )
        .bind(query.after)
        .bind(query.launch.map(|id| id.to_string()))
        .bind(query.target.as_ref().map(|target| target.path().to_owned()))
        .bind(query.target.as_ref().map(TargetFilter::prefix))
        .bind(allow)
        .bind(hold)
        .bind(block)
        .bind(roll_back)
        .bind(query.limit);
        self.database.all(query).await?.iter().map(recorded).collect()
    }

    /// One decision.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<Recorded>> {
        let query = sqlx::query("select cursor, body from decision where id = $1").bind(id.0.to_string());
        self.database.first(query).await?.as_ref().map(recorded).transpose()
    }

    /// The latest decision about a launch; `judged`: the latest that rests on a judgement.
    pub async fn latest_decision(&self, launch: LaunchId, judged: bool) -> Result<Option<Decision>> {
        let query = sqlx::query(
            "select body from decision where launch_id = $1 and judged >= $2 order by cursor desc limit 1",
        )
        .bind(launch.to_string())
        .bind(i64::from(judged));
        self.database.first(query).await?.as_ref().map(body).transpose()
    }

    /// Cursor of the latest decision; 0 when there is none.
    pub async fn last_cursor(&self) -> Result<i64> {
        let query = sqlx::query("select coalesce(max(cursor), 0) as cursor from decision");
        match self.database.first(query).await? {
            Some(row) => Ok(row.try_get("cursor")?),
            None => Ok(0),
        }
    }
}

async fn shelf<T: Document>(transaction: &mut Transaction<'_, Any>) -> Result<Shelf<T>> {
    let rows =
        sqlx::query("select revision, archived, created_at, updated_at, body from document where kind = $1")
            .bind(T::KIND)
            .fetch_all(&mut **transaction)
            .await?;
    let stored = |row: &AnyRow| -> Result<(String, Arc<Stored<T>>)> {
        let document: T = body(row)?;
        let key = document.key().to_owned();
        let stored = Stored {
            document,
            revision: row.try_get("revision")?,
            archived: row.try_get::<i64, _>("archived")? != 0,
            created_at: Timestamp(row.try_get("created_at")?),
            updated_at: Timestamp(row.try_get("updated_at")?),
        };
        Ok((key, Arc::new(stored)))
    };
    rows.iter().map(stored).collect()
}

/// Live launches, and the latest of each target.
async fn launches(transaction: &mut Transaction<'_, Any>) -> Result<BTreeMap<LaunchId, Arc<Launch>>> {
    let rows = sqlx::query(
        "select body from launch where live = 1 or id in (select max(id) from launch group by target)",
    )
    .fetch_all(&mut **transaction)
    .await?;
    let launch = |row| body(row).map(|launch: Launch| (launch.id, Arc::new(launch)));
    rows.iter().map(launch).collect()
}

async fn latches(transaction: &mut Transaction<'_, Any>) -> Result<BTreeMap<LatchId, Arc<Latch>>> {
    let rows = sqlx::query("select body from latch").fetch_all(&mut **transaction).await?;
    let latch = |row| body(row).map(|latch: Latch| (latch.id, Arc::new(latch)));
    rows.iter().map(latch).collect()
}

fn recorded(row: &AnyRow) -> Result<Recorded> {
    Ok(Recorded { cursor: row.try_get("cursor")?, decision: body(row)? })
}

fn body<T: DeserializeOwned>(row: &AnyRow) -> Result<T> {
    let text: &str = row.try_get("body")?;
    serde_json::from_str(text).map_err(Error::internal)
}
