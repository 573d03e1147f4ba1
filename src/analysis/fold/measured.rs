//! From cells to what is measured at a cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cells::{CellKey, Cells};
use super::definition::Definition;
use super::measure::Measure;
use super::sums::{Shape, Sums};
use super::{CAME, UNITS};
use crate::analysis::measurement::{ArmMoments, ArmUnits, Blindness, Cause, Measurement, Past};
use crate::domain::launch::Launch;
use crate::domain::metric::{BASELINE_MS, BASELINE_VALUES};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// How far the data reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Event time up to which everything is counted, a bound of buckets.
    pub as_of: Timestamp,
    /// Event time up to which data have come in.
    pub watermark: Timestamp,
}

/// What each bucket changed within the epoch, and of settled units.
type Changes = BTreeMap<Timestamp, [Sums; 2]>;

/// Until when buckets count, within the epoch and of settled units.
#[derive(Clone, Copy)]
struct Ends {
    within: Timestamp,
    settled: Timestamp,
}

/// What the cells say at a cut, without shares of arms. Metrics whose sums are no numbers have no rows.
#[must_use]
pub fn measurement(
    launch: &Launch,
    definition: &Definition,
    measures: &[Measure<'_>],
    cells: &Cells,
    cut: Cut,
) -> Measurement {
    let ends = ends(launch, definition, cut.as_of);
    let kept_from = definition.kept_from(cut.as_of);
    let of_metric = |measure: &Measure<'_>| {
        let key = measure.metric.key.as_str();
        let rows = rows(cells, key, measure.shape(), &ends, kept_from, cut.as_of);
        rows.ok().map(|rows| (key.to_owned(), rows))
    };
    let (mut metrics, mut segments) = (BTreeMap::new(), BTreeMap::new());
    for (key, mut of_metric) in measures.iter().filter_map(of_metric) {
        metrics.insert(key.clone(), of_metric.remove("").unwrap_or_default());
        if !of_metric.is_empty() {
            segments.insert(key, of_metric);
        }
    }
    let without_baseline = measures.iter().filter(|measure| measure.has_no_baseline());
    Measurement {
        as_of: cut.as_of,
        watermark: cut.watermark,
        units: units(cells, CAME, &ends),
        dealt: units(cells, UNITS, &ends),
        shares: BTreeMap::new(),
        kept_from: Some(kept_from),
        stripped: BTreeSet::new(),
        metrics,
        columns: definition.segments.clone(),
        segments,
        blind: without_baseline.map(|measure| (measure.metric.key.clone(), no_baseline())).collect(),
    }
}

fn no_baseline() -> Blindness {
    let days = BASELINE_MS / DAY_MS;
    let message = format!(
        "no baseline: fewer than {BASELINE_VALUES} values of its units are stored from the {days} days before the launch, \
         and no threshold is written"
    );
    Blindness { cause: Cause::NoBaseline, message, since: None }
}

fn ends(launch: &Launch, definition: &Definition, as_of: Timestamp) -> BTreeMap<u32, Ends> {
    let until = |end: Option<Timestamp>| end.map_or(as_of, |end| definition.bucket(end).min(as_of));
    let of_epoch = |epoch: &crate::domain::launch::Epoch| {
        let ends = Ends { within: until(epoch.ended_at), settled: until(launch.settled_until(epoch)) };
        (epoch.number, ends)
    };
    launch.epochs.iter().map(of_epoch).collect()
}

/// The cells of one metric, in their order.
fn of_metric<'c>(cells: &'c Cells, metric: &str) -> impl Iterator<Item = (&'c CellKey, &'c Sums)> {
    let none: Arc<str> = Arc::from("");
    let first = CellKey {
        metric: Arc::from(metric),
        epoch: 0,
        week: 0,
        arm: Arc::clone(&none),
        settled: false,
        segment: none,
        bucket: Timestamp(i64::MIN),
    };
    let name = Arc::clone(&first.metric);
    cells.range(first..).take_while(move |(key, _)| key.metric == name)
}

fn units(cells: &Cells, metric: &str, ends: &BTreeMap<u32, Ends>) -> Vec<ArmUnits> {
    let mut units: BTreeMap<(u32, Arc<str>), i64> = BTreeMap::new();
    for (key, sums) in of_metric(cells, metric).filter(|(key, _)| key.segment.is_empty()) {
        if ends.get(&key.epoch).is_some_and(|ends| key.bucket < ends.within) {
            *units.entry((key.epoch, Arc::clone(&key.arm))).or_default() += sums.units;
        }
    }
    let row = |((epoch, arm), units): ((u32, Arc<str>), i64)| ArmUnits {
        epoch,
        arm: arm.to_string(),
        units: u64::try_from(units).unwrap_or(0),
    };
    units.into_iter().map(row).filter(|row| row.units > 0).collect()
}

/// The rows of one metric by segment, those of all units under an empty one: for each epoch, week and arm both views, and
/// how they were at the ends of kept buckets.
fn rows(
    cells: &Cells,
    metric: &str,
    shape: Shape,
    ends: &BTreeMap<u32, Ends>,
    kept_from: Timestamp,
    as_of: Timestamp,
) -> Result<BTreeMap<String, Vec<ArmMoments>>, Undefined> {
    let mut places: BTreeMap<(Arc<str>, u32, u32, Arc<str>), Changes> = BTreeMap::new();
    for (key, sums) in of_metric(cells, metric) {
        let Some(ends) = ends.get(&key.epoch) else {
            continue;
        };
        let counts = [key.bucket < ends.within, key.settled && key.bucket < ends.settled];
        if counts == [false, false] {
            continue;
        }
        // What was merged lies before the kept ones.
        let bucket = key.bucket.max(kept_from.plus_ms(-1));
        let place = (Arc::clone(&key.segment), key.epoch, key.week, Arc::clone(&key.arm));
        let changes = places.entry(place).or_default().entry(bucket).or_default();
        for (change, counts) in changes.iter_mut().zip(counts) {
            if counts {
                change.add(sums);
            }
        }
    }
    let width_ms = as_of.ms_since(kept_from) / crate::analysis::measurement::KEPT_BUCKETS;
    let mut rows: BTreeMap<String, Vec<ArmMoments>> = BTreeMap::new();
    for ((segment, epoch, week, arm), changes) in places {
        let [mut within, mut settled] = <[Sums; 2]>::default();
        let mut row = ArmMoments {
            epoch,
            week,
            arm: arm.to_string(),
            moments: Outcome::default(),
            settled: Outcome::default(),
            past: Vec::new(),
        };
        for (bucket, [more, more_settled]) in changes {
            within.add(&more);
            settled.add(&more_settled);
            (row.moments, row.settled) = (within.outcome(shape)?, settled.outcome(shape)?);
            let at = if bucket < kept_from { kept_from } else { bucket.plus_ms(width_ms) };
            if at < as_of {
                row.past.push(Past { at, moments: row.moments, settled: row.settled });
            }
        }
        rows.entry(segment.to_string()).or_default().push(row);
    }
    Ok(rows)
}
