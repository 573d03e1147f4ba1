//! Storing events and exposures, in sets.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use super::EventStore;
use crate::database::WRITE;
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::domain::user::canonical_unit_type;
use crate::error::{Error, Result};

/// Rows of one statement, well below the engine's limit of 32,766 bound values.
const CHUNK: usize = 4_000;
/// The source of events that callers log.
const LOGGED: &str = "logged";

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Stored.
    Stored,
    /// An event of this id was there already.
    Duplicate,
}

/// A unit on a day, as activity counts it.
type UnitDay<'e> = (Cow<'e, str>, &'e str, i64);

impl EventStore {
    /// Stores events, and exposures that came with them, in one transaction; once it returns they are durable. One result
    /// for each event, in order.
    pub async fn append(&self, events: &[&Event], exposures: &[&Exposure]) -> Result<Vec<Appended>> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        let mut seqs = insert_events(&mut transaction, events).await?;
        // Of two events of one id in the same call, the first is the one that was stored.
        let stored: Vec<Option<i64>> = events.iter().map(|event| seqs.remove(event.id.as_str())).collect();
        let new: Vec<(&Event, i64)> =
            events.iter().zip(&stored).filter_map(|(event, seq)| seq.map(|seq| (*event, seq))).collect();
        insert_unit_events(&mut transaction, &new).await?;
        let days = new.iter().flat_map(|(event, _)| {
            let units = event.user.units().into_iter();
            units.map(|(unit_type, unit_id)| (unit_type, unit_id, event.at.day()))
        });
        insert_activity(&mut transaction, days.collect()).await?;
        raise_watermark(&mut transaction, events).await?;
        insert_exposures(&mut transaction, exposures).await?;
        transaction.commit().await?;
        let outcome = |seq: &Option<i64>| if seq.is_some() { Appended::Stored } else { Appended::Duplicate };
        Ok(stored.iter().map(outcome).collect())
    }

    /// Stores exposures in one transaction. Of one that is there already only the time can change, to an earlier one.
    pub async fn expose(&self, exposures: &[Exposure]) -> Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        insert_exposures(&mut transaction, &exposures.iter().collect::<Vec<_>>()).await?;
        Ok(transaction.commit().await?)
    }

    /// Event time up to which logged events have come in; none before the first one.
    pub async fn watermark(&self) -> Result<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("select at from watermark where source = ?")
            .bind(LOGGED)
            .fetch_optional(&self.pool)
            .await?;
        Ok(at.map(Timestamp))
    }
}

/// Inserts the events whose ids are new, and gives their sequence numbers by id.
async fn insert_events(
    transaction: &mut Transaction<'_, Sqlite>,
    events: &[&Event],
) -> Result<HashMap<String, i64>> {
    let mut seqs = HashMap::with_capacity(events.len());
    for chunk in events.chunks(CHUNK) {
        let rows: Vec<(&Event, String)> = chunk
            .iter()
            .map(|event| Ok((*event, serde_json::to_string(&event.properties).map_err(Error::internal)?)))
            .collect::<Result<_>>()?;
        let mut insert =
            QueryBuilder::<Sqlite>::new("insert into event (id, name, at, received_at, value, properties) ");
        insert.push_values(rows, |mut row, (event, properties)| {
            row.push_bind(&event.id)
                .push_bind(&event.name)
                .push_bind(event.at.0)
                .push_bind(event.received_at.0)
                .push_bind(event.value)
                .push_bind(properties);
        });
        insert.push(" on conflict (id) do nothing returning id, seq");
        for row in insert.build().fetch_all(&mut **transaction).await? {
            seqs.insert(row.try_get("id")?, row.try_get("seq")?);
        }
    }
    Ok(seqs)
}

/// What SDKs report late may be older than what is there already.
async fn insert_exposures(transaction: &mut Transaction<'_, Sqlite>, exposures: &[&Exposure]) -> Result<()> {
    let assigned: Vec<_> =
        exposures.iter().filter_map(|exposure| Some((exposure, exposure.assignment.as_ref()?))).collect();
    for chunk in assigned.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "insert into exposure (launch_id, unit_id, epoch, arm, first_at, settled, reverted) ",
        );
        insert.push_values(chunk, |mut row, (exposure, assignment)| {
            row.push_bind(assignment.launch.to_string())
                .push_bind(&exposure.unit_id)
                .push_bind(assignment.epoch)
                .push_bind(&assignment.arm)
                .push_bind(exposure.at.0)
                .push_bind(assignment.settled)
                .push_bind(assignment.reverted);
        });
        insert.push(
            " on conflict do update set first_at = excluded.first_at, reverted = excluded.reverted
              where excluded.first_at < exposure.first_at",
        );
        insert.build().execute(&mut **transaction).await?;
    }
    let days = exposures.iter().map(|exposure| {
        (canonical_unit_type(&exposure.unit_type), exposure.unit_id.as_str(), exposure.at.day())
    });
    insert_activity(transaction, days.collect()).await
}

async fn insert_unit_events(
    transaction: &mut Transaction<'_, Sqlite>,
    events: &[(&Event, i64)],
) -> Result<()> {
    let rows: Vec<(Cow<'_, str>, &str, &Event, i64)> = events
        .iter()
        .flat_map(|(event, seq)| {
            let units = event.user.units().into_iter();
            units.map(|(unit_type, id)| (unit_type, id, *event, *seq))
        })
        .collect();
    for chunk in rows.chunks(CHUNK) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("insert into unit_event (unit_type, unit_id, name, at, seq, value) ");
        insert.push_values(chunk, |mut row, (unit_type, unit_id, event, seq)| {
            row.push_bind(unit_type.as_ref())
                .push_bind(*unit_id)
                .push_bind(&event.name)
                .push_bind(event.at.0)
                .push_bind(*seq)
                .push_bind(event.value);
        });
        insert.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn insert_activity(
    transaction: &mut Transaction<'_, Sqlite>,
    days: BTreeSet<UnitDay<'_>>,
) -> Result<()> {
    let days: Vec<UnitDay<'_>> = days.into_iter().collect();
    for chunk in days.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Sqlite>::new("insert into activity (unit_type, unit_id, day) ");
        insert.push_values(chunk, |mut row, (unit_type, unit_id, day)| {
            row.push_bind(unit_type.as_ref()).push_bind(*unit_id).push_bind(*day);
        });
        insert.push(" on conflict do nothing").build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// An event from the future must not claim that everything up to it has come in.
async fn raise_watermark(transaction: &mut Transaction<'_, Sqlite>, events: &[&Event]) -> Result<()> {
    let Some(at) = events.iter().map(|event| event.at.min(event.received_at)).max() else {
        return Ok(());
    };
    sqlx::query(
        "insert into watermark (source, at) values (?, ?)
         on conflict (source) do update set at = max(at, excluded.at)",
    )
    .bind(LOGGED)
    .bind(at.0)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
