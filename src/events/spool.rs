//! What waits on the local disk while the store is not available: a bounded queue in a file of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::database::WRITE;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// Bytes that are taken out together at most, where that is more than one batch.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// Rows of one statement.
const MOST_ROWS: usize = 256;
/// Space that is kept on the disk.
const RESERVE_BYTES: usize = 512 * 1024;

/// The file has one table, so that it needs no migrations: what is written by one version is read by the next.
const SCHEMA: &str = "
    create table if not exists batch (
        seq integer not null,
        at integer not null,
        bytes integer not null,
        refused integer not null,
        body text not null,
        constraint batch_key primary key (seq autoincrement)
    )";

/// Batches in the order in which they came, durable once they are in it.
#[derive(Debug)]
pub struct Spool {
    pool: SqlitePool,
    most_bytes: u64,
    /// Known without reading: nobody else writes the file.
    state: Mutex<SpoolState>,
    /// Whoever writes the file holds it.
    reserve: tokio::sync::Mutex<Reserve>,
}

/// Space that is kept on the disk, so that what was stored can be taken out when the disk is full: that takes some as well.
#[derive(Debug)]
struct Reserve {
    file: PathBuf,
    is_kept: bool,
}

impl Reserve {
    /// Takes the space, if it is there to be had; says whether it is kept.
    fn keep(&mut self) -> bool {
        if !self.is_kept {
            let written = std::fs::File::create(&self.file)
                .and_then(|mut file| file.write_all(&vec![1; RESERVE_BYTES]).and_then(|()| file.sync_all()));
            self.is_kept = written.is_ok();
            if let Err(error) = written {
                tracing::warn!(%error, "the local disk has no space left");
                let _ = std::fs::remove_file(&self.file);
            }
        }
        self.is_kept
    }

    /// Gives the space up; says whether there was any.
    fn release(&mut self) -> bool {
        let released = self.is_kept && std::fs::remove_file(&self.file).is_ok();
        self.is_kept &= !released;
        released
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolState {
    /// Batches that wait.
    pub batches: u64,
    /// Their bytes, and those of the batches that were set aside.
    pub bytes: u64,
    /// When the oldest that waits came.
    pub oldest: Option<Timestamp>,
    /// What the store would not take since the start, each event or exposure by itself; it is tried again at the next start.
    pub refused: u64,
}

/// A batch that waited.
#[derive(Debug)]
pub struct Spooled {
    seq: i64,
    bytes: u64,
    /// As they came.
    pub events: Vec<Event>,
    /// As they came.
    pub exposures: Vec<Exposure>,
}

/// A batch as it is written.
#[derive(Serialize)]
struct Written<'b> {
    events: &'b [&'b Event],
    exposures: &'b [&'b Exposure],
}

/// A batch as it is read.
#[derive(Deserialize)]
struct Read {
    events: Vec<Event>,
    exposures: Vec<Exposure>,
}

impl Spool {
    /// Opens the file, and makes it when it is not there. It holds up to `most_bytes`.
    pub async fn open(path: &Path, most_bytes: u64) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            // Written in place: a log beside the file would take as much of a disk that is nearly full again.
            .journal_mode(SqliteJournalMode::Truncate)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
        sqlx::query(SCHEMA).execute(&pool).await?;
        // What kept the store from taking it may be mended. Where the disk is full that is seen at the next start.
        let again = sqlx::query("update batch set refused = 0 where refused <> 0").execute(&pool).await;
        if let Err(error) = again {
            tracing::warn!(%error, "what was set aside on the local disk is not tried again");
        }
        let row = sqlx::query(
            "select coalesce(sum(refused = 0), 0) as batches, coalesce(sum(bytes), 0) as bytes,
                    coalesce(sum(refused), 0) as refused, min(case when refused = 0 then at end) as oldest
             from batch",
        )
        .fetch_one(&pool)
        .await?;
        let count = |column| u64::try_from(row.try_get::<i64, _>(column)?).map_err(Error::internal);
        let state = SpoolState {
            batches: count("batches")?,
            bytes: count("bytes")?,
            oldest: row.try_get::<Option<i64>, _>("oldest")?.map(Timestamp),
            refused: count("refused")?,
        };
        let mut reserve = Reserve { file: path.with_extension("reserve"), is_kept: false };
        reserve.keep();
        Ok(Self { pool, most_bytes, state: Mutex::new(state), reserve: tokio::sync::Mutex::new(reserve) })
    }

    /// How much waits.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        *self.known()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known().batches == 0
    }

    /// Puts batches behind those that wait; once it returns they are durable. All of them or none.
    pub async fn push(&self, batches: &[(&[&Event], &[&Exposure])], now: Timestamp) -> Result<()> {
        let bodies = batches.iter().map(written).collect::<Result<Vec<_>>>()?;
        let bytes = bytes_of(&bodies);
        if self.known().bytes.saturating_add(bytes) > self.most_bytes {
            return Err(Error::Unavailable(
                "the store is not available, and what waits for it has reached its bound; retry later"
                    .to_owned(),
            ));
        }
        let mut reserve = self.reserve.lock().await;
        if !reserve.keep() {
            return Err(no_disk());
        }
        let inserted = insert(&bodies, now, false).build().execute(&self.pool).await;
        inserted.map_err(|error| not_durable(&error))?;
        let mut known = self.known();
        known.batches += size(bodies.len());
        known.bytes += bytes;
        known.oldest.get_or_insert(now);
        Ok(())
    }

    /// The oldest that wait, at most so many: fewer where they are large, and one at least.
    pub async fn oldest(&self, most_batches: usize) -> Result<Vec<Spooled>> {
        let most = i64::try_from(most_batches.max(1)).unwrap_or(i64::MAX);
        // Sizes first, so that no more is read than is taken.
        let sizes = sqlx::query("select seq, bytes from batch where refused = 0 order by seq limit ?");
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for row in sizes.bind(most).fetch_all(&self.pool).await? {
            let (seq, size) = (row.try_get::<i64, _>("seq")?, row.try_get::<i64, _>("bytes")?);
            let size = u64::try_from(size).map_err(Error::internal)?;
            bytes += size;
            if bytes > MOST_BYTES && !taken.is_empty() {
                break;
            }
            let body = sqlx::query_scalar("select body from batch where seq = ?").bind(seq);
            let body: String = body.fetch_one(&self.pool).await?;
            match serde_json::from_str::<Read>(&body) {
                Ok(Read { events, exposures }) => taken.push(Spooled { seq, bytes: size, events, exposures }),
                Err(error) if taken.is_empty() => {
                    tracing::error!(%error, seq, "a batch on the local disk can not be read and is set aside");
                    let unread = Spooled { seq, bytes: size, events: Vec::new(), exposures: Vec::new() };
                    self.settle(&[unread], &[body]).await?;
                }
                // Once it is the oldest.
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// Forgets batches that are stored: those that were given out last.
    pub async fn remove(&self, stored: &[Spooled]) -> Result<()> {
        self.settle(stored, &[]).await
    }

    /// Forgets a batch that is stored but for what the store will not take; that is set aside, so that others are not kept
    /// waiting.
    pub async fn set_aside(&self, batch: &Spooled, refused: &[(&[&Event], &[&Exposure])]) -> Result<()> {
        let refused = refused.iter().map(written).collect::<Result<Vec<_>>>()?;
        self.settle(std::slice::from_ref(batch), &refused).await
    }

    /// Takes out batches that follow each other, and puts what is refused of them beside what waits.
    async fn settle(&self, batches: &[Spooled], refused: &[String]) -> Result<()> {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(());
        };
        let mut reserve = self.reserve.lock().await;
        let oldest = match self.replace(first.seq, last.seq, refused).await {
            // It takes a little space to take something out.
            Err(error) if reserve.release() => {
                tracing::warn!(
                    error = error.in_full(),
                    "the local disk is full; the space that is kept for this is used"
                );
                self.replace(first.seq, last.seq, refused).await?
            }
            replaced => replaced?,
        };
        {
            let mut known = self.known();
            known.batches = known.batches.saturating_sub(size(batches.len()));
            known.bytes = known.bytes.saturating_sub(batches.iter().map(|batch| batch.bytes).sum());
            known.bytes += bytes_of(refused);
            known.refused += size(refused.len());
            // What was put in meanwhile is not older than this.
            known.oldest = if known.batches == 0 { None } else { oldest.or(known.oldest) };
        }
        if self.is_empty() {
            // What was waiting took space that others may need.
            if let Err(error) = sqlx::raw_sql("pragma incremental_vacuum").execute(&self.pool).await {
                tracing::warn!(%error, "the local disk keeps the space of what was waiting");
            }
        }
        reserve.keep();
        Ok(())
    }

    /// Takes batches out, puts what is refused of them in, and gives when the oldest came of those that wait.
    async fn replace(&self, first: i64, last: i64, refused: &[String]) -> Result<Option<Timestamp>> {
        let mut writing = self.pool.begin_with(WRITE).await?;
        let at: i64 = sqlx::query_scalar("select at from batch where seq = ?")
            .bind(first)
            .fetch_one(&mut *writing)
            .await?;
        let delete = sqlx::query("delete from batch where seq between ? and ? and refused = 0");
        delete.bind(first).bind(last).execute(&mut *writing).await?;
        for rows in refused.chunks(MOST_ROWS) {
            insert(rows, Timestamp(at), true).build().execute(&mut *writing).await?;
        }
        let next = sqlx::query_scalar("select at from batch where refused = 0 order by seq limit 1");
        let oldest = next.fetch_optional(&mut *writing).await?.map(Timestamp);
        writing.commit().await?;
        Ok(oldest)
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn known(&self) -> MutexGuard<'_, SpoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch as its row has it.
fn written((events, exposures): &(&[&Event], &[&Exposure])) -> Result<String> {
    serde_json::to_string(&Written { events, exposures }).map_err(Error::internal)
}

fn insert(bodies: &[String], at: Timestamp, refused: bool) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new("insert into batch (at, bytes, refused, body) ");
    insert.push_values(bodies, |mut row, body| {
        row.push_bind(at.0).push_bind(i64::try_from(body.len()).unwrap_or(i64::MAX)).push_bind(refused);
        row.push_bind(body);
    });
    insert
}

fn bytes_of(bodies: &[String]) -> u64 {
    bodies.iter().map(|body| size(body.len())).sum()
}

/// A disk that is full or failing is for the caller to wait for: nothing was acknowledged.
fn not_durable(error: &sqlx::Error) -> Error {
    tracing::error!(%error, "the local disk takes no more of what waits for the store");
    no_disk()
}

fn no_disk() -> Error {
    Error::Unavailable(
        "the store is not available, nor is the local disk where events would wait; retry later".to_owned(),
    )
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
