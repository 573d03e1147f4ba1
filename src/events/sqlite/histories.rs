//! Histories from the database file.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use crate::analysis::history::{ActiveDay, Deed, Exposed, History};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::events::Asked;

/// Units of a launch of which something is new. A `+` keeps the engine from going through all exposures of the launch by
/// their arrivals, where one unit's are asked for. Bound: ?1 the launch, ?2 the unit type, ?3 and ?4 the arrivals between
/// which it came, ?5 names as a JSON list, ?6 event time since when, ?7 whether days count, ?8 epochs with their times as
/// JSON lists, ?9 the unit after which, ?10 how many.
const UNITS: &str = "
    select unit_id from (
        select unit_id from exposure where launch_id = ?1 and arrival > ?3 and arrival <= ?4
        union
        select x.unit_id
        from json_each(?8) also
        cross join exposure x on x.launch_id = ?1 and x.epoch = also.value ->> 0 and x.at >= also.value ->> 1
        where +x.arrival <= ?4
        union
        select e.unit_id
        from event e indexed by event_arrival
        where e.arrival > ?3 and e.arrival <= ?4 and e.unit_type = ?2 and e.unit_id > ?9 and e.at >= ?6
          and e.name in (select value from json_each(?5))
        union
        select a.unit_id
        from activity a indexed by activity_arrival
        where ?7 and a.arrival > ?3 and a.arrival <= ?4 and a.unit_type = ?2 and a.unit_id > ?9
          and a.day >= ?6 / 86400000
    ) touched
    where unit_id > ?9
      and exists (select 1 from exposure x where x.launch_id = ?1 and x.unit_id = touched.unit_id and +x.arrival <= ?4)
    order by unit_id
    limit ?10";

/// All units of a launch. Bound: ?1 the launch, ?2 the last arrival, ?3 the unit after which, ?4 how many.
const ALL_UNITS: &str = "
    select distinct unit_id from exposure
    where launch_id = ?1 and unit_id > ?3 and arrival <= ?2
    order by unit_id
    limit ?4";

/// Bound: ?1 units as a JSON list, ?2 the launch, ?3 the last arrival.
const EXPOSURES: &str = "
    select x.unit_id, x.epoch, x.arm, x.at, x.arrival, x.settled, x.reverted, x.attributes
    from json_each(?1) u cross join exposure x on x.launch_id = ?2 and x.unit_id = u.value
    where +x.arrival <= ?3
    order by x.unit_id, x.epoch, x.at, x.arm";

/// Bound: ?1 units as a JSON list, ?2 the unit type, ?3 the last arrival, ?4 event time since when, ?5 names as JSON lists
/// with whether their properties and attributes are wanted, ?6 event time until when.
const EVENTS: &str = "
    with wanted as materialized (
        select value ->> 0 as name, value ->> 1 as properties, value ->> 2 as attributes from json_each(?5)
    )
    select e.unit_id, e.name, e.at, e.value, e.arrival,
           case when w.properties then e.properties end as properties,
           case when w.attributes then e.attributes end as attributes
    from json_each(?1) u
    cross join event e on e.unit_type = ?2 and e.unit_id = u.value and e.at >= ?4 and e.at < ?6
    join wanted w on w.name = e.name
    where e.arrival <= ?3
    order by e.unit_id, e.at, e.arrival, e.n";

/// Bound: ?1 units as a JSON list, ?2 the unit type, ?3 the last arrival, ?4 event time since when.
const DAYS: &str = "
    select a.unit_id, a.day, a.arrival
    from json_each(?1) u
    cross join activity a on a.unit_type = ?2 and a.unit_id = u.value and a.day >= ?4 / 86400000
    where a.arrival <= ?3
    order by a.unit_id, a.day";

pub(super) async fn histories(
    pool: &SqlitePool,
    asked: &Asked,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<History>> {
    let units = units(pool, asked, after, limit).await?;
    let listed = json(&units)?;
    let histories = units.into_iter().map(|unit_id| History { unit_id, ..History::default() });
    let mut histories: Vec<History> = histories.collect();

    let rows = sqlx::query(EXPOSURES).bind(&listed).bind(asked.launch.to_string()).bind(asked.to);
    give(&mut histories, &rows.fetch_all(pool).await?, |history, row| {
        history.exposures.push(exposed(row)?);
        Ok(())
    })?;
    if !asked.names.is_empty() {
        let wanted = asked.names.iter().map(|name| (&name.name, name.with_properties, name.with_attributes));
        let rows = sqlx::query(EVENTS).bind(&listed).bind(&asked.unit_type).bind(asked.to);
        let rows = rows.bind(asked.since.0).bind(json(&wanted.collect::<Vec<_>>())?).bind(asked.end());
        give(&mut histories, &rows.fetch_all(pool).await?, |history, row| {
            history.events.push(deed(row)?);
            Ok(())
        })?;
    }
    if asked.days {
        let rows = sqlx::query(DAYS).bind(&listed).bind(&asked.unit_type).bind(asked.to).bind(asked.since.0);
        give(&mut histories, &rows.fetch_all(pool).await?, |history, row| {
            history.days.push(ActiveDay { day: row.try_get("day")?, arrival: row.try_get("arrival")? });
            Ok(())
        })?;
    }
    Ok(histories)
}

async fn units(pool: &SqlitePool, asked: &Asked, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
    let launch = asked.launch.to_string();
    let after = after.unwrap_or_default();
    let limit = i64::try_from(limit).map_err(Error::internal)?;
    if asked.from == 0 {
        let all = sqlx::query_scalar(ALL_UNITS).bind(launch).bind(asked.to).bind(after).bind(limit);
        return Ok(all.fetch_all(pool).await?);
    }
    let names: Vec<&str> = asked.names.iter().map(|name| name.name.as_str()).collect();
    let touched =
        sqlx::query_scalar(UNITS).bind(launch).bind(&asked.unit_type).bind(asked.from).bind(asked.to);
    let touched = touched.bind(json(&names)?).bind(asked.since.0).bind(asked.days).bind(json(&asked.also)?);
    Ok(touched.bind(after).bind(limit).fetch_all(pool).await?)
}

/// Gives rows to the histories of their units; both are in the order of units.
fn give(
    histories: &mut [History],
    rows: &[SqliteRow],
    mut take: impl FnMut(&mut History, &SqliteRow) -> Result<()>,
) -> Result<()> {
    let mut histories = histories.iter_mut();
    let mut current = histories.next();
    for row in rows {
        let unit_id: &str = row.try_get("unit_id")?;
        while current.as_ref().is_some_and(|history| history.unit_id != unit_id) {
            current = histories.next();
        }
        let history =
            current.as_mut().ok_or_else(|| Error::internal("a row of a unit that was not asked for"))?;
        take(history, row)?;
    }
    Ok(())
}

fn exposed(row: &SqliteRow) -> Result<Exposed> {
    Ok(Exposed {
        epoch: row.try_get("epoch")?,
        arm: row.try_get("arm")?,
        at: Timestamp(row.try_get("at")?),
        settled: row.try_get("settled")?,
        reverted: row.try_get("reverted")?,
        attributes: texts(row.try_get("attributes")?)?,
        arrival: row.try_get("arrival")?,
    })
}

fn deed(row: &SqliteRow) -> Result<Deed> {
    Ok(Deed {
        name: row.try_get("name")?,
        at: Timestamp(row.try_get("at")?),
        value: row.try_get("value")?,
        properties: texts(row.try_get("properties")?)?,
        attributes: texts(row.try_get("attributes")?)?,
        arrival: row.try_get("arrival")?,
    })
}

/// An object of texts; nothing where it was not asked for.
fn texts(json: Option<&str>) -> Result<BTreeMap<String, String>> {
    json.map_or_else(|| Ok(BTreeMap::new()), |json| serde_json::from_str(json).map_err(Error::internal))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}
