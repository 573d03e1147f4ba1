//! The database file.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use super::relational::Dialect;
use super::{NativePool, Relational, Schema, migration_failure, must_be_up_to_date};
use crate::error::{Error, Result};

/// How a write transaction begins: it takes the write lock at once, so that it cannot fail half-way for want of it.
pub const WRITE: &str = "begin immediate";

/// How long a writer waits for the one before, and a caller for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// How long another program may take for its migrations, and how often it is looked whether it is done.
const TURN: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(20);
/// The same as below, for connections that are opened from an address.
const SESSION: &str = "pragma busy_timeout = 10000; pragma synchronous = full";

/// Opens the file. It is made when it is not there, and its schema brought up to date, where that is asked for.
pub(super) async fn open(
    path: &Path,
    migrations: &'static Migrator,
    schema: Schema,
) -> Result<(Relational, NativePool)> {
    let path = std::path::absolute(path).map_err(Error::internal)?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(schema == Schema::BringUpToDate)
        .journal_mode(SqliteJournalMode::Wal)
        // With anything less, a commit that was acknowledged could be lost with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(WAIT);
    let address = AnyConnectOptions::from_url(&options.to_url_lossy())?;
    let turn = match schema {
        Schema::BringUpToDate => Some(turn(&path).await?),
        Schema::MustBeUpToDate => None,
    };
    let native =
        SqlitePoolOptions::new().max_connections(8).acquire_timeout(WAIT).connect_with(options).await?;
    if turn.is_some() {
        migrations.run(&native).await.map_err(migration_failure)?;
    } else {
        must_be_up_to_date(&mut *native.acquire().await?, migrations).await?;
    }
    drop(turn);
    let pool = AnyPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(WAIT)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(|_| ()) })
        })
        .connect_lazy_with(address);
    let dialect = Dialect {
        read: "begin",
        write: WRITE,
        now: "cast(unixepoch('subsec') * 1000 as integer)",
        // Whoever writes has the file for itself.
        shared_lock: "",
        notify: None,
    };
    let relational = Relational::new(pool, dialect);
    Ok((relational, NativePool::Sqlite(native)))
}

/// Waits for the turn to migrate: the engine's own lock is let go between what is looked up and what is applied. The turn
/// ends with the value.
async fn turn(path: &Path) -> Result<File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".migrating");
    let unusable = |cause| Error::WrongState(format!("{} can not be opened: {cause}", path.display()));
    let lock = File::create(beside).map_err(unusable)?;
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if begun.elapsed() < TURN => sleep(LOOK).await,
            Err(TryLockError::WouldBlock) => {
                let message =
                    "another program is bringing the database up to date; try again when it is done";
                return Err(Error::Unavailable(message.to_owned()));
            }
            Err(TryLockError::Error(cause)) => return Err(Error::internal(cause)),
        }
    }
}
