//! The database file: opened, brought up to date, and shared by the stores.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::error::{Error, Result};

/// How a write transaction begins: it takes the write lock at once, so that it cannot fail half-way for want of it.
pub const WRITE: &str = "begin immediate";

/// Opens the file, makes it when it is not there, and applies the migrations it lacks.
pub async fn open(path: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // With anything less, a commit that was acknowledged could be lost with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .map_err(Error::from)?;
    sqlx::migrate!("migrations/sqlite").run(&pool).await.map_err(Error::internal)?;
    Ok(pool)
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // 5 is SQLITE_BUSY and 6 SQLITE_LOCKED, in the low byte of the code.
        let busy = |code: &str| code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6));
        match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                Self::Unavailable(format!("the store is not available: {error}"))
            }
            sqlx::Error::Database(cause) if cause.code().is_some_and(|code| busy(&code)) => {
                Self::Unavailable("the store is busy".to_owned())
            }
            _ => Self::internal(error),
        }
    }
}
