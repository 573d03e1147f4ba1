//! Storing a batch in the database file.

use std::collections::{BTreeMap, HashSet};

use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool, Transaction};

use crate::database::WRITE;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::events::batch::{
    AddedExposure, Batch, FirstExposure, UnitDay, UnitEvent, exposure_outcomes, first_exposures, intake,
    new_events, unit_days, unit_events, watermarks,
};
use crate::events::{Intake, Outcomes};

/// Most rows of one statement, well below the engine's limit of 32,766 bound values.
const MOST_ROWS: usize = 256;

/// A transaction that writes.
type Writing = Transaction<'static, Sqlite>;

pub(super) async fn append(
    pool: &SqlitePool,
    events: &[&Event],
    exposures: &[&Exposure],
) -> Result<Outcomes> {
    let batch = Batch::of(events);
    let ids = batch.ids();
    let exposed = first_exposures(exposures)?;
    // The write lock is held from here on, so that arrivals follow commits.
    let mut writing = pool.begin_with(WRITE).await?;
    let outcomes = batch.outcomes(insert_ids(&mut writing, &ids).await?);
    let new = new_events(events, &outcomes)?;
    let arrival = next_arrival(&mut writing).await?;
    insert_events(&mut writing, &unit_events(&new), arrival).await?;
    insert_days(&mut writing, &unit_days(&new, exposures), arrival).await?;
    let added = insert_exposures(&mut writing, &exposed, arrival).await?;
    count_intake(&mut writing, intake(events, &outcomes)).await?;
    raise_watermarks(&mut writing, watermarks(events)).await?;
    writing.commit().await?;
    Ok(Outcomes { events: outcomes, exposures: exposure_outcomes(exposures, &exposed, &added) })
}

async fn next_arrival(writing: &mut Writing) -> Result<i64> {
    let next = sqlx::query_scalar("update arrival set last = last + 1 returning last");
    Ok(next.fetch_one(&mut **writing).await?)
}

/// Takes ids, and gives those that were free.
async fn insert_ids(writing: &mut Writing, ids: &[(&[u8], i64)]) -> Result<HashSet<Vec<u8>>> {
    let mut new = HashSet::with_capacity(ids.len());
    for piece in pieces(ids) {
        let mut insert = QueryBuilder::<Sqlite>::new("insert into event_id (id, day) ");
        insert.push_values(piece, |mut row, (id, day)| {
            row.push_bind(*id).push_bind(*day);
        });
        insert.push(" on conflict do nothing returning id");
        for row in insert.build().fetch_all(&mut **writing).await? {
            new.insert(row.try_get("id")?);
        }
    }
    Ok(new)
}

async fn insert_events(writing: &mut Writing, rows: &[UnitEvent<'_>], arrival: i64) -> Result<()> {
    for piece in pieces(rows) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "insert into event (unit_type, unit_id, at, arrival, n, name, value, properties, attributes) ",
        );
        insert.push_values(
            piece,
            |mut row, UnitEvent { unit_type, unit_id, n, event, properties, attributes }| {
                row.push_bind(unit_type.as_ref()).push_bind(*unit_id).push_bind(event.at.0);
                row.push_bind(arrival).push_bind(*n).push_bind(&event.name).push_bind(event.value);
                row.push_bind(*properties).push_bind(*attributes);
            },
        );
        insert.build().execute(&mut **writing).await?;
    }
    Ok(())
}

async fn insert_days(writing: &mut Writing, days: &[UnitDay<'_>], arrival: i64) -> Result<()> {
    for piece in pieces(days) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("insert into activity (unit_type, unit_id, day, arrival) ");
        insert.push_values(piece, |mut row, (unit_type, unit_id, day)| {
            row.push_bind(unit_type.as_ref()).push_bind(*unit_id).push_bind(*day).push_bind(arrival);
        });
        insert.push(" on conflict do nothing").build().execute(&mut **writing).await?;
    }
    Ok(())
}

/// What SDKs report late may be older than what is there already; what is not older says nothing new. Gives what was added.
async fn insert_exposures(
    writing: &mut Writing,
    rows: &[FirstExposure<'_>],
    arrival: i64,
) -> Result<Vec<AddedExposure>> {
    let mut added = Vec::new();
    for piece in pieces(rows) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "with sent (launch_id, unit_id, epoch, arm, at, arrival, settled, reverted, attributes) as (",
        );
        insert.push_values(
            piece,
            |mut row, FirstExposure { launch, exposure, assignment, attributes, .. }| {
                row.push_bind(launch).push_bind(&exposure.unit_id).push_bind(assignment.epoch);
                row.push_bind(&assignment.arm).push_bind(exposure.at.0).push_bind(arrival);
                row.push_bind(assignment.settled).push_bind(assignment.reverted).push_bind(attributes);
            },
        );
        insert.push(
            ")
            insert into exposure (launch_id, unit_id, epoch, arm, at, arrival, settled, reverted, attributes)
            select * from sent s
            where not exists (
                select 1 from exposure x
                where x.launch_id = s.launch_id and x.unit_id = s.unit_id and x.epoch = s.epoch and x.arm = s.arm
                  and x.at <= s.at
            )
            returning launch_id, unit_id, epoch, arm",
        );
        added.extend(insert.build_query_as().fetch_all(&mut **writing).await?);
    }
    Ok(added)
}

async fn count_intake(writing: &mut Writing, counted: BTreeMap<(&str, i64), Intake>) -> Result<()> {
    let counted: Vec<_> = counted.into_iter().collect();
    for piece in pieces(&counted) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "insert into intake as i (name, minute, events, duplicates, without_value, without_user_id, late, early,
                                      least, greatest) ",
        );
        insert.push_values(piece, |mut row, ((name, minute), intake)| {
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            row.push_bind(*name).push_bind(*minute).push_bind(count(intake.events));
            row.push_bind(count(intake.duplicates)).push_bind(count(intake.without_value));
            row.push_bind(count(intake.without_user_id)).push_bind(count(intake.late));
            row.push_bind(count(intake.early)).push_bind(intake.least).push_bind(intake.greatest);
        });
        insert.push(
            " on conflict do update set
                  events = i.events + excluded.events, duplicates = i.duplicates + excluded.duplicates,
                  without_value = i.without_value + excluded.without_value,
                  without_user_id = i.without_user_id + excluded.without_user_id,
                  late = i.late + excluded.late, early = i.early + excluded.early,
                  least = min(coalesce(i.least, excluded.least), coalesce(excluded.least, i.least)),
                  greatest = max(coalesce(i.greatest, excluded.greatest), coalesce(excluded.greatest, i.greatest))",
        );
        insert.build().execute(&mut **writing).await?;
    }
    Ok(())
}

async fn raise_watermarks(writing: &mut Writing, watermarks: BTreeMap<&str, Timestamp>) -> Result<()> {
    let watermarks: Vec<_> = watermarks.into_iter().collect();
    for piece in pieces(&watermarks) {
        let mut insert = QueryBuilder::<Sqlite>::new("insert into watermark as w (name, at) ");
        insert.push_values(piece, |mut row, (name, at)| {
            row.push_bind(*name).push_bind(at.0);
        });
        insert.push(" on conflict do update set at = max(w.at, excluded.at)");
        insert.build().execute(&mut **writing).await?;
    }
    Ok(())
}

/// Cuts rows into as many as a statement takes, and the rest into powers of two, so that there are few statements to
/// prepare.
fn pieces<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let most = MOST_ROWS.min(rest.len());
        let size = most.checked_ilog2().map(|bits| 1_usize << bits)?;
        let (piece, further) = rest.split_at_checked(size)?;
        rest = further;
        Some(piece)
    })
}
