//! How far launches are measured: cells, positions and what was published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use uuid::Uuid;

use super::Store;
use super::lease::Fence;
use crate::analysis::fold::{CellKey, Cells, Definition, Sums};
use crate::analysis::published::Published;
use crate::database::repeated;
use crate::domain::launch::LaunchId;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::error::{Error, Result};
use crate::failpoint::reach;

/// Cells of one statement; each has nine values, and an engine takes some 32,000.
const CHUNK: usize = 1_000;
/// Snapshots of a launch that are kept.
const KEPT_SNAPSHOTS: i64 = 32;
/// How long a snapshot is kept in which other audits failed than before, in milliseconds.
const KEPT_FAILED_MS: i64 = DAY_MS;

/// How far a launch is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Grows with each change of cells; 0 before the first one.
    pub revision: i64,
    /// Everything up to this write is in the cells.
    pub arrival: i64,
    /// Buckets before it are merged.
    pub merged_before: Timestamp,
    /// What the cells were made by.
    pub definition: Definition,
}

/// A change of a launch's cells.
#[derive(Clone, Debug)]
pub struct Moved<'m> {
    /// The launch.
    pub launch: LaunchId,
    /// Where it stands afterwards; its revision is one more than that of the position that the change was made from.
    pub position: &'m Position,
    /// Whether all cells that were there go first.
    pub anew: bool,
    /// The cells that are other than before, as they are now.
    pub changed: Vec<(&'m CellKey, &'m Sums)>,
}

impl Store {
    /// How far a launch is measured, with its cells; none before the first time.
    pub async fn measured(&self, launch: LaunchId) -> Result<Option<(Position, Cells)>> {
        repeated(|| self.measured_once(launch)).await
    }

    async fn measured_once(&self, launch: LaunchId) -> Result<Option<(Position, Cells)>> {
        let mut transaction = self.database.read().await?;
        let row = sqlx::query(
            "select revision, arrival, merged_before, definition from measure_position where launch_id = $1",
        )
        .bind(launch.to_string())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let definition: String = row.try_get("definition")?;
        let position = Position {
            revision: row.try_get("revision")?,
            arrival: row.try_get("arrival")?,
            merged_before: Timestamp(row.try_get("merged_before")?),
            definition: serde_json::from_str(&definition).map_err(Error::internal)?,
        };
        let rows = sqlx::query(
            "select metric, epoch, week, arm, settled, segment, bucket, sums from moment_cell where launch_id = $1",
        )
        .bind(launch.to_string())
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let mut texts = BTreeSet::new();
        let cells = rows.iter().map(|row| cell(row, &mut texts)).collect::<Result<_>>()?;
        Ok(Some((position, cells)))
    }

    /// Changes a launch's cells and moves its position in one transaction. Where somebody else has moved it meanwhile
    /// nothing is changed, and the answer is false.
    pub async fn move_cells(&self, moved: &Moved<'_>) -> Result<bool> {
        let work = async || {
            let mut transaction = self.database.write().await?;
            let taken = move_all(&mut transaction, moved).await?;
            if taken {
                transaction.commit().await?;
            }
            Ok(taken)
        };
        repeated(work).await
    }

    /// Publishes a snapshot, without its kept buckets, together with the change of cells that it shows, and drops snapshots
    /// that are no longer kept; one that `fails_anew` is kept longer. Where somebody else has moved the cells, or published
    /// this number, nothing is changed, and the answer is false. It is refused under a number of the lease that another
    /// server has taken over.
    pub async fn publish(
        &self,
        fence: Fence,
        snapshot: &Published,
        fails_anew: bool,
        moved: Option<&Moved<'_>>,
    ) -> Result<bool> {
        let body = serde_json::to_string(&snapshot.without_buckets()).map_err(Error::internal)?;
        let work = async || {
            let mut transaction = self.database.write().await?;
            if let Some(moved) = moved
                && !move_all(&mut transaction, moved).await?
            {
                return Ok(false);
            }
            let added = add_snapshot(&mut transaction, snapshot, fails_anew, &body).await?;
            if added {
                reach("before", "publication").await;
                self.commit_fenced(transaction, Some(fence)).await?;
                reach("after", "publication").await;
            }
            Ok(added)
        };
        repeated(work).await
    }

    /// A snapshot of a launch by its number, or the latest.
    pub async fn snapshot(&self, launch: LaunchId, number: Option<i64>) -> Result<Option<Published>> {
        let query = sqlx::query(
            "select body from moment_snapshot
             where launch_id = $1 and ($2 = 0 or number = $2) order by number desc limit 1",
        );
        let row = self.database.first(query.bind(launch.to_string()).bind(number.unwrap_or(0))).await?;
        row.as_ref().map(published).transpose()
    }

    /// The number of the latest snapshot of each launch.
    pub async fn latest_snapshots(&self) -> Result<BTreeMap<LaunchId, i64>> {
        let query =
            sqlx::query("select launch_id, max(number) as number from moment_snapshot group by launch_id");
        let numbered = |row: &AnyRow| {
            let id = Uuid::parse_str(row.try_get("launch_id")?).map_err(Error::internal)?;
            Ok((LaunchId(id), row.try_get("number")?))
        };
        self.database.all(query).await?.iter().map(numbered).collect()
    }

    /// Snapshots of a launch, newest first: those before a number, where one is given.
    pub async fn snapshots(
        &self,
        launch: LaunchId,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Published>> {
        let query = sqlx::query(
            "select body from moment_snapshot
             where launch_id = $1 and number < $2 order by number desc limit $3",
        );
        let query = query.bind(launch.to_string()).bind(before.unwrap_or(i64::MAX)).bind(limit);
        self.database.all(query).await?.iter().map(published).collect()
    }
}

/// Moves the position and changes the cells; says whether the position was where the change was made from.
async fn move_all(transaction: &mut Transaction<'_, Any>, moved: &Moved<'_>) -> Result<bool> {
    if !take_position(transaction, moved).await? {
        return Ok(false);
    }
    let launch = moved.launch.to_string();
    if moved.anew {
        let all = sqlx::query("delete from moment_cell where launch_id = $1").bind(&launch);
        all.execute(&mut **transaction).await?;
    } else {
        drop_merged(transaction, &launch, moved.position).await?;
    }
    for chunk in moved.changed.chunks(CHUNK) {
        put_cells(transaction, &launch, chunk).await?;
    }
    Ok(true)
}

/// Adds a snapshot and drops those that are no longer kept; says whether its number was free.
async fn add_snapshot(
    transaction: &mut Transaction<'_, Any>,
    snapshot: &Published,
    fails_anew: bool,
    body: &str,
) -> Result<bool> {
    let launch = snapshot.launch.to_string();
    let added = sqlx::query(
        "insert into moment_snapshot (launch_id, number, at, failed, body) values ($1, $2, $3, $4, $5)
         on conflict (launch_id, number) do nothing",
    )
    .bind(&launch)
    .bind(snapshot.number)
    .bind(snapshot.at.0)
    .bind(i64::from(fails_anew))
    .bind(body)
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    sqlx::query(
        "delete from moment_snapshot where launch_id = $1 and number <= $2 and (failed = 0 or at < $3)",
    )
    .bind(&launch)
    .bind(snapshot.number - KEPT_SNAPSHOTS)
    .bind(snapshot.at.0 - KEPT_FAILED_MS)
    .execute(&mut **transaction)
    .await?;
    Ok(added == 1)
}

/// Moves the position, if it is where the change was made from.
async fn take_position(transaction: &mut Transaction<'_, Any>, moved: &Moved<'_>) -> Result<bool> {
    let position = moved.position;
    let definition = serde_json::to_string(&position.definition).map_err(Error::internal)?;
    let query = if position.revision == 1 {
        sqlx::query(
            "insert into measure_position (launch_id, revision, arrival, merged_before, definition)
             values ($1, $2, $3, $4, $5) on conflict (launch_id) do nothing",
        )
    } else {
        sqlx::query(
            "update measure_position set revision = $2, arrival = $3, merged_before = $4, definition = $5
             where launch_id = $1 and revision = $2 - 1",
        )
    };
    let taken = query
        .bind(moved.launch.to_string())
        .bind(position.revision)
        .bind(position.arrival)
        .bind(position.merged_before.0)
        .bind(definition)
        .execute(&mut **transaction)
        .await?
        .rows_affected();
    Ok(taken == 1)
}

/// Drops the cells of buckets that are merged; what was in them is among the changed ones.
async fn drop_merged(
    transaction: &mut Transaction<'_, Any>,
    launch: &str,
    position: &Position,
) -> Result<()> {
    let homes: Vec<Timestamp> = position.definition.homes().collect();
    let places: Vec<String> = (3..3 + homes.len()).map(|place| format!("${place}")).collect();
    let places = places.join(", ");
    let text = format!(
        "delete from moment_cell
         where launch_id = $1 and bucket < $2 and bucket not in ({places})"
    );
    let query = sqlx::query(AssertSqlSafe(text)).bind(launch).bind(position.merged_before.0);
    homes.iter().fold(query, |query, home| query.bind(home.0)).execute(&mut **transaction).await?;
    Ok(())
}

async fn put_cells(
    transaction: &mut Transaction<'_, Any>,
    launch: &str,
    cells: &[(&CellKey, &Sums)],
) -> Result<()> {
    let row = |index: usize| {
        let places: Vec<String> = (1..=8).map(|column| format!("${}", 1 + index * 8 + column)).collect();
        format!("($1, {})", places.join(", "))
    };
    let rows: Vec<String> = (0..cells.len()).map(row).collect();
    let text = format!(
        "insert into moment_cell (launch_id, metric, epoch, week, arm, settled, segment, bucket, sums)
         values {}
         on conflict (launch_id, metric, epoch, week, arm, settled, segment, bucket)
         do update set sums = excluded.sums",
        rows.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false).bind(launch);
    for (key, sums) in cells {
        query = query
            .bind(key.metric.to_string())
            .bind(i64::from(key.epoch))
            .bind(i64::from(key.week))
            .bind(key.arm.to_string())
            .bind(i64::from(key.settled))
            .bind(key.segment.to_string())
            .bind(key.bucket.0)
            .bind(serde_json::to_string(sums).map_err(Error::internal)?);
    }
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// A row of cells. Its texts are shared with those before.
fn cell(row: &AnyRow, texts: &mut BTreeSet<Arc<str>>) -> Result<(CellKey, Sums)> {
    let mut text = |column: &str| -> Result<Arc<str>> {
        let found: &str = row.try_get(column)?;
        if let Some(known) = texts.get(found) {
            return Ok(Arc::clone(known));
        }
        let made: Arc<str> = Arc::from(found);
        texts.insert(Arc::clone(&made));
        Ok(made)
    };
    let number = |column: &str| -> Result<u32> {
        u32::try_from(row.try_get::<i64, _>(column)?).map_err(Error::internal)
    };
    let key = CellKey {
        metric: text("metric")?,
        epoch: number("epoch")?,
        week: number("week")?,
        arm: text("arm")?,
        settled: row.try_get::<i64, _>("settled")? != 0,
        segment: text("segment")?,
        bucket: Timestamp(row.try_get("bucket")?),
    };
    let sums: &str = row.try_get("sums")?;
    Ok((key, serde_json::from_str(sums).map_err(Error::internal)?))
}

fn published(row: &AnyRow) -> Result<Published> {
    let body: &str = row.try_get("body")?;
    serde_json::from_str(body).map_err(Error::internal)
}
