//! Histories from the server.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::analysis::history::{ActiveDay, Deed, Exposed, History};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::events::{Asked, Name};

/// Units of a launch of which something is new. Bound: $1 the launch, $2 the unit type, $3 and $4 the arrivals between
/// which it came, $5 names, $6 event time since when, $7 the day since when or null, $8 and $9 epochs with their times, $10
/// the unit after which, $11 how many.
const UNITS: &str = "
    select unit_id from (
        select unit_id from exposure where launch_id = $1 and arrival > $3 and arrival <= $4
        union
        select x.unit_id
        from unnest($8::integer[], $9::bigint[]) also (epoch, at)
        join exposure x on x.launch_id = $1 and x.epoch = also.epoch and x.at >= also.at
        where x.arrival <= $4
        union
        select e.unit_id
        from event e
        where e.arrival > $3 and e.arrival <= $4 and e.unit_type = $2 and e.at >= $6 and e.name = any($5)
        union
        select a.unit_id
        from activity a
        where a.arrival > $3 and a.arrival <= $4 and a.unit_type = $2 and a.day >= $7
    ) touched
    where unit_id > $10
      and exists (select 1 from exposure x where x.launch_id = $1 and x.unit_id = touched.unit_id and x.arrival <= $4)
    order by unit_id
    limit $11";

/// All units of a launch. Bound: $1 the launch, $2 the last arrival, $3 the unit after which, $4 how many.
const ALL_UNITS: &str = "
    select distinct unit_id from exposure
    where launch_id = $1 and unit_id > $3 and arrival <= $2
    order by unit_id
    limit $4";

/// Bound: $1 units, $2 the launch, $3 the last arrival.
const EXPOSURES: &str = "
    select x.unit_id, x.epoch, x.arm, x.at, x.arrival, x.settled, x.reverted, x.attributes
    from unnest($1::text[]) u (unit_id)
    cross join lateral (
        select * from exposure x where x.launch_id = $2 and x.unit_id = u.unit_id and x.arrival <= $3 offset 0
    ) x
    order by x.unit_id, x.epoch, x.at, x.arm";

/// Properties of the names in $6, attributes of those in $7.
const TEXTS: &str = "
    case when e.name = any($6) then e.properties end as properties,
    case when e.name = any($7) then e.attributes end as attributes";
/// The same where there are no such names. All else stands in the index by unit, so that no row is looked up.
const NO_TEXTS: &str = "null::text as properties, null::text as attributes";

/// Bound: $1 units, $2 the unit type, $3 the last arrival, $4 event time since when, $5 names, $6 those of them whose
/// properties are wanted, $7 those whose attributes are, $8 event time until when. The inner select is kept apart, so that
/// it looks up each unit.
const EVENTS: &str = "
    from unnest($1::text[]) u (unit_id)
    cross join lateral (
        select * from event e
        where e.unit_type = $2 and e.unit_id = u.unit_id and e.at >= $4 and e.at < $8 and e.arrival <= $3
          and e.name = any($5)
        offset 0
    ) e
    order by e.unit_id, e.at, e.arrival, e.n";

/// Bound: $1 units, $2 the unit type, $3 the last arrival, $4 the day since when.
const DAYS: &str = "
    select a.unit_id, a.day::bigint as day, a.arrival
    from unnest($1::text[]) u (unit_id)
    cross join lateral (
        select * from activity a
        where a.unit_type = $2 and a.unit_id = u.unit_id and a.day >= $4 and a.arrival <= $3
        offset 0
    ) a
    order by a.unit_id, a.day";

/// Plans are made for the values at hand, by lookup: of a table that has just been filled nothing is known, and a plan that
/// reads all of it is never right for a page of units.
const PLANS: &str = "set local plan_cache_mode = force_custom_plan; set local enable_seqscan = off;
    set local enable_hashjoin = off; set local enable_mergejoin = off; set local jit = off";

pub(super) async fn histories(
    connection: &mut PgConnection,
    asked: &Asked,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<History>> {
    let mut reading = connection.begin().await?;
    sqlx::raw_sql(PLANS).execute(&mut *reading).await?;
    let units = units(&mut reading, asked, after, limit).await?;
    let histories = units.iter().map(|unit_id| History { unit_id: unit_id.clone(), ..History::default() });
    let mut histories: Vec<History> = histories.collect();

    let rows = sqlx::query(EXPOSURES).bind(&units).bind(asked.launch.to_string()).bind(asked.to);
    give(&mut histories, &rows.fetch_all(&mut *reading).await?, |history, row| {
        history.exposures.push(exposed(row)?);
        Ok(())
    })?;
    if !asked.names.is_empty() {
        let with_texts = asked.names.iter().any(|name| name.with_properties || name.with_attributes);
        let texts = if with_texts { TEXTS } else { NO_TEXTS };
        let events = format!("select e.unit_id, e.name, e.at, e.value, e.arrival, {texts} {EVENTS}");
        let rows = sqlx::query(AssertSqlSafe(events));
        let rows = rows.bind(&units).bind(&asked.unit_type).bind(asked.to).bind(asked.since.0);
        let names = |wanted: fn(&Name) -> bool| -> Vec<&str> {
            asked.names.iter().filter(|name| wanted(name)).map(|name| name.name.as_str()).collect()
        };
        let rows = rows.bind(names(|_| true)).bind(names(|name| name.with_properties));
        let rows = rows.bind(names(|name| name.with_attributes)).bind(asked.end());
        give(&mut histories, &rows.fetch_all(&mut *reading).await?, |history, row| {
            history.events.push(deed(row)?);
            Ok(())
        })?;
    }
    if asked.days {
        let rows =
            sqlx::query(DAYS).bind(&units).bind(&asked.unit_type).bind(asked.to).bind(day(asked.since)?);
        give(&mut histories, &rows.fetch_all(&mut *reading).await?, |history, row| {
            history.days.push(ActiveDay { day: row.try_get("day")?, arrival: row.try_get("arrival")? });
            Ok(())
        })?;
    }
    reading.commit().await?;
    Ok(histories)
}

async fn units(
    reading: &mut PgConnection,
    asked: &Asked,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let launch = asked.launch.to_string();
    let after = after.unwrap_or_default();
    let limit = i64::try_from(limit).map_err(Error::internal)?;
    if asked.from == 0 {
        let all = sqlx::query_scalar(ALL_UNITS).bind(launch).bind(asked.to).bind(after).bind(limit);
        return Ok(all.fetch_all(reading).await?);
    }
    let names: Vec<&str> = asked.names.iter().map(|name| name.name.as_str()).collect();
    let days = asked.days.then(|| day(asked.since)).transpose()?;
    let epochs: Vec<i32> = asked
        .also
        .iter()
        .map(|(epoch, _)| i32::try_from(*epoch))
        .collect::<std::result::Result<_, _>>()
        .map_err(Error::internal)?;
    let times: Vec<i64> = asked.also.iter().map(|(_, at)| at.0).collect();
    let touched =
        sqlx::query_scalar(UNITS).bind(launch).bind(&asked.unit_type).bind(asked.from).bind(asked.to);
    let touched = touched.bind(names).bind(asked.since.0).bind(days).bind(epochs).bind(times);
    Ok(touched.bind(after).bind(limit).fetch_all(reading).await?)
}

/// A day as it is stored; what is out of its range is before or after all that is.
fn day(at: Timestamp) -> Result<i32> {
    i32::try_from(at.day().clamp(i32::MIN.into(), i32::MAX.into())).map_err(Error::internal)
}

/// Gives rows to the histories of their units; both are in the order of units.
fn give(
    histories: &mut [History],
    rows: &[PgRow],
    mut take: impl FnMut(&mut History, &PgRow) -> Result<()>,
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

fn exposed(row: &PgRow) -> Result<Exposed> {
    Ok(Exposed {
        epoch: u32::try_from(row.try_get::<i32, _>("epoch")?).map_err(Error::internal)?,
        arm: row.try_get("arm")?,
        at: Timestamp(row.try_get("at")?),
        settled: row.try_get("settled")?,
        reverted: row.try_get("reverted")?,
        attributes: texts(row.try_get("attributes")?)?,
        arrival: row.try_get("arrival")?,
    })
}

fn deed(row: &PgRow) -> Result<Deed> {
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
