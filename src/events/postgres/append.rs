//! Storing a batch on the server: ids first, then what follows from those that were new.
//!
//! The number of the write is taken as late as possible, since the next writer waits for it. What was new is known by then,
//! so events go straight to where they stay. The commit does not wait for the disk, and so lets the next writer on at once;
//! [`flush`] waits for it afterwards.

use std::collections::{BTreeMap, HashSet};

use sqlx::{Connection, PgConnection};

use super::copy::Rows;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::events::batch::{
    AddedExposure, Batch, FirstExposure, UnitDay, UnitEvent, exposure_outcomes, first_exposures, intake,
    new_events, unit_days, unit_events, watermarks,
};
use crate::events::{Intake, Outcomes};

/// Columns of events, in the order in which they are copied.
const EVENTS: &str = "copy event (unit_type, unit_id, at, arrival, n, name, value, properties, attributes)
    from stdin with (format binary)";
/// How many they are.
const EVENT_COLUMNS: i16 = 9;
/// Columns of ids, and how many they are.
const IDS: &str = "copy event_id (id, day) from stdin with (format binary)";
const ID_COLUMNS: i16 = 2;
/// From so many rows on they are copied. The driver says that a copy has ended in a message apart from its data, and TCP keeps
/// that one back until the other side confirms the data: at once where they are many, else up to 40 ms later. Arrays are one
/// message with their statement.
const COPIED_FROM: usize = 512;

/// A write ends with a commit that is on no disk yet: waiting for the disk while its number is held would keep everybody else
/// from committing. Ids are looked up one by one, whatever the planner makes of a table that it knows nothing of.
const SETTINGS: &str =
    "set local synchronous_commit = off; set local enable_seqscan = off; set local jit = off";
/// A commit of its own with nothing in it but an entry in the log. It waits as the server is set to, for the disk or a standby,
/// until everything that was logged before it is safe.
const FLUSH: &str = "select pg_logical_emit_message(true, 'portcullis', '')";

/// Stores a batch and gives the number of the write. It can be seen from then on; it is durable after the next [`flush`].
pub(super) async fn append(
    connection: &mut PgConnection,
    events: &[&Event],
    exposures: &[&Exposure],
) -> Result<(Outcomes, i64)> {
    let batch = Batch::of(events);
    let exposed = first_exposures(exposures)?;
    let mut writing = connection.begin().await?;
    sqlx::raw_sql(SETTINGS).execute(&mut *writing).await?;
    let outcomes = batch.outcomes(take_ids(&mut writing, &batch.ids()).await?);
    let new = new_events(events, &outcomes)?;
    let (rows, days) = (unit_events(&new), unit_days(&new, exposures));
    let arrival = sqlx::query_scalar("update arrival set last = last + 1 returning last");
    let arrival: i64 = arrival.fetch_one(&mut *writing).await?;
    store_events(&mut writing, &rows, arrival).await?;
    insert_days(&mut writing, &days, arrival).await?;
    let added = insert_exposures(&mut writing, &exposed, arrival).await?;
    if !events.is_empty() {
        count_intake(&mut writing, &intake(events, &outcomes)).await?;
        raise_watermarks(&mut writing, &watermarks(events)).await?;
    }
    writing.commit().await?;
    let exposures = exposure_outcomes(exposures, &exposed, &added);
    Ok((Outcomes { events: outcomes, exposures }, arrival))
}

/// Waits until everything that was committed before is durable.
pub(super) async fn flush(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(FLUSH).execute(connection).await?;
    Ok(())
}

/// Takes ids, and gives those that were free. What another writer takes in between ends the transaction, which is then done
/// again whole: looking first and copying the rest costs far less than an insert that minds every single row.
async fn take_ids(writing: &mut PgConnection, ids: &[(&[u8], i64)]) -> Result<HashSet<Vec<u8>>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let all: Vec<&[u8]> = ids.iter().map(|(id, _)| *id).collect();
    let taken = sqlx::query_scalar("select id from event_id where id = any($1)").bind(all);
    let taken: HashSet<Vec<u8>> = taken.fetch_all(&mut *writing).await?.into_iter().collect();
    let free: Vec<_> = ids.iter().filter(|(id, _)| !taken.contains(*id)).collect();
    let days: Result<Vec<i32>> =
        free.iter().map(|(_, day)| i32::try_from(*day).map_err(Error::internal)).collect();
    let days = days?;
    if free.len() < COPIED_FROM {
        let insert =
            sqlx::query("insert into event_id (id, day) select * from unnest($1::bytea[], $2::integer[])");
        let ids: Vec<&[u8]> = free.iter().map(|(id, _)| *id).collect();
        insert.bind(ids).bind(days).execute(writing).await?;
    } else {
        let mut rows = Rows::new();
        for ((id, _), day) in free.iter().zip(days) {
            rows.row(ID_COLUMNS).bytes(id).integer(day);
        }
        copy(writing, IDS, rows).await?;
    }
    Ok(free.iter().map(|(id, _)| id.to_vec()).collect())
}

async fn copy(writing: &mut PgConnection, statement: &str, rows: Rows) -> Result<()> {
    let mut copy = writing.copy_in_raw(statement).await?;
    copy.send(rows.finish()).await?;
    copy.finish().await?;
    Ok(())
}

async fn store_events(writing: &mut PgConnection, events: &[UnitEvent<'_>], arrival: i64) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    if events.len() < COPIED_FROM {
        return insert_events(writing, events, arrival).await;
    }
    let mut rows = Rows::new();
    for UnitEvent { unit_type, unit_id, n, event, properties, attributes } in events {
        let row = rows.row(EVENT_COLUMNS).text(unit_type).text(unit_id).bigint(event.at.0).bigint(arrival);
        row.integer(*n).text(&event.name).double(event.value).text(properties).text(attributes);
    }
    copy(writing, EVENTS, rows).await
}

async fn insert_events(writing: &mut PgConnection, events: &[UnitEvent<'_>], arrival: i64) -> Result<()> {
    let insert = sqlx::query(
        "insert into event (unit_type, unit_id, at, n, name, value, properties, attributes, arrival)
         select *, $9 from unnest($1::text[], $2::text[], $3::bigint[], $4::integer[], $5::text[],
                                  $6::double precision[], $7::text[], $8::text[])",
    );
    insert
        .bind(events.iter().map(|row| row.unit_type.as_ref()).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.unit_id).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.event.at.0).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.n).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.event.name.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.event.value).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.properties).collect::<Vec<_>>())
        .bind(events.iter().map(|row| row.attributes).collect::<Vec<_>>())
        .bind(arrival)
        .execute(writing)
        .await?;
    Ok(())
}

async fn insert_days(writing: &mut PgConnection, days: &[UnitDay<'_>], arrival: i64) -> Result<()> {
    if days.is_empty() {
        return Ok(());
    }
    let types: Vec<&str> = days.iter().map(|(unit_type, ..)| unit_type.as_ref()).collect();
    let ids: Vec<&str> = days.iter().map(|(_, unit_id, _)| *unit_id).collect();
    let days: Vec<i64> = days.iter().map(|(.., day)| *day).collect();
    let insert = sqlx::query(
        "insert into activity (unit_type, unit_id, day, arrival)
         select unit_type, unit_id, day::integer, $4
         from unnest($1::text[], $2::text[], $3::bigint[]) sent (unit_type, unit_id, day)
         on conflict do nothing",
    );
    insert.bind(types).bind(ids).bind(days).bind(arrival).execute(writing).await?;
    Ok(())
}

/// What SDKs report late may be older than what is there already; what is not older says nothing new. Gives what was added.
async fn insert_exposures(
    writing: &mut PgConnection,
    rows: &[FirstExposure<'_>],
    arrival: i64,
) -> Result<Vec<AddedExposure>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let epochs: Result<Vec<i32>> =
        rows.iter().map(|row| i32::try_from(row.assignment.epoch).map_err(Error::internal)).collect();
    let insert = sqlx::query_as(
        "insert into exposure (launch_id, unit_id, epoch, arm, at, arrival, settled, reverted, attributes)
         select s.launch_id, s.unit_id, s.epoch, s.arm, s.at, $9, s.settled, s.reverted, s.attributes
         from unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::bigint[], $6::boolean[], $7::boolean[],
                     $8::text[]) s (launch_id, unit_id, epoch, arm, at, settled, reverted, attributes)
         where not exists (
             select 1 from exposure x
             where x.launch_id = s.launch_id and x.unit_id = s.unit_id and x.epoch = s.epoch and x.arm = s.arm
               and x.at <= s.at
         )
         returning launch_id, unit_id, epoch::bigint, arm",
    );
    let insert = insert
        .bind(rows.iter().map(|row| row.launch.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.exposure.unit_id.as_str()).collect::<Vec<_>>())
        .bind(epochs?)
        .bind(rows.iter().map(|row| row.assignment.arm.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.exposure.at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.assignment.settled).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.assignment.reverted).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.attributes.as_str()).collect::<Vec<_>>())
        .bind(arrival);
    Ok(insert.fetch_all(writing).await?)
}

async fn count_intake(writing: &mut PgConnection, counted: &BTreeMap<(&str, i64), Intake>) -> Result<()> {
    let counts = |of: fn(&Intake) -> u64| -> Vec<i64> {
        counted.values().map(|intake| i64::try_from(of(intake)).unwrap_or(i64::MAX)).collect()
    };
    let insert = sqlx::query(
        "insert into intake as i (name, minute, events, duplicates, without_value, without_user_id, late, early, least,
                                  greatest)
         select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                              $7::bigint[], $8::bigint[], $9::double precision[], $10::double precision[])
         on conflict (name, minute) do update set
             events = i.events + excluded.events, duplicates = i.duplicates + excluded.duplicates,
             without_value = i.without_value + excluded.without_value,
             without_user_id = i.without_user_id + excluded.without_user_id,
             late = i.late + excluded.late, early = i.early + excluded.early,
             least = least(i.least, excluded.least), greatest = greatest(i.greatest, excluded.greatest)",
    );
    insert
        .bind(counted.keys().map(|(name, _)| *name).collect::<Vec<_>>())
        .bind(counted.keys().map(|(_, minute)| *minute).collect::<Vec<_>>())
        .bind(counts(|intake| intake.events))
        .bind(counts(|intake| intake.duplicates))
        .bind(counts(|intake| intake.without_value))
        .bind(counts(|intake| intake.without_user_id))
        .bind(counts(|intake| intake.late))
        .bind(counts(|intake| intake.early))
        .bind(counted.values().map(|intake| intake.least).collect::<Vec<_>>())
        .bind(counted.values().map(|intake| intake.greatest).collect::<Vec<_>>())
        .execute(writing)
        .await?;
    Ok(())
}

async fn raise_watermarks(writing: &mut PgConnection, watermarks: &BTreeMap<&str, Timestamp>) -> Result<()> {
    let insert = sqlx::query(
        "insert into watermark as w (name, at) select * from unnest($1::text[], $2::bigint[])
         on conflict (name) do update set at = excluded.at where w.at < excluded.at",
    );
    let insert = insert.bind(watermarks.keys().copied().collect::<Vec<_>>());
    insert.bind(watermarks.values().map(|at| at.0).collect::<Vec<_>>()).execute(writing).await?;
    Ok(())
}
