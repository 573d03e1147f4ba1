//! Incremental cells against one full recomputation, on any stream.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Cells, Cut, Definition, Delta, Measure, apply, measurement};
use super::{START, WIDTH_MS, launch};
use crate::analysis::history::{ActiveDay, Deed, Exposed, History};
use crate::analysis::measurement::Measurement;
use crate::domain::launch::{CONTROL, Launch, TREATMENT};
use crate::domain::time::Timestamp;

const UNITS: u8 = 8;

/// What a client sends.
#[derive(Clone, Debug)]
enum Sent {
    Exposure { unit: u8, epoch: u32, treated: bool, at: i64, settled: bool },
    Event { id: u8, unit: u8, name: u8, at: i64, value: Option<f64>, pro: bool },
}

/// Everything that happens to a launch: batches come in, some of them twice, the share is raised, numbers are refreshed.
#[derive(Clone, Debug)]
enum Happens {
    Batch(Vec<Sent>),
    /// The last batch is sent once more.
    Again,
    Raise,
    Refresh,
}

/// All that is stored, by unit.
#[derive(Clone, Default)]
struct Stored {
    arrival: i64,
    ids: BTreeSet<u8>,
    units: BTreeMap<u8, History>,
}

impl Stored {
    /// Keeps what an event store keeps: of events with one id the first, and of exposures those that are first, or earlier
    /// than what is there. A write of nothing but repeats is one as well.
    fn append(&mut self, batch: &[Sent]) {
        self.arrival += 1;
        let arrival = self.arrival;
        for sent in batch {
            if let Sent::Event { id, .. } = sent
                && !self.ids.insert(*id)
            {
                continue;
            }
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

/// What a measurer keeps between refreshes.
#[derive(Default)]
struct Kept {
    before: Option<(i64, Definition)>,
    merged_before: Timestamp,
    cells: Cells,
}

/// One refresh. What is folded is merged as it comes, or else afterwards.
fn refresh(kept: &mut Kept, stored: &Stored, launch: &Launch, as_of: Timestamp, merges_at_once: bool) {
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
    kept.merged_before = kept.merged_before.max(definition.kept_from(as_of));
    let at_once = if merges_at_once { kept.merged_before } else { Timestamp::default() };
    let mut delta = Delta::new(&measures, at_once);
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
    // Those of events go back to where a unit may have been active and then not for two days.
    let (minutes, minutes_of_events) = (-1_500_i64..6_000, -12_000_i64..6_000);
    let value = prop_oneof![
        4 => (0..400_i32).prop_map(|value| Some(f64::from(value) / 3.0)),
        1 => Just(None),
        1 => Just(Some(1e15)),
        1 => Just(Some(-1e15)),
    ];
    prop_oneof![
        2 => (0..UNITS, 1..4_u32, any::<bool>(), minutes, any::<bool>()).prop_map(
            |(unit, epoch, treated, at, settled)| Sent::Exposure { unit, epoch, treated, at: at * 40_000, settled }
        ),
        3 => (any::<u8>(), 0..UNITS, 0..3_u8, minutes_of_events, value, any::<bool>()).prop_map(
            |(id, unit, name, at, value, pro)| Sent::Event { id, unit, name, at: at * 40_000, value, pro }
        ),
    ]
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let one = prop_oneof![
        6 => vec(sent(), 0..20).prop_map(Happens::Batch),
        1 => Just(Happens::Again),
        1 => Just(Happens::Raise),
        3 => Just(Happens::Refresh),
    ];
    vec(one, 1..25)
}

/// Goes through what happens, with event time going on; gives the launch, what is stored and what was kept.
fn run(happens: &[Happens]) -> (Launch, Stored, Kept, Timestamp) {
    let (mut launch, mut stored, mut kept) = (launch(), Stored::default(), Kept::default());
    let (mut now, mut last) = (START, &Vec::new());
    let as_of = |now: Timestamp| Timestamp(now.0.div_euclid(WIDTH_MS) * WIDTH_MS);
    for happening in happens {
        now = now.plus_ms(7_919_000);
        match happening {
            Happens::Batch(batch) => {
                stored.append(batch);
                last = batch;
            }
            Happens::Again => stored.append(last),
            Happens::Raise => launch.advance(now),
            Happens::Refresh => refresh(&mut kept, &stored, &launch, as_of(now), true),
        }
    }
    refresh(&mut kept, &stored, &launch, as_of(now), true);
    (launch, stored, kept, as_of(now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn refreshes_of_any_stream_give_the_cells_of_one_recomputation(happens in happens()) {
        let (launch, stored, kept, as_of) = run(&happens);
        let mut anew = Kept { merged_before: kept.merged_before, ..Kept::default() };
        refresh(&mut anew, &stored, &launch, as_of, false);
        let (found, expected) = (&kept.cells, &anew.cells);
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (key, sums) in expected {
            let distance = found[key].distance(sums);
            prop_assert!(distance <= 1e-9, "{:?}: {}", key, distance);
        }
        prop_assert_eq!(measured(&kept, &launch, as_of), measured(&anew, &launch, as_of));
    }
}
