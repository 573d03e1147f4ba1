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
use crate::stats::moments::Moments;

/// The units of a launch: each in the epoch and arm of its first exposure, with the time until which it is watched.
///
/// An epoch's end cuts off what its units do later, in both arms alike, because a raise moves some of the control into
/// the treatment. A unit that was seen in two arms of its epoch is left out of both. Bound: ?1 the launch, ?2 its epochs
/// as JSON pairs of number and end.
const COHORT: &str = "
    with bound as (select value ->> 0 as epoch, value ->> 1 as until from json_each(?2)),
    cohort as (
        select x.unit_id, x.epoch, min(x.arm) as arm, min(x.first_at) as first_at, b.until
        from exposure x join bound b on b.epoch = x.epoch
        where x.launch_id = ?1 and x.reverted = 0 and x.first_at < b.until
          and not exists (
              select 1 from exposure earlier
              where earlier.launch_id = ?1 and earlier.unit_id = x.unit_id and earlier.epoch < x.epoch
          )
        group by x.unit_id, x.epoch
        having count(*) = 1
    )";

/// Follows [`COHORT`].
const UNITS: &str = "select epoch, arm, count(*) as units from cohort group by epoch, arm";

/// Follows [`COHORT`]. Bound besides: ?3 unit type, ?4 event name, ?5 window in ms or null, ?6 kind.
const EVENT_VALUES: &str = ",
    unit_value as (
        select c.epoch, c.arm,
               case ?6
                   when 'conversion' then count(e.seq) > 0
                   when 'count' then count(e.seq)
                   else coalesce(sum(e.value), 0.0)
               end * 1.0 as y
        from cohort c
        left join unit_event e
            on e.unit_type = ?3 and e.unit_id = c.unit_id and e.name = ?4
            and e.at >= c.first_at and e.at < min(c.until, c.first_at + coalesce(?5, c.until - c.first_at))
        group by c.unit_id
    )";

/// Follows [`COHORT`]. Bound besides: ?3 unit type, ?4 milliseconds of a day, ?5 window in ms or null.
const ACTIVE_DAYS: &str = ",
    unit_value as (
        select c.epoch, c.arm, count(a.day) * 1.0 as y
        from cohort c
        left join activity a
            on a.unit_type = ?3 and a.unit_id = c.unit_id and a.day >= c.first_at / ?4
            and a.day * ?4 < min(c.until, c.first_at + coalesce(?5, c.until - c.first_at))
        group by c.unit_id
    )";

/// Follows [`EVENT_VALUES`] or [`ACTIVE_DAYS`].
const SUMS: &str = "
    select epoch, arm, count(*) as n, sum(y) as total, sum(y * y) as squares, sum(y <> 0) as nonzero
    from unit_value group by epoch, arm";

impl EventStore {
    /// Measures a launch on everything before `as_of`, all from one view of the store.
    pub async fn measure(&self, launch: &Launch, as_of: Timestamp) -> Result<Measurement> {
        let bounds: Vec<(u32, i64)> = launch
            .epochs
            .iter()
            .map(|epoch| (epoch.number, epoch.ended_at.map_or(as_of, |end| end.min(as_of)).0))
            .collect();
        let bounds = serde_json::to_string(&bounds).map_err(Error::internal)?;
        let id = launch.id.to_string();
        let mut transaction = self.pool.begin().await?;
        let units = AssertSqlSafe(format!("{COHORT} {UNITS}"));
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
        Ok(Measurement { as_of, units, metrics })
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
            let query = AssertSqlSafe(format!("{COHORT}{ACTIVE_DAYS}{SUMS}"));
            let query = sqlx::query(query).bind(launch).bind(bounds).bind(unit_type);
            return Ok(query.bind(DAY_MS).bind(metric.window_ms).fetch_all(&mut **transaction).await?);
        }
    };
    let query = AssertSqlSafe(format!("{COHORT}{EVENT_VALUES}{SUMS}"));
    let query = sqlx::query(query).bind(launch).bind(bounds).bind(unit_type);
    let query = query.bind(&metric.event).bind(metric.window_ms).bind(kind);
    Ok(query.fetch_all(&mut **transaction).await?)
}

fn arm_units(row: &SqliteRow) -> Result<ArmUnits> {
    let units: i64 = row.try_get("units")?;
    Ok(ArmUnits {
        epoch: row.try_get("epoch")?,
        arm: row.try_get("arm")?,
        units: u64::try_from(units).unwrap_or_default(),
    })
}

fn arm_moments(row: &SqliteRow) -> Result<ArmMoments> {
    let (n, nonzero): (i64, i64) = (row.try_get("n")?, row.try_get("nonzero")?);
    let moments = Moments {
        n: u64::try_from(n).unwrap_or_default(),
        sum: row.try_get("total")?,
        sum_squares: row.try_get("squares")?,
        nonzero: u64::try_from(nonzero).unwrap_or_default(),
    };
    Ok(ArmMoments { epoch: row.try_get("epoch")?, arm: row.try_get("arm")?, moments })
}
