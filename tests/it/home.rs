//! Where a server of a test keeps what it keeps: a folder, and a database of its own on the engine that the tests run on.
//!
//! `PORTCULLIS_TEST_ENGINE` is `sqlite`, the default, or `postgres`; `script/test` runs everything on both.

use std::path::Path;
use std::sync::Arc;

use portcullis::app::DATABASE_FILE;
use sqlx::any::AnyRow;
use sqlx::postgres::PgConnection;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tempfile::TempDir;

/// What says which engine the tests run on.
const ENGINE: &str = "PORTCULLIS_TEST_ENGINE";
/// What says where a server is on which databases may be made.
const POSTGRES: &str = "PORTCULLIS_TEST_POSTGRES";

/// A folder with a database. They go when the last server that was given them has gone.
pub(crate) struct Home {
    folder: TempDir,
    postgres: Option<PostgresDatabase>,
}

impl Home {
    /// A new one, on the engine that the tests run on.
    pub(crate) async fn new() -> Arc<Self> {
        match variable(ENGINE).as_deref() {
            None | Some("sqlite") => Self::with_sqlite(),
            Some("postgres") => Self::with_postgres().await,
            Some(other) => panic!("{ENGINE} must be sqlite or postgres, is {other}"),
        }
    }

    /// A new one with a database file.
    pub(crate) fn with_sqlite() -> Arc<Self> {
        Arc::new(Self { folder: tempfile::tempdir().expect("a folder"), postgres: None })
    }

    /// A new one with a database on a server.
    pub(crate) async fn with_postgres() -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        // The folder's name is nobody else's.
        let own = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        let postgres = Some(PostgresDatabase::make(&format!("portcullis_test{own}")).await);
        Arc::new(Self { folder, postgres })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Address of the database.
    pub(crate) fn url(&self) -> String {
        match &self.postgres {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", self.path().join(DATABASE_FILE).display()),
        }
    }

    /// A connection past the program.
    pub(crate) async fn connection(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url()).await.expect("the database opens")
    }

    /// What a query finds, past the program.
    pub(crate) async fn rows(&self, query: &str) -> Vec<AnyRow> {
        let mut connection = self.connection().await;
        sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(&mut connection).await.expect("rows")
    }

    /// Runs statements past the program.
    pub(crate) async fn execute(&self, statements: &str) {
        let mut connection = self.connection().await;
        let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await;
        done.expect("the statements are done");
    }

    /// A connection that keeps everybody else from storing events, until it rolls back.
    pub(crate) async fn writer(&self) -> AnyConnection {
        let mut connection = self.connection().await;
        let taken =
            if self.postgres.is_some() { "begin; update arrival set last = last" } else { "begin immediate" };
        sqlx::raw_sql(taken).execute(&mut connection).await.expect("the writer's place");
        connection
    }

    /// Takes the database away: nobody can write, and on a server nobody can connect. It ends with the value.
    pub(crate) async fn outage(&self) -> Outage {
        if let Some(database) = &self.postgres {
            let name = &database.name;
            execute(&format!("alter database \"{name}\" with allow_connections false")).await;
            let cut =
                format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
            execute(&cut).await;
            return Outage::Postgres(name.clone());
        }
        Outage::Sqlite(Box::new(self.writer().await))
    }

    /// Everything that is stored, one way or another. The server has stopped.
    pub(crate) async fn stored(&self) -> Vec<u8> {
        let mut stored = Vec::new();
        for file in std::fs::read_dir(self.path()).expect("the folder") {
            stored.extend(std::fs::read(file.expect("a file").path()).expect("its bytes"));
        }
        if self.postgres.is_some() {
            let tables = "select tablename::text from pg_tables where schemaname = 'public'";
            for table in self.rows(tables).await {
                let table: String = table.get(0);
                for row in self.rows(&format!("select t::text from {table} t")).await {
                    stored.extend(row.get::<String, _>(0).into_bytes());
                }
            }
        }
        stored
    }
}

/// A database that is away.
pub(crate) enum Outage {
    Sqlite(Box<AnyConnection>),
    Postgres(String),
}

impl Outage {
    /// The database is there again.
    pub(crate) async fn end(self) {
        match self {
            Self::Sqlite(mut writer) => {
                sqlx::raw_sql("rollback").execute(&mut *writer).await.expect("the writer's place is left");
            }
            Self::Postgres(name) => {
                execute(&format!("alter database \"{name}\" with allow_connections true")).await;
            }
        }
    }
}

/// A database on the server for tests.
struct PostgresDatabase {
    name: String,
    url: String,
}

impl PostgresDatabase {
    async fn make(name: &str) -> Self {
        execute(&format!("create database \"{name}\"")).await;
        let server = server();
        let (before, _) = server.rsplit_once('/').expect("an address with a database");
        Self { url: format!("{before}/{name}"), name: name.to_owned() }
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let statement = format!("drop database \"{}\" with (force)", self.name);
        // On a thread of its own, since the test's runtime may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(execute(&statement));
        });
        dropped.join().expect("the database is dropped");
    }
}

async fn execute(statement: &str) {
    let mut connection = PgConnection::connect(&server()).await.expect("the server for tests answers");
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await;
    done.expect("the statement is done");
    connection.close().await.expect("closed");
}

fn server() -> String {
    variable(POSTGRES).unwrap_or_else(|| {
        panic!("run script/test, or set {POSTGRES} to a server where databases may be made")
    })
}

#[expect(clippy::disallowed_methods, reason = "a test binary takes no settings by another way")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
