//! What becomes of the history of a unit.

mod streams;

use std::borrow::Cow;
use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Cells, Cut, Definition, Delta, Measure, apply, measurement};
use crate::analysis::history::{ActiveDay, Deed, Exposed, History};
use crate::domain::launch::{CONTROL, Launch, LaunchId, LaunchPlan, PinnedMetric, Step, TREATMENT, Target};
use crate::domain::metric::filter::{Filter, FilterOperator, FilterSubject};
use crate::domain::metric::kind::{Activity, Of, Part, Returned, Side, StateChange, Tail};
use crate::domain::metric::{Metric, MetricKind};
use crate::domain::time::{DAY_MS, Timestamp};

const WIDTH_MS: i64 = 60_000;
const START: Timestamp = Timestamp(20_000 * DAY_MS + 11 * 3_600_000 + 17);

/// One metric of each kind, and some with everything besides.
fn metrics() -> Vec<Metric> {
    let of = |key: &str, kind| Metric::of(key, kind, "event 0");
    let part = |event: &str, kind| Some(Part { event: event.to_owned(), kind, filters: Vec::new() });
    let pro = Filter {
        of: FilterSubject::Property,
        name: "plan".to_owned(),
        operator: FilterOperator::Any,
        values: vec!["pro".to_owned()],
    };
    let tail = |of| Some(Tail { quantile: 0.9, threshold: Some(50.0), side: Side::Above, of });
    let state = |key: &str, to| Metric {
        event: String::new(),
        state: Some(StateChange { to, days: 2 }),
        ..of(key, MetricKind::StateChange)
    };
    vec![
        of("conversion", MetricKind::Conversion),
        Metric { window_ms: Some(3_600_000), filters: vec![pro], ..of("count", MetricKind::Count) },
        Metric { cap: Some(300.0), covariate_ms: Some(DAY_MS), ..of("sum", MetricKind::Sum) },
        Metric { event: String::new(), ..of("days", MetricKind::ActiveDays) },
        Metric { covariate_ms: Some(DAY_MS), ..of("mean", MetricKind::Mean) },
        Metric {
            event: String::new(),
            numerator: part("event 0", MetricKind::Sum),
            denominator: part("event 1", MetricKind::Count),
            ..of("ratio", MetricKind::Ratio)
        },
        Metric {
            returned: Some(Returned { from_day: 1, to_day: 2 }),
            ..of("retention", MetricKind::Retention)
        },
        Metric { tail: tail(Of::Events), ..of("tail", MetricKind::Quantile) },
        Metric { tail: tail(Of::Units), ..of("tail_units", MetricKind::Quantile) },
        state("churned", Activity::Churned),
        state("resurrected", Activity::Resurrected),
        state("new", Activity::New),
        state("stale", Activity::Stale),
    ]
}

fn launch() -> Launch {
    let pin = |metric| PinnedMetric { metric, revision: 1, scale: None };
    let plan = LaunchPlan {
        id: LaunchId(Uuid::nil()),
        target: Target::GateRule { gate: "gate".to_owned(), rule: "rule".to_owned() },
        unit_type: "user_id".to_owned(),
        steps: [10.0, 50.0, 75.0, 100.0].map(Step::at_once).to_vec(),
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: metrics().into_iter().map(pin).collect(),
        rollback_percentage: 0.0,
        principal: "test".to_owned(),
    };
    let mut launch = Launch::begin(plan, START);
    launch.policy.policy.segments = vec!["country".to_owned()];
    launch
}

/// What a unit did, told plainly.
fn history(exposures: &[(u32, &str, i64)], events: &[(&str, i64, f64)]) -> History {
    let exposed = |(epoch, arm, at): &(u32, &str, i64)| Exposed {
        epoch: *epoch,
        arm: (*arm).to_owned(),
        at: START.plus_ms(*at),
        settled: true,
        reverted: false,
        attributes: BTreeMap::new(),
        arrival: 1,
    };
    let deed = |(name, at, value): &(&str, i64, f64)| Deed {
        name: (*name).to_owned(),
        at: START.plus_ms(*at),
        value: Some(*value),
        properties: BTreeMap::new(),
        attributes: BTreeMap::new(),
        arrival: 1,
    };
    let exposures: Vec<Exposed> = exposures.iter().map(exposed).collect();
    let events: Vec<Deed> = events.iter().map(deed).collect();
    let mut days: Vec<i64> =
        exposures.iter().map(|one| one.at.day()).chain(events.iter().map(|one| one.at.day())).collect();
    days.sort_unstable();
    days.dedup();
    let days = days.into_iter().map(|day| ActiveDay { day, arrival: 1 }).collect();
    History { unit_id: "a".to_owned(), exposures, events, days }
}

/// Units, units with anything and the sum of one metric for one history, at a cut after so many milliseconds.
fn value_of(metric: &Metric, history: &History, after_ms: i64) -> Option<(u64, u64, f64)> {
    let launch = Launch { metrics: Vec::new(), ..launch() };
    let definition = Definition::of(&launch, WIDTH_MS);
    let measures = [Measure::new(Cow::Borrowed(metric), &definition)];
    let mut delta = Delta::new(&measures, Timestamp::default());
    delta.add(history, None, (1, &definition));
    let as_of = definition.bucket(START.plus_ms(after_ms));
    let found =
        measurement(&launch, &definition, &measures, &delta.into_cells(), Cut { as_of, watermark: as_of });
    let row = found.metrics[&metric.key].first()?;
    Some((row.moments.n(), row.moments.counted().nonzero, row.moments.counted().sum()))
}

const HOUR: i64 = 3_600_000;

#[test]
fn what_is_folded_anew_takes_no_more_cells_the_longer_a_unit_has_been_at_it() {
    let events: Vec<(&str, i64, f64)> = (0..5_000).map(|minute| ("buy", minute * WIDTH_MS, 0.1)).collect();
    let (history, launch) = (history(&[(1, CONTROL, 0)], &events), launch());
    let definition = Definition::of(&launch, WIDTH_MS);
    let metric = Metric::of("spent", MetricKind::Sum, "buy");
    let measures = [Measure::new(Cow::Borrowed(&metric), &definition)];
    let fold = |merged_before| {
        let mut delta = Delta::new(&measures, merged_before);
        delta.add(&history, None, (1, &definition));
        delta.into_cells()
    };
    let (merged_before, mut cells) = (definition.bucket(START.plus_ms(4_990 * WIDTH_MS)), Cells::new());
    let merged = fold(merged_before);
    assert!(merged.len() <= 15, "{}", merged.len());
    apply(&mut cells, fold(Timestamp::default()), &definition, merged_before);
    assert_eq!(merged.keys().collect::<Vec<_>>(), cells.keys().collect::<Vec<_>>());
    assert!(cells.iter().all(|(key, sums)| merged[key].distance(sums) <= 1e-9));
}

#[test]
fn a_retained_unit_counts_once_its_days_are_over() {
    let metric = Metric {
        returned: Some(Returned { from_day: 1, to_day: 1 }),
        ..Metric::of("day_1", MetricKind::Retention, "visit")
    };
    let back = history(&[(1, CONTROL, 0)], &[("visit", HOUR, 1.0), ("visit", 30 * HOUR, 1.0)]);
    assert_eq!(value_of(&metric, &back, 47 * HOUR), None);
    assert_eq!(value_of(&metric, &back, 50 * HOUR), Some((1, 1, 1.0)));
    let gone = history(&[(1, CONTROL, 0)], &[("visit", HOUR, 1.0), ("visit", 49 * HOUR, 1.0)]);
    assert_eq!(value_of(&metric, &gone, 50 * HOUR), Some((1, 0, 0.0)));
}

#[test]
fn a_change_of_activity_is_one_of_before_earlier_and_after() {
    let days = |days: &[i64]| {
        let events: Vec<(&str, i64, f64)> = days.iter().map(|day| ("visit", day * DAY_MS, 1.0)).collect();
        history(&[(1, CONTROL, 0)], &events)
    };
    let cases = [
        (Activity::Churned, vec![-2]),
        (Activity::Resurrected, vec![-9, 2]),
        (Activity::Stale, vec![-9]),
        (Activity::New, vec![3]),
    ];
    for (to, _) in &cases {
        for (of, active) in &cases {
            let metric = Metric {
                state: Some(StateChange { to: *to, days: 3 }),
                ..Metric::of("state", MetricKind::StateChange, "")
            };
            let expected = f64::from(u8::from(to == of));
            let found = value_of(&metric, &days(active), 5 * DAY_MS).map(|(_, _, sum)| sum);
            assert_eq!(found, Some(expected), "{to:?} of {active:?}");
        }
    }
}

#[test]
fn a_unit_in_two_arms_counts_until_then() {
    let metric = Metric::of("buys", MetricKind::Count, "buy");
    let both = history(&[(1, CONTROL, 0), (1, TREATMENT, 5 * WIDTH_MS)], &[("buy", WIDTH_MS, 1.0)]);
    assert_eq!(value_of(&metric, &both, 4 * WIDTH_MS), Some((1, 1, 1.0)));
    assert_eq!(value_of(&metric, &both, 9 * WIDTH_MS), Some((0, 0, 0.0)));
}

#[test]
fn a_cap_bounds_the_unit_and_a_tail_counts_events() {
    let events = [("buy", WIDTH_MS, 70.0), ("buy", 2 * WIDTH_MS, 40.0)];
    let capped = Metric { cap: Some(100.0), ..Metric::of("spent", MetricKind::Sum, "buy") };
    assert_eq!(value_of(&capped, &history(&[(1, CONTROL, 0)], &events), HOUR), Some((1, 1, 100.0)));
    let tail = Tail { quantile: 0.9, threshold: Some(50.0), side: Side::Above, of: Of::Events };
    let tail = Metric { tail: Some(tail), ..Metric::of("slow", MetricKind::Quantile, "buy") };
    assert_eq!(value_of(&tail, &history(&[(1, CONTROL, 0)], &events), HOUR), Some((1, 1, 1.0)));
}
