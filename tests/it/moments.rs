//! What the guard measures, against a plain recomputation from what was served and logged.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::transport::grpc::wire::{
    CheckGateRequest, CheckLaunchResponse, Event, Gate, Metric, MetricKind, Moments, User,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::documents::{gate, metric, percentage};
use crate::server::{Server, TestClock, gate_target, ms_of, wire_duration, wire_time};
use crate::visitors::{Passes, assert_share, check_gate, event, heartbeat, ids, log, user};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What the test knows of one visitor.
#[derive(Clone)]
struct Visitor {
    treated: bool,
    epoch: i32,
    exposed_at: i64,
    /// Times and values of what the visitor did, each once.
    purchases: Vec<(i64, f64)>,
    active_days: Vec<i64>,
}

/// Lets the clock go on, and waits until everything before that moment is measured.
async fn measured(server: &Server, clock: &TestClock, gate: &str) -> CheckLaunchResponse {
    clock.advance(Duration::from_secs(1));
    let now = clock.now_ms();
    let complete =
        |answer: &CheckLaunchResponse| answer.as_of.as_ref().is_some_and(|as_of| ms_of(as_of) == now);
    server.check_until(&gate_target(gate), "everything so far is measured", complete).await
}

/// The moments of one arm, computed plainly.
fn moments<'v>(visitors: impl Iterator<Item = &'v Visitor>, value: impl Fn(&Visitor) -> f64) -> Moments {
    let values: Vec<f64> = visitors.map(value).collect();
    Moments {
        n: i64::try_from(values.len()).unwrap(),
        sum: values.iter().sum(),
        sum_squares: values.iter().map(|value| value * value).sum(),
        nonzero: i64::try_from(values.iter().filter(|value| **value != 0.0).count()).unwrap(),
    }
}

fn assert_same(found: &Moments, expected: &Moments, what: &str) {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
    let same = found.n == expected.n
        && found.nonzero == expected.nonzero
        && close(found.sum, expected.sum)
        && close(found.sum_squares, expected.sum_squares);
    assert!(same, "{what}: found {found:?}, expected {expected:?}");
}

/// Compares every arm and epoch of a metric with what the visitors did.
fn assert_metric(
    answer: &CheckLaunchResponse,
    key: &str,
    visitors: &BTreeMap<String, Visitor>,
    value: impl Fn(&Visitor) -> f64,
) {
    let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == key).unwrap();
    for epoch in &verdict.epochs {
        for (arm, treated) in [(epoch.control, false), (epoch.treatment, true)] {
            let in_arm = |visitor: &&Visitor| visitor.treated == treated && visitor.epoch == epoch.epoch;
            let expected = moments(visitors.values().filter(in_arm), &value);
            let what = format!("{key}, epoch {}, treated {treated}", epoch.epoch);
            assert_same(&arm.unwrap(), &expected, &what);
        }
    }
}

/// Four metrics of one event, and one of activity.
fn metrics() -> Vec<Metric> {
    let of_kind = |key: &str, kind: MetricKind| Metric { kind: kind.into(), ..metric(key, "purchase") };
    vec![
        of_kind("buyers", MetricKind::Conversion),
        of_kind("purchases", MetricKind::Count),
        of_kind("revenue", MetricKind::Sum),
        Metric { window: Some(wire_duration(60_000)), ..of_kind("first_minute", MetricKind::Sum) },
        Metric { event: String::new(), ..of_kind("days", MetricKind::ActiveDays) },
    ]
}

/// Purchases of one visitor at random times around the exposure, some of them sent twice, and what counts of them.
fn shop(visitor: &mut Visitor, id: &str, now: i64, random: &mut StdRng) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..random.random_range(0..4) {
        // Up to two minutes before the exposure, and up to now.
        let at = random.random_range(visitor.exposed_at - 120_000..=now);
        let value = f64::from(random.random_range(1..1_000_u32)) / 8.0;
        let sent = Event { time: Some(wire_time(at)), value: Some(value), ..event(id, "purchase") };
        visitor.purchases.push((at, value));
        visitor.active_days.push(at / DAY_MS);
        events.push(sent.clone());
        if random.random_bool(0.2) {
            events.push(sent);
        }
    }
    events
}

/// The values of a visitor's purchases from the exposure to an end.
fn counted(visitor: &Visitor, until: i64) -> impl Iterator<Item = f64> {
    let from = visitor.exposed_at;
    visitor.purchases.iter().filter(move |(at, _)| (from..until).contains(at)).map(|(_, value)| *value)
}

/// On how many days of those it is watched a visitor was seen.
fn days(visitor: &Visitor, until: i64) -> f64 {
    let mut days: Vec<i64> = visitor.active_days.clone();
    days.push(visitor.exposed_at / DAY_MS);
    days.retain(|day| *day >= visitor.exposed_at / DAY_MS && day * DAY_MS < until);
    days.sort_unstable();
    days.dedup();
    days.len() as f64
}

/// Compares all metrics; `end_of` tells until when the units of an epoch are watched.
fn assert_all(
    answer: &CheckLaunchResponse,
    visitors: &BTreeMap<String, Visitor>,
    end_of: impl Fn(i32) -> i64 + Copy,
) {
    let until = |visitor: &Visitor| end_of(visitor.epoch);
    assert_metric(answer, "buyers", visitors, |one| {
        f64::from(u8::from(counted(one, until(one)).next().is_some()))
    });
    assert_metric(answer, "purchases", visitors, |one| counted(one, until(one)).count() as f64);
    assert_metric(answer, "revenue", visitors, |one| counted(one, until(one)).sum());
    assert_metric(answer, "first_minute", visitors, |one| {
        counted(one, until(one).min(one.exposed_at + 60_000)).sum()
    });
    assert_metric(answer, "days", visitors, |one| days(one, until(one)));
}

fn exposed(passes: &Passes, epoch: i32, at: i64) -> impl Iterator<Item = (String, Visitor)> {
    passes.iter().map(move |(id, pass)| {
        let (treated, purchases, active_days) = (*pass, Vec::new(), Vec::new());
        (id.clone(), Visitor { treated, epoch, exposed_at: at, purchases, active_days })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_moments_are_those_of_a_plain_recomputation() {
    let (clock, mut random) = (TestClock::new(), StdRng::seed_from_u64(7));
    let server = Server::start_with(&clock).await;
    for metric in metrics() {
        server.create_metric(metric).await;
    }
    server.create_gate(gate("gate", 50.0)).await;

    // Three waves of visitors; the first come again in every wave, and keep the time of their first exposure.
    let mut visitors = BTreeMap::new();
    for wave in 1..=3 {
        clock.advance(Duration::from_millis(31_250));
        let came = ids("visitor", wave * 120);
        let passes = check_gate(&server, "gate", &came).await;
        for (id, visitor) in exposed(&passes, 1, clock.now_ms()) {
            visitors.entry(id).or_insert(visitor);
        }
    }
    clock.advance(Duration::from_secs(90));
    let now = clock.now_ms();
    let mut events: Vec<Event> =
        visitors.iter_mut().flat_map(|(id, visitor)| shop(visitor, id, now, &mut random)).collect();
    events.extend(ids("stranger", 50).iter().map(|id| event(id, "purchase")));
    log(&server, events).await;

    let answer = measured(&server, &clock, "gate").await;
    assert_eq!(visitors.len(), 360);
    let treated = visitors.values().filter(|visitor| visitor.treated).count();
    assert_share(treated, visitors.len(), 0.5);
    let purchases: usize = visitors.values().map(|visitor| visitor.purchases.len()).sum();
    let all: usize = visitors.values().map(|visitor| counted(visitor, i64::MAX).count()).sum();
    assert!(all > 100 && purchases > all, "{all} of {purchases} purchases count");
    assert_all(&answer, &visitors, |_| clock.now_ms());
}

#[tokio::test(flavor = "multi_thread")]
async fn units_stay_in_the_epoch_of_their_first_exposure_and_their_later_doings_do_not_count() {
    let (clock, mut random) = (TestClock::new(), StdRng::seed_from_u64(8));
    let server = Server::start_with(&clock).await;
    for metric in metrics() {
        server.create_metric(metric).await;
    }
    server.create_gate(gate("gate", 60.0)).await;
    clock.advance(Duration::from_secs(5));
    let early = ids("early", 150);
    let passes = check_gate(&server, "gate", &early).await;
    let mut visitors: BTreeMap<String, Visitor> = exposed(&passes, 1, clock.now_ms()).collect();
    clock.advance(Duration::from_secs(30));
    let now = clock.now_ms();
    let events = visitors.iter_mut().flat_map(|(id, visitor)| shop(visitor, id, now, &mut random)).collect();
    log(&server, events).await;

    measured(&server, &clock, "gate").await;
    clock.advance(Duration::from_secs(5));
    let lowered_at = clock.now_ms();
    let launch = server.set_rollout(percentage("gate", 20.0)).await.unwrap().launch.unwrap();
    assert_eq!(launch.epochs.iter().map(|epoch| epoch.percentage).collect::<Vec<_>>(), [60.0, 20.0]);

    // Two days later all of them come, and those who came first are no newcomers.
    clock.advance(Duration::from_hours(48));
    let passes = check_gate(&server, "gate", &[early.clone(), ids("late", 150)].concat()).await;
    let moved = early.iter().filter(|id| !passes[*id] && visitors[*id].treated).count();
    assert!(moved > 20, "the change moved only {moved} of those who had come before");
    for (id, visitor) in exposed(&passes, 2, clock.now_ms()) {
        visitors.entry(id).or_insert(visitor);
    }
    clock.advance(Duration::from_secs(30));
    let now = clock.now_ms();
    let events = visitors.iter_mut().flat_map(|(id, visitor)| shop(visitor, id, now, &mut random)).collect();
    log(&server, events).await;

    let answer = measured(&server, &clock, "gate").await;
    let late = visitors.values().filter(|visitor| visitor.epoch == 1);
    let cut: usize = late.map(|one| counted(one, i64::MAX).count() - counted(one, lowered_at).count()).sum();
    assert!(cut > 20, "only {cut} purchases lie after the epoch's end");
    assert_all(&answer, &visitors, |epoch| if epoch == 1 { lowered_at } else { clock.now_ms() });
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_under_every_spelling_of_a_unit_type() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    server.create_metric(metric("buyers", "purchase")).await;
    for (key, unit_type) in [("users", "userID"), ("companies", "companyID")] {
        server.create_gate(Gate { unit_type: unit_type.to_owned(), ..gate(key, 50.0) }).await;
    }
    clock.advance(Duration::from_secs(1));
    let mut events = Vec::new();
    for id in ids("one", 60) {
        let custom_ids = BTreeMap::from([("companyid".to_owned(), format!("company-of-{id}"))]);
        let visitor = User { custom_ids, ..user(&id) };
        for gate in ["users", "companies"] {
            let request = CheckGateRequest {
                user: Some(visitor.clone()),
                gate: gate.to_owned(),
                disable_exposure: false,
            };
            server.evaluation().check_gate(request).await.unwrap();
        }
        events.push(Event { user: Some(visitor), ..event(&id, "purchase") });
    }
    log(&server, events).await;
    for gate in ["users", "companies"] {
        let answer = measured(&server, &clock, gate).await;
        let epoch = &answer.verdicts[0].epochs[0];
        let (control, treatment) = (epoch.control.unwrap(), epoch.treatment.unwrap());
        assert_eq!((control.n + treatment.n, control.sum + treatment.sum), (60, 60.0), "{gate}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_asks_for_no_exposure_leaves_none() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    server.create_metric(metric("buyers", "purchase")).await;
    server.create_gate(gate("gate", 50.0)).await;
    clock.advance(Duration::from_secs(1));
    for id in ids("visitor", 30) {
        let request =
            CheckGateRequest { user: Some(user(&id)), gate: "gate".to_owned(), disable_exposure: true };
        server.evaluation().check_gate(request).await.unwrap();
    }
    check_gate(&server, "gate", &ids("seen", 5)).await;
    heartbeat(&server).await;
    let answer = measured(&server, &clock, "gate").await;
    let epoch = &answer.verdicts[0].epochs[0];
    assert_eq!(epoch.control.unwrap().n + epoch.treatment.unwrap().n, 5);
}
