//! Dropping what is too old from the database file, in pieces: other writers wait for one piece at most.

use sqlx::{Row, SqlitePool};

use crate::domain::time::{DAY_MS, Timestamp};
use crate::error::Result;
use crate::events::Dropped;
use crate::events::batch::MINUTE_MS;

/// How many rows of a table one piece looks at.
const PIECE: i64 = 20_000;

pub(super) async fn drop_before(pool: &SqlitePool, at: Timestamp) -> Result<Dropped> {
    let day = at.day();
    let rows = drop_events(pool, day.saturating_mul(DAY_MS)).await?;
    drop_days(pool, day).await?;
    drop_ids(pool, day).await?;
    let minute = at.0.div_euclid(MINUTE_MS);
    sqlx::query("delete from intake where minute < ?").bind(minute).execute(pool).await?;
    Ok(Dropped { rows, partitions: 0 })
}

/// Goes through all units once, and deletes their events before a time.
async fn drop_events(pool: &SqlitePool, before: i64) -> Result<u64> {
    let end = "select unit_type, unit_id from event where (unit_type, unit_id) > (?, ?)
               order by unit_type, unit_id, at limit 1 offset ?";
    let delete = "delete from event where (unit_type, unit_id) > (?1, ?2) and (unit_type, unit_id) <= (?3, ?4) and at < ?5";
    let rest = "delete from event where (unit_type, unit_id) > (?1, ?2) and at < ?5";
    drop_of_units(pool, [end, delete, rest], before).await
}

/// Goes through all units once, and deletes their days before a day.
async fn drop_days(pool: &SqlitePool, before: i64) -> Result<u64> {
    let end = "select unit_type, unit_id from activity where (unit_type, unit_id) > (?, ?)
               order by unit_type, unit_id, day limit 1 offset ?";
    let delete = "delete from activity where (unit_type, unit_id) > (?1, ?2) and (unit_type, unit_id) <= (?3, ?4) and day < ?5";
    let rest = "delete from activity where (unit_type, unit_id) > (?1, ?2) and day < ?5";
    drop_of_units(pool, [end, delete, rest], before).await
}

async fn drop_of_units(
    pool: &SqlitePool,
    [end, delete, rest]: [&'static str; 3],
    before: i64,
) -> Result<u64> {
    let (mut dropped, mut from) = (0, (String::new(), String::new()));
    loop {
        let to = sqlx::query(end).bind(&from.0).bind(&from.1).bind(PIECE).fetch_optional(pool).await?;
        let to: Option<(String, String)> = match to {
            Some(row) => Some((row.try_get(0)?, row.try_get(1)?)),
            None => None,
        };
        let (statement, last) = if to.is_some() { (delete, false) } else { (rest, true) };
        let to = to.unwrap_or_default();
        let delete = sqlx::query(statement).bind(&from.0).bind(&from.1).bind(&to.0).bind(&to.1).bind(before);
        dropped += delete.execute(pool).await?.rows_affected();
        if last {
            return Ok(dropped);
        }
        from = to;
    }
}

/// Goes through all ids once, and forgets those of events before a day.
async fn drop_ids(pool: &SqlitePool, before: i64) -> Result<()> {
    let mut from: Vec<u8> = Vec::new();
    loop {
        let to = sqlx::query_scalar("select id from event_id where id > ? order by id limit 1 offset ?");
        let to: Option<Vec<u8>> = to.bind(&from).bind(PIECE).fetch_optional(pool).await?;
        let delete =
            sqlx::query("delete from event_id where id > ?1 and (?2 is null or id <= ?2) and day < ?3");
        delete.bind(&from).bind(&to).bind(before).execute(pool).await?;
        let Some(to) = to else {
            return Ok(());
        };
        from = to;
    }
}
