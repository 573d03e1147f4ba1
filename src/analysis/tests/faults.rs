//! Every fault in every state of a launch: what is said, and what is done.

use super::super::audit::{CameIn, Intake, Known, audit};
use super::super::measurement::Past;
use super::super::published::{Audited, Published};
use super::*;
use crate::domain::metric::DEFAULT_FRESHNESS_MS;
use crate::domain::metric::audits::Audits;

const STATES: [&str; 6] = ["ramping", "paused", "at 100 %", "awaiting approval", "shipped", "held back"];

/// What is said where nothing is wrong, in the order of the states: the guardrail's verdict, the decision, and what is done.
const WELL: [&str; 6] = [
    "undecided: allow, advance",
    "undecided: hold",
    "undecided: allow, complete",
    "undecided: hold",
    "undecided: allow, advance",
    "undecided: allow, advance",
];
/// The same where half of the step is not covered by numbers yet.
const LATE: [&str; 6] = [
    "undecided: allow",
    "undecided: hold",
    "undecided: allow, complete",
    "undecided: hold",
    "undecided: allow",
    "undecided: allow",
];
/// Nothing unknown is good, and nothing is turned off for lack of data.
const BLIND: &str = "blind: hold";
const WARNED: &str = "undecided: hold";
/// Protection waits for nobody.
const HARM: &str = "harm: roll_back, roll back";

/// The table: by fault, in the order of the states.
const EXPECTED: [(&str, [&str; 6]); 13] = [
    ("none", WELL),
    ("store down", [BLIND; 6]),
    ("slow", [BLIND; 6]),
    ("late events", LATE),
    ("duplicates", WELL),
    ("burst of duplicates", [BLIND; 6]),
    ("out of order", WELL),
    ("clock skew", [BLIND; 6]),
    ("missing metric", [BLIND; 6]),
    ("audit failed", [BLIND; 6]),
    ("sample ratio broken", [BLIND; 6]),
    ("one bucket", [WARNED; 6]),
    ("harm", [HARM; 6]),
];

fn in_state(state: &str) -> Launch {
    let lasting =
        |percentage: f64, needs: Needs| Step { min_duration_ms: HOUR_MS, needs, ..Step::at_once(percentage) };
    let audits = Audits { max_without_unit: Some(0.5), ..Audits::default() };
    let metrics = vec![Metric { audits, ..guardrail("buys") }];
    let last = || Step::at_once(100.0);
    match state {
        "ramping" => gate(metrics, vec![lasting(50.0, Needs::Time), last()]),
        "paused" => {
            let mut launch = gate(metrics, vec![lasting(50.0, Needs::Time), last()]);
            launch.pause();
            launch
        }
        "awaiting approval" => gate(metrics, vec![lasting(50.0, Needs::Approval), last()]),
        "held back" => gate(metrics, vec![lasting(95.0, Needs::Time), last()]),
        "at 100 %" => {
            let mut launch = gate(metrics, vec![lasting(50.0, Needs::Time), last()]);
            launch.advance(START.plus_ms(1));
            launch
        }
        "shipped" => {
            let target = Target::Shipment { experiment: "colour".to_owned() };
            launch(target, &[CONTROL, TREATMENT], metrics, vec![lasting(95.0, Needs::Time), last()])
        }
        _ => panic!("{state}"),
    }
}

/// Both arms by their share in the first epoch; a tenth of the control does it, and `done` of a thousand of the treatment.
fn numbers(launch: &Launch, done: u64) -> [Moments; 2] {
    let treated = if launch.epochs[0].percentage > 90.0 { 38_000 } else { 20_000 };
    let control = if treated == 38_000 { 2_000 } else { 20_000 };
    [moments(control, control / 10), moments(treated, treated * done / 1_000)]
}

fn judged(launch: &Launch, fault: &str) -> Judgement {
    let healthy = || measured(launch, &numbers(launch, 100));
    let harmful = || measured(launch, &numbers(launch, 30));
    let of = |measurement: Measurement| judge(launch, Some(&measurement), NOW);
    // What a minute brought in, beside numbers that look like harm.
    let unbelieved = |intake: Intake| {
        of(audited(
            launch,
            harmful(),
            Intake { minute: NOW.plus_ms(-60_000), events: 10_000, ..intake },
            &healthy(),
        ))
    };
    match fault {
        "none" => of(healthy()),
        "store down" => judge(launch, None, NOW),
        "slow" => judge(launch, Some(&healthy()), NOW.plus_ms(DEFAULT_FRESHNESS_MS + 1)),
        "late events" => of(Measurement { as_of: START.plus_ms(HOUR_MS / 2), ..healthy() }),
        // Stored once, so that the numbers are what they would be without.
        "duplicates" => {
            let intake = Intake {
                minute: NOW.plus_ms(-60_000),
                events: 10_000,
                duplicates: 9_000,
                ..Intake::default()
            };
            of(audited(launch, healthy(), intake, &healthy()))
        }
        "burst of duplicates" => unbelieved(Intake { duplicates: 20_000, ..Intake::default() }),
        // What the treatment did before is known only now.
        "out of order" => of(lately(healthy(), |_| Moments::default())),
        "clock skew" => unbelieved(Intake { early: 6_000, ..Intake::default() }),
        "missing metric" => of(Measurement { metrics: BTreeMap::new(), ..healthy() }),
        "audit failed" => unbelieved(Intake { without_unit: 6_000, ..Intake::default() }),
        "sample ratio broken" => {
            let [control, treatment] = numbers(launch, 30);
            of(measured(launch, &[control, moments(treatment.n / 2, treatment.nonzero / 2)]))
        }
        // Everything was well until a bucket ago.
        "one bucket" => {
            let before = numbers(launch, 100).map(|whole| moments(whole.n / 2, whole.nonzero / 2));
            of(lately(harmful(), |arm| before[usize::from(arm == TREATMENT)]))
        }
        "harm" => of(harmful()),
        _ => panic!("{fault}"),
    }
}

/// Numbers of which an arm had these a bucket ago.
fn lately(measurement: Measurement, before: impl Fn(&str) -> Moments) -> Measurement {
    let mut measurement = Measurement { kept_from: Some(NOW.plus_ms(-2_000)), ..measurement };
    for row in measurement.metrics.values_mut().flatten() {
        let was = Outcome::Mean(before(&row.arm));
        row.past = vec![Past { at: NOW.plus_ms(-1_000), moments: was, settled: was }];
    }
    measurement
}

/// What is published of numbers after audits, where others were published before.
fn audited(launch: &Launch, found: Measurement, intake: Intake, before: &Measurement) -> Measurement {
    let publish = |measurement: Measurement, intake: &[Intake], before: Option<&Published>| {
        let of_metric = |pinned: &PinnedMetric| {
            let of_name = |name: &str| {
                (name.to_owned(), CameIn { watermark: Some(NOW), intake: intake.to_vec(), is_unread: false })
            };
            let events = pinned.metric.events().map(of_name).collect();
            let (now, whole, units) = (NOW, NOW, (40_000, 4_000));
            let known = Known { now, whole, events: &events, by_user: true, units, in_two_arms: 0 };
            let audits = audit(&pinned.metric, &known);
            let audited = Audited { as_of: Some(NOW), watermark: Some(NOW), audits };
            (pinned.metric.key.clone(), audited)
        };
        let metrics = launch.metrics.iter().map(of_metric).collect();
        Published::publish(launch.id, NOW, measurement, metrics, before)
    };
    let before = publish(before.clone(), &[], None);
    publish(found, &[intake], Some(&before)).measurement
}

#[test]
fn every_fault_in_every_state_is_answered_as_the_table_says() {
    let mut wrong = Vec::new();
    for (fault, expected) in EXPECTED {
        for (state, expected) in STATES.iter().zip(expected) {
            let launch = in_state(state);
            let judgement = judged(&launch, fault);
            let plan = plan(&launch, &judgement, None, judgement.at);
            let action = match plan.action {
                Action::None => "",
                Action::Advance => ", advance",
                Action::Complete => ", complete",
                Action::RollBack => ", roll back",
                Action::StopArms(_) => ", stop arms",
            };
            let found = format!("{}: {}{action}", only(&judgement).verdict, plan.kind);
            if found != expected {
                wrong.push(format!("{fault} while {state} is {found}, not {expected}: {:?}", plan.reasons));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A latch that is closed meanwhile blocks whatever state a launch is in, and protection goes first all the same.
#[test]
fn a_closed_latch_blocks_in_every_state_and_never_stands_before_protection() {
    for state in STATES {
        let launch = in_state(state);
        let latch = Latch {
            id: LatchId(Uuid::nil()),
            target: launch.target.clone(),
            arm: None,
            launch: launch.id,
            cause: "another launch was harmful".to_owned(),
            closed_at: START,
            resolution: None,
        };
        let blocked = plan(&launch, &judged(&launch, "none"), Some(&latch), NOW);
        assert_eq!((blocked.kind, blocked.action), (DecisionKind::Block, Action::None), "{state}");
        let harmed = plan(&launch, &judged(&launch, "harm"), Some(&latch), NOW);
        assert_eq!((harmed.kind, harmed.action), (DecisionKind::RollBack, Action::RollBack), "{state}");
    }
}
