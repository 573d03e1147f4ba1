//! Databases to measure on: a file, or one of its own on a server that is named by `PORTCULLIS_TEST_POSTGRES`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use portcullis::database::DatabaseUrl;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// The name of the database on a server.
const NAME: &str = "bench_refresh";

/// Where a database is made.
#[derive(Clone, Debug)]
pub enum Engine {
    /// In a file.
    Sqlite,
    /// On the server at an address.
    Postgres(String),
}

impl Engine {
    /// A file, and a server where one is named.
    pub fn all() -> Vec<Self> {
        let server = std::env::var("PORTCULLIS_TEST_POSTGRES").ok();
        [Self::Sqlite].into_iter().chain(server.map(Self::Postgres)).collect()
    }

    /// The address of a new database.
    pub async fn make(&self, folder: &Path) -> DatabaseUrl {
        let Self::Postgres(server) = self else {
            return DatabaseUrl::sqlite(&folder.join("bench.db"));
        };
        self.remove().await;
        execute(server, &format!("create database {NAME}")).await;
        let (before, database) = server.rsplit_once('/').unwrap();
        let query = database.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        format!("{before}/{NAME}{query}").parse().unwrap()
    }

    /// Takes the database away; a file goes with its folder.
    pub async fn remove(&self) {
        if let Self::Postgres(server) = self {
            execute(server, &format!("drop database if exists {NAME} with (force)")).await;
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        })
    }
}

async fn execute(server: &str, statement: &str) {
    let mut connection = PgConnectOptions::from_str(server).unwrap().connect().await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
