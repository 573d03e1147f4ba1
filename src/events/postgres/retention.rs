//! Dropping what is too old from the server: whole partitions, and the rest in pieces.

use sqlx::{AssertSqlSafe, PgPool};

use super::partitions::{LOCK, PREFIX, Partitions, STRETCH_MS};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::error::Result;
use crate::events::Dropped;
use crate::events::batch::MINUTE_MS;

/// Most rows that one statement deletes.
const PIECE: i64 = 20_000;

/// Deletes in pieces. Bound: $1 what is older, $2 how many.
const EVENTS: &str =
    "delete from event_other where ctid = any(array(select ctid from event_other where at < $1 limit $2))";
const IDS: &str =
    "delete from event_id where ctid = any(array(select ctid from event_id where day < $1 limit $2))";
const DAYS: &str =
    "delete from activity where ctid = any(array(select ctid from activity where day < $1 limit $2))";
const INTAKE: &str =
    "delete from intake where ctid = any(array(select ctid from intake where minute < $1 limit $2))";

pub(super) async fn drop_before(pool: &PgPool, known: &Partitions, at: Timestamp) -> Result<Dropped> {
    let before = at.day().saturating_mul(DAY_MS);
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'event'::regclass",
    )
    .fetch_all(pool)
    .await?;
    let numbers = names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse::<i64>().ok());
    let mut dropped = Dropped::default();
    for number in numbers.filter(|number| (number + 1).saturating_mul(STRETCH_MS) <= before) {
        drop_partition(pool, number).await?;
        known.forget(number);
        dropped.partitions += 1;
    }
    dropped.rows = delete(pool, EVENTS, before).await?;
    delete(pool, IDS, at.day()).await?;
    delete(pool, DAYS, at.day()).await?;
    delete(pool, INTAKE, at.0.div_euclid(MINUTE_MS)).await?;
    Ok(dropped)
}

async fn drop_partition(pool: &PgPool, number: i64) -> Result<()> {
    let mut dropping = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *dropping).await?;
    sqlx::query("set local lock_timeout = '5s'").execute(&mut *dropping).await?;
    sqlx::query(AssertSqlSafe(format!("drop table if exists {PREFIX}{number}")))
        .execute(&mut *dropping)
        .await?;
    Ok(dropping.commit().await?)
}

async fn delete(pool: &PgPool, statement: &'static str, before: i64) -> Result<u64> {
    let mut deleted = 0;
    loop {
        let rows = sqlx::query(statement).bind(before).bind(PIECE).execute(pool).await?.rows_affected();
        deleted += rows;
        if rows == 0 {
            return Ok(deleted);
        }
    }
}
