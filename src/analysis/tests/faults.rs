//! Every fault in every state of a launch: what is said, and what is done.

use super::super::measurement::Past;
use super::*;
use crate::domain::metric::DEFAULT_FRESHNESS_MS;

const FAULTS: [&str; 8] =
    ["none", "store down", "slow", "late", "missing metric", "sample ratio", "one bucket", "harm"];

/// What is said and done, by state, in the order of the faults.
const EXPECTED: [(&str, [&str; 8]); 6] = [
    ("ramping", ["allow, advance", "hold", "hold", "allow", "hold", "hold", "hold", "roll_back, roll back"]),
    ("paused", ["hold", "hold", "hold", "hold", "hold", "hold", "hold", "roll_back, roll back"]),
    ("awaiting approval", ["hold", "hold", "hold", "hold", "hold", "hold", "hold", "roll_back, roll back"]),
    (
        "held back",
        ["allow, advance", "hold", "hold", "allow", "hold", "hold", "hold", "roll_back, roll back"],
    ),
    (
        "at 100 %",
        [
            "allow, complete",
            "hold",
            "hold",
            "allow, complete",
            "hold",
            "hold",
            "hold",
            "roll_back, roll back",
        ],
    ),
    ("shipped", ["allow, advance", "hold", "hold", "allow", "hold", "hold", "hold", "roll_back, roll back"]),
];

fn in_state(state: &str) -> Launch {
    let lasting =
        |percentage: f64, needs: Needs| Step { min_duration_ms: HOUR_MS, needs, ..Step::at_once(percentage) };
    let metrics = vec![guardrail("buys")];
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
    match fault {
        "none" => of(healthy()),
        "store down" => judge(launch, None, NOW),
        "slow" => judge(launch, Some(&healthy()), NOW.plus_ms(DEFAULT_FRESHNESS_MS + 1)),
        "late" => of(Measurement { as_of: START.plus_ms(HOUR_MS / 2), ..healthy() }),
        "missing metric" => of(Measurement { metrics: BTreeMap::new(), ..healthy() }),
        "sample ratio" => {
            let [control, treatment] = numbers(launch, 30);
            of(measured(launch, &[control, moments(treatment.n / 2, treatment.nonzero / 2)]))
        }
        "one bucket" => {
            let before = measured(launch, &numbers(launch, 100));
            let mut glitch = harmful();
            let rows = glitch.metrics.values_mut().flatten().zip(before.metrics.values().flatten());
            for (row, before) in rows {
                let was = |part: Outcome| match part {
                    Outcome::Mean(whole) => Outcome::Mean(moments(whole.n / 2, whole.nonzero / 2)),
                    other => other,
                };
                let (moments, settled) = (was(before.moments), was(before.settled));
                row.past = vec![Past { at: NOW.plus_ms(-1_000), moments, settled }];
            }
            of(Measurement { kept_from: Some(NOW.plus_ms(-2_000)), ..glitch })
        }
        "harm" => of(harmful()),
        _ => panic!("{fault}"),
    }
}

#[test]
fn every_fault_in_every_state_is_answered_as_the_table_says() {
    for (state, expected) in EXPECTED {
        for (fault, expected) in FAULTS.iter().zip(expected) {
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
            let found = format!("{}{action}", plan.kind);
            assert_eq!(found, expected, "{fault} while {state}: {:?}", plan.reasons);
        }
    }
}

/// A latch that is closed meanwhile blocks whatever state a launch is in, and protection goes first all the same.
#[test]
fn a_closed_latch_blocks_in_every_state_and_never_stands_before_protection() {
    for (state, _) in EXPECTED {
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
