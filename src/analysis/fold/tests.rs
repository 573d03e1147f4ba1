//! Incremental cells against one full recomputation, on any stream.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::{Cells, Cut, Definition, Delta, Measure, apply, measurement};
use crate::analysis::history::{ActiveDay, Deed, Exposed, History};
use crate::analysis::measurement::Measurement;
use crate::domain::launch::{CONTROL, Launch, LaunchId, LaunchPlan, PinnedMetric, Step, TREATMENT, Target};
use crate::domain::metric::filter::{Filter, FilterOperator, FilterSubject};
use crate::domain::metric::kind::{Activity, Of, Part, Returned, Side, StateChange, Tail};
use crate::domain::metric::{Metric, MetricKind};
use crate::domain::time::{DAY_MS, Timestamp};

const WIDTH_MS: i64 = 60_000;
const START: Timestamp = Timestamp(20_000 * DAY_MS + 11 * 3_600_000 + 17);
const UNITS: u8 = 8;

/// What a client sends.
#[derive(Clone, Debug)]
enum Sent {
    Exposure { unit: u8, epoch: u32, treated: bool, at: i64, settled: bool },
    Event { unit: u8, name: u8, at: i64, value: Option<f64>, pro: bool },
}

/// Everything that happens to a launch: batches come in, the share is raised, numbers are refreshed.
#[derive(Clone, Debug)]
enum Happens {
    Batch(Vec<Sent>),
    Raise,
    Refresh,
}

/// All that is stored, by unit.
#[derive(Clone, Default)]
struct Stored {
    arrival: i64,
    units: BTreeMap<u8, History>,
}

impl Stored {
    /// Keeps what an event store keeps: of exposures those that are first, or earlier than what is there.
    fn append(&mut self, batch: &[Sent]) {
        self.arrival += 1;
        let arrival = self.arrival;
        for sent in batch {
            let (unit, at) = match sent {
                Sent::Exposure { unit, at, .. } | Sent::Event { unit, at, .. } => (*unit, START.plus_ms(*at)),
            };
            let history = self.units.entry(unit).or_default();
            history.unit_id = format!("unit {unit}");
            if history.days.iter().all(|known| known.day != at.day()) {
                history.days.push(ActiveDay { day: at.day(), arrival });
                history.days.sort_by_key(|day| day.day);
            }
            match sent {
                Sent::Exposure { epoch, treated, settled, .. } => {
                    let arm = if *treated { TREATMENT } else { CONTROL }.to_owned();
                    let same = |known: &&Exposed| known.epoch == *epoch && known.arm == arm;
                    if history.exposures.iter().filter(same).any(|known| known.at <= at) {
                        continue;
                    }
                    let country = if unit % 2 == 0 { "DE" } else { "FR" };
                    let attributes = BTreeMap::from([("country".to_owned(), country.to_owned())]);
                    let (settled, reverted) = (*settled, false);
                    history.exposures.push(Exposed {
                        epoch: *epoch,
                        arm,
                        at,
                        settled,
                        reverted,
                        attributes,
                        arrival,
                    });
                    history.exposures.sort_by(|a, b| (a.epoch, a.at, &a.arm).cmp(&(b.epoch, b.at, &b.arm)));
                }
                Sent::Event { name, value, pro, .. } => {
                    let plan = if *pro { "pro" } else { "free" };
                    history.events.push(Deed {
                        name: format!("event {name}"),
                        at,
                        value: *value,
                        properties: BTreeMap::from([("plan".to_owned(), plan.to_owned())]),
                        attributes: BTreeMap::new(),
                        arrival,
                    });
                    history.events.sort_by_key(|deed| (deed.at, deed.arrival));
                }
            }
        }
    }
}

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

/// What a measurer keeps between refreshes.
#[derive(Default)]
struct Kept {
    before: Option<(i64, Definition)>,
    merged_before: Timestamp,
    cells: Cells,
}

fn refresh(kept: &mut Kept, stored: &Stored, launch: &Launch, as_of: Timestamp) {
    let mut definition = Definition::of(launch, WIDTH_MS);
    if let Some((_, before)) = &kept.before {
        definition.keep_frozen(before);
    }
    if stored.arrival >= 3 && definition.segments.is_none() {
        let counts = BTreeMap::from([(("country".to_owned(), "DE".to_owned()), 7)]);
        definition.segments = Some(Definition::frequent(launch, &counts));
    }
    if kept.before.as_ref().is_some_and(|(_, before)| !definition.carries_on(before, kept.merged_before)) {
        *kept = Kept::default();
    }
    let measures = Measure::all(launch, &definition);
    let mut delta = Delta::new(&measures);
    let before = kept.before.as_ref().map(|(arrival, before)| (*arrival, before));
    let since = before.map_or(0, |(arrival, _)| arrival);
    let ended: Vec<(u32, Timestamp)> =
        before.map(|(_, before)| definition.changed_since(before).collect()).unwrap_or_default();
    for history in stored.units.values() {
        // The store hands out only what changed, as it does in earnest.
        let arrivals = (history.exposures.iter().map(|one| one.arrival))
            .chain(history.events.iter().map(|one| one.arrival))
            .chain(history.days.iter().map(|one| one.arrival));
        let also = |one: &Exposed| ended.iter().any(|(epoch, end)| one.epoch == *epoch && one.at >= *end);
        if !history.exposures.is_empty()
            && (arrivals.max().unwrap_or(0) > since || history.exposures.iter().any(also))
        {
            delta.add(history, before, (stored.arrival, &definition));
        }
    }
    kept.merged_before = kept.merged_before.max(definition.kept_from(as_of));
    apply(&mut kept.cells, delta.into_cells(), &definition, kept.merged_before);
    kept.cells.retain(|_, sums| !sums.is_empty());
    kept.before = Some((stored.arrival, definition));
}

fn measured(kept: &Kept, launch: &Launch, as_of: Timestamp) -> Measurement {
    let (_, definition) = kept.before.as_ref().unwrap();
    let measures = Measure::all(launch, definition);
    measurement(launch, definition, &measures, &kept.cells, Cut { as_of, watermark: as_of })
}

fn sent() -> impl Strategy<Value = Sent> {
    let minutes = -1_500_i64..6_000;
    let value = prop_oneof![
        4 => (0..400_i32).prop_map(|value| Some(f64::from(value) / 3.0)),
        1 => Just(None),
        1 => Just(Some(1e15)),
        1 => Just(Some(-1e15)),
    ];
    prop_oneof![
        2 => (0..UNITS, 1..4_u32, any::<bool>(), minutes.clone(), any::<bool>()).prop_map(
            |(unit, epoch, treated, at, settled)| Sent::Exposure { unit, epoch, treated, at: at * 40_000, settled }
        ),
        3 => (0..UNITS, 0..3_u8, minutes, value, any::<bool>()).prop_map(
            |(unit, name, at, value, pro)| Sent::Event { unit, name, at: at * 40_000, value, pro }
        ),
    ]
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let one = prop_oneof![
        6 => vec(sent(), 0..20).prop_map(Happens::Batch),
        1 => Just(Happens::Raise),
        3 => Just(Happens::Refresh),
    ];
    vec(one, 1..25)
}

/// Goes through what happens, with event time going on; gives the launch, what is stored and what was kept.
fn run(happens: &[Happens]) -> (Launch, Stored, Kept, Timestamp) {
    let (mut launch, mut stored, mut kept) = (launch(), Stored::default(), Kept::default());
    let mut now = START;
    let as_of = |now: Timestamp| Timestamp(now.0.div_euclid(WIDTH_MS) * WIDTH_MS);
    for happening in happens {
        now = now.plus_ms(7_919_000);
        match happening {
            Happens::Batch(batch) => stored.append(batch),
            Happens::Raise => launch.advance(now),
            Happens::Refresh => refresh(&mut kept, &stored, &launch, as_of(now)),
        }
    }
    refresh(&mut kept, &stored, &launch, as_of(now));
    (launch, stored, kept, as_of(now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn refreshes_of_any_stream_give_the_cells_of_one_recomputation(happens in happens()) {
        let (launch, stored, kept, as_of) = run(&happens);
        let mut anew = Kept { merged_before: kept.merged_before, ..Kept::default() };
        refresh(&mut anew, &stored, &launch, as_of);
        let (found, expected) = (&kept.cells, &anew.cells);
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (key, sums) in expected {
            let distance = found[key].distance(sums);
            prop_assert!(distance <= 1e-9, "{:?}: {}", key, distance);
        }
        prop_assert_eq!(measured(&kept, &launch, as_of), measured(&anew, &launch, as_of));
    }
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
    let mut delta = Delta::new(&measures);
    delta.add(history, None, (1, &definition));
    let as_of = definition.bucket(START.plus_ms(after_ms));
    let found =
        measurement(&launch, &definition, &measures, &delta.into_cells(), Cut { as_of, watermark: as_of });
    let row = found.metrics[&metric.key].first()?;
    Some((row.moments.n(), row.moments.counted().nonzero, row.moments.counted().sum()))
}

const HOUR: i64 = 3_600_000;

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
