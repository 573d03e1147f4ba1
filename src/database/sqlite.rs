//! The database file.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::relational::Dialect;
use super::{NativePool, Relational, migration_failure};
use crate::error::{Error, Result};

/// How a write transaction begins: it takes the write lock at once, so that it cannot fail half-way for want of it.
pub const WRITE: &str = "begin immediate";

/// How long a writer waits for the one before, and a caller for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// The same as below, for connections that are opened from an address.
const SESSION: &str = "pragma busy_timeout = 10000; pragma synchronous = full";

/// Opens the file, and makes it when it is not there.
pub(super) async fn open(path: &Path, migrations: &'static Migrator) -> Result<(Relational, NativePool)> {
    let path = std::path::absolute(path).map_err(Error::internal)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // With anything less, a commit that was acknowledged could be lost with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(WAIT);
    let address = AnyConnectOptions::from_url(&options.to_url_lossy())?;
    let native =
        SqlitePoolOptions::new().max_connections(8).acquire_timeout(WAIT).connect_with(options).await?;
    migrations.run(&native).await.map_err(migration_failure)?;
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
