//! Moments per epoch, arm and metric, from stored exposures and events.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

use super::EventStore;
use crate::analysis::measurement::{ArmMoments, ArmUnits, Measurement};
use crate::domain::launch::Launch;
use crate::domain::metric::{Metric, MetricKind};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::canonical_unit_type;
use crate::error::{Error, Result};
use crate::stats::moments::RawSums;

/// The epochs with the times until which their units are watched: within the epoch, and settled in their arm. Bound: ?1
/// the launch, ?2 its epochs as JSON triples of number and the two times.
const BOUND: &str = "
    with bound as (
        select value ->> 0 as epoch, value ->> 1 as until, value ->> 2 as settled_until from json_each(?2)
    )";

/// Follows [`BOUND`]: how many units each arm got in each epoch, come for the first time or back.
const UNITS: &str = "
    select x.epoch, x.arm, count(*) as units
    from exposure x join bound b on b.epoch = x.epoch
    where x.launch_id = ?1 and x.reverted = 0 and x.first_at < b.until
    group by x.epoch, x.arm";

/// Follows [`BOUND`]: the units of a launch, each in the epoch and arm of its first exposure.
///
/// An epoch's end cuts off what its units do later, in both arms alike, because a raise moves some of the control into
/// the treatment; units that are settled in their arm are watched beyond it. A unit that was seen in two arms of its
/// epoch is left out of both. An exposure that was recorded for an epoch after its end does not count.
const COHORT: &str = ",
    cohort as (
        select x.unit_id, x.epoch, min(x.arm) as arm, min(x.first_at) as first_at, min(x.settled) as settled,
               b.until, b.settled_until
        from exposure x join bound b on b.epoch = x.epoch
        where x.launch_id = ?1 and x.reverted = 0 and x.first_at < b.until
          and not exists (
              select 1 from exposure earlier join bound eb on eb.epoch = earlier.epoch
              where earlier.launch_id = ?1 and earlier.unit_id = x.unit_id and earlier.epoch < x.epoch
                and earlier.first_at < eb.until
          )
        group by x.unit_id, x.epoch
        having count(*) = 1
    )";

/// Follows [`COHORT`]. Bound besides: ?3 unit type, ?4 event name, ?5 window in ms or null, ?6 kind.
const EVENT_VALUES: &str = ",
    unit_value as (
        select c.epoch, c.arm, c.settled,
               case ?6
                   when 'conversion' then count(e.seq) filter (where e.at < c.until) > 0
                   when 'count' then count(e.seq) filter (where e.at < c.until)
                   else coalesce(sum(e.value) filter (where e.at < c.until), 0.0)
               end * 1.0 as y,
               case ?6
                   when 'conversion' then count(e.seq) filter (where e.at < c.settled_until) > 0
                   when 'count' then count(e.seq) filter (where e.at < c.settled_until)
                   else coalesce(sum(e.value) filter (where e.at < c.settled_until), 0.0)
               end * 1.0 as z
        from cohort c
        left join unit_event e
            on e.unit_type = ?3 and e.unit_id = c.unit_id and e.name = ?4
            and e.at >= c.first_at and e.at < c.first_at + coalesce(?5, c.settled_until - c.first_at)
        group by c.unit_id
    )";

/// Follows [`COHORT`]. Bound besides: ?3 unit type, ?4 milliseconds of a day, ?5 window in ms or null.
const ACTIVE_DAYS: &str = ",
    unit_value as (
        select c.epoch, c.arm, c.settled,
               count(a.day) filter (where a.day * ?4 < c.until) * 1.0 as y,
               count(a.day) filter (where a.day * ?4 < c.settled_until) * 1.0 as z
        from cohort c
        left join activity a
            on a.unit_type = ?3 and a.unit_id = c.unit_id and a.day >= c.first_at / ?4
            and a.day * ?4 < c.first_at + coalesce(?5, c.settled_until - c.first_at)
        group by c.unit_id
    )";

/// Follows [`EVENT_VALUES`] or [`ACTIVE_DAYS`].
const SUMS: &str = "
    select epoch, arm,
           count(*) as n, total(y) as sum, total(y * y) as squares, count(*) filter (where y <> 0) as nonzero,
           count(*) filter (where settled) as settled_n,
           total(z) filter (where settled) as settled_sum,
           total(z * z) filter (where settled) as settled_squares,
           count(*) filter (where settled and z <> 0) as settled_nonzero
    from unit_value group by epoch, arm";

impl EventStore {
    /// Measures a launch on everything before `as_of`, all from one view of the store. `watermark` is how far the data
    /// reach.
    pub async fn measure(
        &self,
        launch: &Launch,
        as_of: Timestamp,
        watermark: Timestamp,
    ) -> Result<Measurement> {
        let until = |end: Option<Timestamp>| end.map_or(as_of, |end| end.min(as_of)).0;
        let bounds: Vec<(u32, i64, i64)> = launch
            .epochs
            .iter()
            .map(|epoch| (epoch.number, until(epoch.ended_at), until(launch.settled_until(epoch))))
            .collect();
        let bounds = serde_json::to_string(&bounds).map_err(Error::internal)?;
        let id = launch.id.to_string();
        let mut transaction = self.pool.begin().await?;
        let units = AssertSqlSafe(format!("{BOUND}{UNITS}"));
        let rows = sqlx::query(units).bind(&id).bind(&bounds).fetch_all(&mut *transaction).await?;
        let units = rows.iter().map(arm_units).collect::<Result<_>>()?;
        let unit_type = canonical_unit_type(&launch.unit_type);
        let mut metrics = BTreeMap::new();
        for pinned in &launch.metrics {
            let metric = &pinned.metric;
            let rows = read_metric(&mut transaction, metric, &id, &bounds, &unit_type).await?;
            metrics.insert(metric.key.clone(), rows.iter().map(arm_moments).collect::<Result<_>>()?);
        }
        transaction.commit().await?;
        Ok(Measurement { as_of, watermark, units, metrics })
    }
}

async fn read_metric(
    transaction: &mut Transaction<'_, Sqlite>,
    metric: &Metric,
    launch: &str,
    bounds: &str,
    unit_type: &str,
) -> Result<Vec<SqliteRow>> {
    let kind = match metric.kind {
        MetricKind::Conversion => "conversion",
        MetricKind::Count => "count",
        MetricKind::Sum => "sum",
        MetricKind::ActiveDays => {
            let query = AssertSqlSafe(format!("{BOUND}{COHORT}{ACTIVE_DAYS}{SUMS}"));
            let query = sqlx::query(query).bind(launch).bind(bounds).bind(unit_type);
            return Ok(query.bind(DAY_MS).bind(metric.window_ms).fetch_all(&mut **transaction).await?);
        }
    };
    let query = AssertSqlSafe(format!("{BOUND}{COHORT}{EVENT_VALUES}{SUMS}"));
    let query = sqlx::query(query).bind(launch).bind(bounds).bind(unit_type);
    let query = query.bind(&metric.event).bind(metric.window_ms).bind(kind);
    Ok(query.fetch_all(&mut **transaction).await?)
}

fn arm_units(row: &SqliteRow) -> Result<ArmUnits> {
    Ok(ArmUnits { epoch: row.try_get("epoch")?, arm: row.try_get("arm")?, units: count(row, "units")? })
}

fn arm_moments(row: &SqliteRow) -> Result<ArmMoments> {
    let moments = RawSums {
        n: count(row, "n")?,
        sum: finite(row, "sum")?,
        sum_squares: finite(row, "squares")?,
        nonzero: count(row, "nonzero")?,
    };
    let settled = RawSums {
        n: count(row, "settled_n")?,
        sum: finite(row, "settled_sum")?,
        sum_squares: finite(row, "settled_squares")?,
        nonzero: count(row, "settled_nonzero")?,
    };
    Ok(ArmMoments {
        epoch: row.try_get("epoch")?,
        arm: row.try_get("arm")?,
        moments: moments.about(0.0),
        settled: settled.about(0.0),
    })
}

fn count(row: &SqliteRow, column: &str) -> Result<u64> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(Error::internal)
}

/// A sum that overflowed is no number to judge by, nor one that could be recorded.
fn finite(row: &SqliteRow, column: &str) -> Result<f64> {
    let sum: f64 = row.try_get(column)?;
    if sum.is_finite() {
        Ok(sum)
    } else {
        Err(Error::internal(format!("the {column} of a metric overflows")))
    }
}
