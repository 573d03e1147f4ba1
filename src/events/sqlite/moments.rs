//! Moments per epoch, arm and metric, from stored exposures and events.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

use super::SqliteEvents;
use crate::analysis::measurement::{
    ArmMoments, ArmUnits, KEPT_BUCKETS, LAST_WEEK, Measurement, Past, WEEK_MS,
};
use crate::domain::launch::Launch;
use crate::domain::metric::{Metric, MetricKind};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::canonical_unit_type;
use crate::error::{Error, Result};
use crate::stats::moments::RawSums;
use crate::stats::outcome::Outcome;

/// How far the data reach, and how finely the latest of them are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Event time up to which everything is counted.
    pub as_of: Timestamp,
    /// Event time up to which data have come in.
    pub watermark: Timestamp,
    /// Length of a bucket in milliseconds, at least 1.
    pub bucket_ms: i64,
}

impl Cut {
    /// Where the first bucket begins that is kept apart.
    fn kept_from(&self) -> Timestamp {
        let open = self.as_of.0.div_euclid(self.bucket_ms).saturating_mul(self.bucket_ms);
        Timestamp(open).plus_ms(self.bucket_ms.saturating_mul(-KEPT_BUCKETS))
    }
}

/// The epochs with their beginning and the times until which their units are watched: within the epoch, and settled in
/// their arm; and when each unit was first served an arm in an epoch. Bound: ?1 the launch, ?2 its epochs as JSON lists of number, beginning and the two times.
const BOUND: &str = "
    with bound as (
        select value ->> 0 as epoch, value ->> 1 as started_at, value ->> 2 as until, value ->> 3 as settled_until
        from json_each(?2)
    ),
    exposed as materialized (
        select unit_id, epoch, arm, min(at) as first_at, settled, reverted
        from exposure
        where launch_id = ?1
        group by unit_id, epoch, arm
    )";

/// Follows [`BOUND`]: how many units each arm got in each epoch, come for the first time or back.
const UNITS: &str = "
    select x.epoch, x.arm, count(*) as units
    from exposed x join bound b on b.epoch = x.epoch
    where x.reverted = 0 and x.first_at < b.until
    group by x.epoch, x.arm";

/// Follows [`BOUND`]: the units of a launch, each in the epoch, week and arm of its first exposure. Bound besides: ?3 the
/// unit type, ?4 milliseconds of a week, ?5 the last week, ?6 where kept buckets begin, ?7 milliseconds of a bucket, ?8 the
/// window in milliseconds or null.
///
/// An epoch's end cuts off what its units do later, in both arms alike, because a raise moves some of the control into
/// the treatment; units that are settled in their arm are watched beyond it. A unit that was seen in two arms of its
/// epoch is left out of both. An exposure that was recorded for an epoch after its end does not count.
const COHORT: &str = ",
    cohort as materialized (
        select x.unit_id, x.epoch, min(x.arm) as arm, min(x.first_at) as first_at, min(x.settled) as settled,
               min(max(min(x.first_at) - b.started_at, 0) / ?4, ?5) as week, b.until, b.settled_until
        from exposed x join bound b on b.epoch = x.epoch
        where x.reverted = 0 and x.first_at < b.until
          and not exists (
              select 1 from exposed earlier join bound eb on eb.epoch = earlier.epoch
              where earlier.unit_id = x.unit_id and earlier.epoch < x.epoch
                and earlier.first_at < eb.until
          )
        group by x.unit_id, x.epoch
        having count(*) = 1
    )";

/// Follows [`COHORT`]: what each unit did, and when. Bound besides: ?9 the event's name, ?10 whether values are added up
/// rather than events.
const EVENTS: &str = ",
    deed as (
        select c.*, e.at as at, case when ?10 then coalesce(e.value, 0.0) else 1.0 end as value
        from cohort c
        join event e
            on e.unit_type = ?3 and e.unit_id = c.unit_id and e.name = ?9
            and e.at >= c.first_at and e.at < c.first_at + coalesce(?8, c.settled_until - c.first_at)
    )";

/// Follows [`COHORT`]: the days on which each unit did anything; a day counts from its beginning. Bound besides: ?9
/// milliseconds of a day, ?10 nothing.
const ACTIVE_DAYS: &str = ",
    deed as (
        select c.*, max(a.day * ?9, c.first_at) as at, coalesce(?10, 1.0) as value
        from cohort c
        join activity a
            on a.unit_type = ?3 and a.unit_id = c.unit_id and a.day >= c.first_at / ?9
            and a.day * ?9 < c.first_at + coalesce(?8, c.settled_until - c.first_at)
    )";

/// Follows [`EVENTS`] or [`ACTIVE_DAYS`]: by how much each bucket of event time changed the sums, oldest first. Bucket 0 is
/// everything before those that are kept apart. Bound besides: ?11 whether a unit counts as 1 with anything at all.
///
/// A unit's value after each of its buckets is y within the epoch and z beyond it; what a bucket changes is the difference
/// to the bucket before. What a unit belongs to is carried along, because joining it again would take an index.
const CHANGES: &str = ",
    step as (
        select unit_id, epoch, week, arm, settled, case when at < ?6 then 0 else 1 + (at - ?6) / ?7 end as bucket,
               max(came) as came, total(y) as y, total(z) as z
        from (
            select unit_id, epoch, week, arm, settled, first_at as at, 1 as came, 0.0 as y, 0.0 as z from cohort
            union all
            select unit_id, epoch, week, arm, settled, at, 0,
                   case when at < until then value end, case when at < settled_until then value end
            from deed
        )
        group by unit_id, bucket
    ),
    level as (
        select epoch, week, arm, settled, bucket, came,
               total(y) over unit as y, total(y) over earlier as y0,
               total(z) over unit as z, total(z) over earlier as z0
        from step
        window unit as (partition by unit_id order by bucket),
               earlier as (unit rows between unbounded preceding and 1 preceding)
    ),
    change as (
        select epoch, week, arm, settled, bucket, came,
               case when ?11 then (y > 0) * 1.0 else y end as y, case when ?11 then (y0 > 0) * 1.0 else y0 end as y0,
               case when ?11 then (z > 0) * 1.0 else z end as z, case when ?11 then (z0 > 0) * 1.0 else z0 end as z0
        from level
    )
    select epoch, week, arm, bucket,
           sum(came) as n, total(y - y0) as sum, total(y * y - y0 * y0) as squares,
           sum((y <> 0) - (y0 <> 0)) as nonzero,
           coalesce(sum(came) filter (where settled), 0) as settled_n,
           total(z - z0) filter (where settled) as settled_sum,
           total(z * z - z0 * z0) filter (where settled) as settled_squares,
           coalesce(sum((z <> 0) - (z0 <> 0)) filter (where settled), 0) as settled_nonzero
    from change
    group by epoch, week, arm, bucket
    order by epoch, week, arm, bucket";

impl SqliteEvents {
    /// Measures a launch on everything before a cut, all from one view of the store. The shares of an experiment's arms are
    /// not known here.
    pub async fn measure(&self, launch: &Launch, cut: Cut) -> Result<Measurement> {
        let Cut { as_of, watermark, .. } = cut;
        let until = |end: Option<Timestamp>| end.map_or(as_of, |end| end.min(as_of)).0;
        let bounds: Vec<(u32, i64, i64, i64)> = launch
            .epochs
            .iter()
            .map(|epoch| {
                let (within, settled) = (until(epoch.ended_at), until(launch.settled_until(epoch)));
                (epoch.number, epoch.started_at.0, within, settled)
            })
            .collect();
        let bounds = serde_json::to_string(&bounds).map_err(Error::internal)?;
        let id = launch.id.to_string();
        let mut transaction = self.pool.begin().await?;
        let units = AssertSqlSafe(format!("{BOUND}{UNITS}"));
        let rows = sqlx::query(units).bind(&id).bind(&bounds).fetch_all(&mut *transaction).await?;
        let units = rows.iter().map(arm_units).collect::<Result<_>>()?;
        let of =
            Asked { launch: &id, bounds: &bounds, unit_type: &canonical_unit_type(&launch.unit_type), cut };
        let mut metrics = BTreeMap::new();
        for pinned in &launch.metrics {
            let rows = read_metric(&mut transaction, &pinned.metric, &of).await?;
            metrics.insert(pinned.metric.key.clone(), arms(&rows, cut)?);
        }
        transaction.commit().await?;
        let (kept_from, shares) = (Some(cut.kept_from()), BTreeMap::new());
        Ok(Measurement { as_of, watermark, units, shares, kept_from, metrics })
    }
}

/// What all metrics of one look have in common.
struct Asked<'a> {
    launch: &'a str,
    bounds: &'a str,
    unit_type: &'a str,
    cut: Cut,
}

async fn read_metric(
    transaction: &mut Transaction<'_, Sqlite>,
    metric: &Metric,
    of: &Asked<'_>,
) -> Result<Vec<SqliteRow>> {
    let is_days = metric.kind == MetricKind::ActiveDays;
    let deeds = if is_days { ACTIVE_DAYS } else { EVENTS };
    let query = sqlx::query(AssertSqlSafe(format!("{BOUND}{COHORT}{deeds}{CHANGES}")));
    let query = query.bind(of.launch).bind(of.bounds).bind(of.unit_type).bind(WEEK_MS).bind(LAST_WEEK);
    let query = query.bind(of.cut.kept_from().0).bind(of.cut.bucket_ms).bind(metric.window_ms);
    let query = if is_days {
        query.bind(DAY_MS).bind(None::<f64>)
    } else {
        query.bind(&metric.event).bind(metric.kind == MetricKind::Sum)
    };
    let query = query.bind(metric.kind == MetricKind::Conversion);
    Ok(query.fetch_all(&mut **transaction).await?)
}

fn arm_units(row: &SqliteRow) -> Result<ArmUnits> {
    Ok(ArmUnits { epoch: row.try_get("epoch")?, arm: row.try_get("arm")?, units: count(row, "units")? })
}

/// Adds up what the buckets changed, arm by arm.
fn arms(rows: &[SqliteRow], cut: Cut) -> Result<Vec<ArmMoments>> {
    let mut arms: Vec<(ArmMoments, [Sums; 2])> = Vec::new();
    for row in rows {
        let (epoch, week) = (row.try_get("epoch")?, row.try_get("week")?);
        let arm: String = row.try_get("arm")?;
        let goes_on =
            arms.last().is_some_and(|(last, _)| last.epoch == epoch && last.week == week && last.arm == arm);
        if !goes_on {
            let (moments, settled, past) = (Outcome::default(), Outcome::default(), Vec::new());
            arms.push((ArmMoments { epoch, week, arm, moments, settled, past }, [Sums::default(); 2]));
        }
        let Some((last, sums)) = arms.last_mut() else {
            continue;
        };
        let [within, settled] = sums;
        within.add(row, ["n", "sum", "squares", "nonzero"])?;
        settled.add(row, ["settled_n", "settled_sum", "settled_squares", "settled_nonzero"])?;
        (last.moments, last.settled) = (within.moments()?, settled.moments()?);
        let bucket: i64 = row.try_get("bucket")?;
        if bucket <= KEPT_BUCKETS {
            let at = cut.kept_from().plus_ms(bucket.saturating_mul(cut.bucket_ms));
            last.past.push(Past { at, moments: last.moments, settled: last.settled });
        }
    }
    Ok(arms.into_iter().map(|(arm, _)| arm).collect())
}

/// Sums over units, as buckets change them. Units may lose what they had: a value that is taken back.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: i64,
    sum: f64,
    squares: f64,
    nonzero: i64,
}

impl Sums {
    fn add(&mut self, row: &SqliteRow, [n, sum, squares, nonzero]: [&str; 4]) -> Result<()> {
        self.n += row.try_get::<i64, _>(n)?;
        self.sum += row.try_get::<f64, _>(sum)?;
        self.squares += row.try_get::<f64, _>(squares)?;
        self.nonzero += row.try_get::<i64, _>(nonzero)?;
        Ok(())
    }

    /// A sum that overflowed is no number to judge by, nor one that could be recorded.
    fn moments(&self) -> Result<Outcome> {
        if !self.sum.is_finite() || !self.squares.is_finite() {
            return Err(Error::internal("the sums of a metric overflow"));
        }
        let n = u64::try_from(self.n).map_err(Error::internal)?;
        let nonzero = u64::try_from(self.nonzero).map_err(Error::internal)?;
        Ok(Outcome::Mean(RawSums { n, sum: self.sum, sum_squares: self.squares, nonzero }.about(0.0)))
    }
}

fn count(row: &SqliteRow, column: &str) -> Result<u64> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(Error::internal)
}
