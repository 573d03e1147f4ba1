//! A database for one test on the PostgreSQL server that the tests are given.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

/// The setting that names the server.
const SERVER: &str = "PORTCULLIS_TEST_POSTGRES";

/// A database with the schema in it.
pub(super) struct TestDatabase {
    pub(super) pool: PgPool,
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    pub(super) async fn make() -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests are told their server this way")]
        let server = std::env::var(SERVER).unwrap_or_else(|_| {
            panic!("run script/test, or set {SERVER} to a server where databases may be made")
        });
        let server = PgConnectOptions::from_str(&server).expect("an address of a server");
        let name = format!("events_{}", Uuid::from_u128(rand::random()).simple());
        execute(&mut server.connect().await.expect("a server"), &format!("create database {name}")).await;
        let options = PgPoolOptions::new().max_connections(4);
        let pool = options.connect_with(server.clone().database(&name)).await.expect("a database");
        sqlx::migrate!("migrations/postgres").run(&pool).await.expect("the schema");
        Self { pool, server, name }
    }

    /// One that a failed test leaves behind goes with the server.
    pub(super) async fn remove(self) {
        self.pool.close().await;
        let mut server = self.server.connect().await.expect("a server");
        execute(&mut server, &format!("drop database {}", self.name)).await;
        server.close().await.expect("closed");
    }
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await.expect("done");
}
