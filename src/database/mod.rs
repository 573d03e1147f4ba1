//! The database, an SQLite file or a PostgreSQL server: opened, brought up to date, and shared by the stores.

mod failure;
mod listen;
mod postgres;
mod relational;
mod sqlite;
mod url;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{PgPool, SqlitePool};

pub use failure::is_of_the_data;
pub use listen::{Listener, News};
pub use relational::{Relational, bounded, repeated};
pub use sqlite::WRITE;
pub use url::{DatabaseUrl, InvalidDatabaseUrl};

use crate::error::{Error, Result};
use url::Place;

/// Schema of the database file.
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
/// Schema on a server.
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// An open database. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Database {
    relational: Relational,
    native: NativePool,
}

/// Connections by the engine's own driver, for what is written differently for each.
#[derive(Clone, Debug)]
pub enum NativePool {
    /// To the database file.
    Sqlite(SqlitePool),
    /// To the server.
    Postgres(PgPool),
}

impl Database {
    /// Opens the database and applies the migrations that it lacks. A file that is not there is made; a server's database
    /// must be there. Servers that start at once take turns.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        Self::open_by(url, Schema::BringUpToDate).await
    }

    /// Opens a database that a server may be using: one that lacks migrations is refused, and left as it is.
    pub async fn open_as_it_is(url: &DatabaseUrl) -> Result<Self> {
        Self::open_by(url, Schema::MustBeUpToDate).await
    }

    async fn open_by(url: &DatabaseUrl, schema: Schema) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let (relational, native) = match &url.0 {
            Place::Sqlite(path) => sqlite::open(path, &SQLITE, schema).await?,
            Place::Postgres(url) => postgres::open(url, &POSTGRES, schema).await?,
        };
        Ok(Self { relational, native })
    }

    /// For statements that are the same on every engine.
    #[must_use]
    pub fn relational(&self) -> &Relational {
        &self.relational
    }

    /// For statements that are not.
    #[must_use]
    pub fn native(&self) -> &NativePool {
        &self.native
    }

    /// Closes all connections, once what is under way has ended.
    pub async fn close(&self) {
        self.relational.close().await;
        match &self.native {
            NativePool::Sqlite(pool) => pool.close().await,
            NativePool::Postgres(pool) => pool.close().await,
        }
    }
}

/// What becomes of a schema that is not today's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    /// It is made so.
    BringUpToDate,
    /// It is refused.
    MustBeUpToDate,
}

/// Refuses a database that does not have all migrations, and no others.
async fn must_be_up_to_date<C: Migrate>(connection: &mut C, migrations: &Migrator) -> Result<()> {
    let applied = connection.list_applied_migrations(&migrations.table_name).await;
    let applied: Vec<i64> =
        applied.map_err(migration_failure)?.iter().map(|applied| applied.version).collect();
    if let Some(later) = applied.iter().find(|version| !migrations.version_exists(**version)) {
        return Err(migration_failure(MigrateError::VersionMissing(*later)));
    }
    match migrations.iter().find(|migration| !applied.contains(&migration.version)) {
        Some(lacking) => Err(Error::WrongState(format!(
            "the database lacks migration {}, which a server of this version applies when it starts; start one first",
            lacking.version
        ))),
        None => Ok(()),
    }
}

/// What keeps the migrations from being applied, in terms an operator can act on.
fn migration_failure(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(cause) => cause.into(),
        MigrateError::VersionMissing(version) => Error::WrongState(format!(
            "the database has migration {version}, which this version of portcullis does not know; serve it with the \
             version that wrote it, or a later one"
        )),
        error => Error::internal(error),
    }
}
