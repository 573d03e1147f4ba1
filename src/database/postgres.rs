//! A database of a PostgreSQL server.

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;
use url::Url;

use super::listen::NOTIFY;
use super::relational::Dialect;
use super::{NativePool, Relational, Schema, migration_failure, must_be_up_to_date};
use crate::error::{Error, Result};

/// How long a caller waits for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// How long a connection that is given back may take to answer; one that is cut off never does.
const ANSWER: Duration = Duration::from_secs(5);
/// What holds for each connection. A statement ends before its caller gives up, and a server that loses us takes back our
/// locks within a quarter of a minute.
const SESSION: &str = "set statement_timeout = '30s';
    set idle_in_transaction_session_timeout = '15s';
    set tcp_keepalives_idle = 30;
    set tcp_keepalives_interval = 10;
    set tcp_keepalives_count = 3";

/// Connects, and brings the schema up to date where that is asked for.
pub(super) async fn open(
    url: &Url,
    migrations: &'static Migrator,
    schema: Schema,
) -> Result<(Relational, NativePool)> {
    let options = PgConnectOptions::from_str(url.as_str())?.application_name("portcullis");
    migrate(&options, migrations, schema).await?;
    let native = pool::<sqlx::Postgres>()
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(|_| ()) })
        })
        .connect_lazy_with(options);
    let relational: AnyPoolOptions = pool::<sqlx::Any>().after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(|_| ()) })
    });
    let relational = relational.connect_lazy_with(AnyConnectOptions::from_url(url)?);
    // One state is read as a whole; a change is in order with the others by the row that it takes first.
    let dialect = Dialect {
        read: "begin isolation level repeatable read, read only",
        write: "begin",
        now: "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
        shared_lock: " for share",
        notify: Some(NOTIFY),
    };
    Ok((Relational::new(relational, dialect), NativePool::Postgres(native)))
}

/// On a connection of its own, which may take as long as it takes. The migrator holds an advisory lock meanwhile.
async fn migrate(options: &PgConnectOptions, migrations: &'static Migrator, schema: Schema) -> Result<()> {
    // A pool would go on trying a server that is not there, and not say what is wrong.
    let connected = timeout(WAIT, options.connect()).await;
    let late =
        |_| Error::Unavailable(format!("the store is not available: no connection in {} s", WAIT.as_secs()));
    let mut connection = connected.map_err(late)??;
    if schema == Schema::MustBeUpToDate {
        must_be_up_to_date(&mut connection, migrations).await?;
        return Ok(connection.close().await?);
    }
    connection.close().await?;
    let one = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    migrations.run(&one).await.map_err(migration_failure)?;
    one.close().await;
    Ok(())
}

fn pool<DB: sqlx::Database>() -> PoolOptions<DB> {
    PoolOptions::new().max_connections(8).acquire_timeout(WAIT).after_release(
        |connection: &mut DB::Connection, _| {
            Box::pin(async move {
                match timeout(ANSWER, connection.ping()).await {
                    Ok(answered) => answered.map(|()| true),
                    Err(late) => Err(sqlx::Error::Io(late.into())),
                }
            })
        },
    )
}
