//! Every fault of what is measured by, in every state of a launch: what the running guard says, and that it turns nothing off.

mod launches;

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::transport::grpc::wire::exposure::Served;
use portcullis::transport::grpc::wire::{
    DecisionKind, Event, Exposure, LogExposuresRequest, Metric, MetricAudits, ReasonCode, ServedGate, User,
    Verdict,
};

use self::launches::{Launches, STATES, Said};
use crate::documents::guardrail;
use crate::server::{eventually, wire_time};
use crate::visitors::{event, heartbeat, ids, log, user};

/// What holds each state whatever the numbers say.
const WAITS: [(&str, Option<ReasonCode>); 5] = [
    ("ramping", None),
    ("paused", Some(ReasonCode::Paused)),
    ("at_100", None),
    ("awaiting_approval", Some(ReasonCode::AwaitingApproval)),
    ("shipped", None),
];

/// What is to be said in every state.
#[derive(Clone, Copy)]
enum Expected {
    /// No harm shown: what waits for nobody may go on.
    Well,
    /// The metric is blind, and every raise is held for this reason.
    Blind(ReasonCode),
}

/// The table: what is expected of a state.
fn fits(expected: Expected, state: &str, (verdict, kind, codes): &Said) -> bool {
    let waits = WAITS.iter().find(|(of, _)| *of == state).and_then(|(_, waits)| *waits);
    let waits_too = waits.is_none_or(|code| codes.contains(&code));
    let held = *kind == DecisionKind::Hold;
    waits_too
        && match expected {
            Expected::Well => {
                let well = matches!(verdict, Verdict::Safe | Verdict::Undecided);
                let free = waits.is_none() && *kind == DecisionKind::Allow;
                well && (free || (waits.is_some() && held && codes.len() == 1))
            }
            Expected::Blind(code) => *verdict == Verdict::Blind && held && codes.contains(&code),
        }
}

/// Waits until it is said in every state, and proves that serving stays as it was.
async fn assert_said(launches: &Launches, expected: Expected) {
    assert_said_while(launches, expected, async || {}).await;
}

/// The same while something goes on.
async fn assert_said_while(launches: &Launches, expected: Expected, goes_on: impl AsyncFn()) {
    eventually("what is said of every state fits", async || {
        goes_on().await;
        let said: BTreeMap<&str, Said> = launches.said().await;
        let misfits: Vec<_> = said.iter().filter(|(state, said)| !fits(expected, state, said)).collect();
        if misfits.is_empty() { Ok(()) } else { Err(format!("{misfits:?}")) }
    })
    .await;
    launches.assert_untouched().await;
}

/// The guardrail of all launches.
fn signup() -> Metric {
    Metric { min_units: Some(50), ..guardrail("signup", "visited_signup") }
}

/// Further visitors come and are counted, and all is well.
async fn assert_goes_on_well(launches: &mut Launches) {
    let events = launches.visit(40).await;
    launches.send(events).await;
    assert_said(launches, Expected::Well).await;
}

/// Everybody who came is counted, with half of them signed up.
async fn assert_all_counted(launches: &Launches) {
    for state in STATES {
        let came = i64::try_from(launches.served[state].len()).unwrap();
        let (units, signed_up) = launches.counted(state).await;
        assert_eq!(units, came, "units while {state}");
        assert!((came / 2 - 1..=came / 2).contains(&signed_up), "{signed_up} of {came} while {state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_only_people_are_waited_for() {
    let mut launches = Launches::begin(signup()).await;
    assert_said(&launches, Expected::Well).await;
    assert_goes_on_well(&mut launches).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_down_everything_is_held_as_stale_and_served_on() {
    let mut launches = Launches::begin(signup()).await;
    let outage = launches.server.home().outage().await;
    launches.clock.advance(Duration::from_mins(6));
    assert_said_of_outage(&launches).await;
    outage.end().await;
    assert_goes_on_well(&mut launches).await;
    assert_all_counted(&launches).await;
}

/// Nothing is asked of what is on record, which is away.
async fn assert_said_of_outage(launches: &Launches) {
    eventually("what is said of every state fits", async || {
        let said = launches.said().await;
        let held = Expected::Blind(ReasonCode::Stale);
        let misfits: Vec<_> = said.iter().filter(|(state, said)| !fits(held, state, said)).collect();
        if misfits.is_empty() { Ok(()) } else { Err(format!("{misfits:?}")) }
    })
    .await;
    for (state, served) in &launches.served {
        let visitors: Vec<String> =
            served.keys().filter(|visitor| served[*visitor] == "treatment").cloned().collect();
        let now = launches.serve(state, &visitors).await;
        assert!(now.values().all(|arm| arm == "treatment"), "somebody lost the treatment while {state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_holds_everything_as_stale_until_it_is_through_and_turns_nothing_off() {
    let mut launches = Launches::begin(signup()).await;
    let events = launches.visit(40).await;
    let mut writer = launches.server.home().writer().await;
    let slow = async {
        // Nothing is stored meanwhile: what is known grows old, and whoever has the treatment keeps it.
        launches.clock.advance(Duration::from_mins(6));
        assert_said_of_outage(&launches).await;
        sqlx::raw_sql("rollback").execute(&mut writer).await.unwrap();
    };
    tokio::join!(log(&launches.server, events), slow);
    launches.send(Vec::new()).await;
    assert_said(&launches, Expected::Well).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_events_count_where_they_belong() {
    let mut launches = Launches::begin(signup()).await;
    let mut late = launches.visit(40).await;
    let in_time = late.split_off(late.len() / 2);
    launches.send(in_time).await;
    assert_said(&launches, Expected::Well).await;
    launches.clock.advance(Duration::from_mins(10));
    launches.send(Vec::new()).await;
    launches.send(late).await;
    assert_said(&launches, Expected::Well).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_duplicates_holds_everything_and_counts_once() {
    let mut launches = Launches::begin(signup()).await;
    let events = launches.visit(40).await;
    launches.send(events.clone()).await;
    let before = launches.counted("ramping").await;
    launches.send(std::iter::repeat_n(events, 30).flatten().collect()).await;
    let goes_on = async || heartbeat(&launches.server).await;
    assert_said_while(&launches, Expected::Blind(ReasonCode::AuditFailed), goes_on).await;
    assert_eq!(launches.counted("ramping").await, before);
    launches.clock.advance(Duration::from_mins(62));
    assert_goes_on_well(&mut launches).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_in_which_events_come_in_does_not_matter() {
    let mut launches = Launches::begin(signup()).await;
    let mut waves = Vec::new();
    for _ in 0..4 {
        waves.push(launches.visit(20).await);
    }
    for mut wave in waves.into_iter().rev() {
        wave.reverse();
        log(&launches.server, wave).await;
    }
    launches.send(Vec::new()).await;
    assert_said(&launches, Expected::Well).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_ahead_hold_everything() {
    let mut launches = Launches::begin(signup()).await;
    let ahead = Some(wire_time(launches.clock.now_ms() + 4 * 60_000));
    let skewed = |_| Event { time: ahead, ..event("somebody-else", "visited_signup") };
    launches.send((0..2_000).map(skewed).collect()).await;
    assert_said(&launches, Expected::Blind(ReasonCode::AuditFailed)).await;
    launches.clock.advance(Duration::from_mins(62));
    assert_goes_on_well(&mut launches).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_whose_events_stop_holds_everything_although_others_come_in() {
    let mut launches = Launches::begin(signup()).await;
    launches.clock.advance(Duration::from_mins(6));
    let goes_on = async || log(&launches.server, vec![event("somebody-else", "heartbeat")]).await;
    assert_said_while(&launches, Expected::Blind(ReasonCode::Stale), goes_on).await;
    assert_goes_on_well(&mut launches).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_whose_events_never_came_holds_everything() {
    let never = Metric { min_units: Some(50), ..guardrail("refunds", "refunded") };
    let mut launches = Launches::begin_with(vec![never, signup()]).await;
    assert_said(&launches, Expected::Blind(ReasonCode::BurnIn)).await;
    let events = launches.visit(40).await;
    launches.send(events).await;
    assert_said(&launches, Expected::Blind(ReasonCode::BurnIn)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_audit_holds_everything() {
    let audits = Some(MetricAudits { max_without_unit: Some(0.5), ..MetricAudits::default() });
    let mut launches = Launches::begin(Metric { audits, ..signup() }).await;
    let by_device = User { custom_ids: [("device".to_owned(), "d".to_owned())].into(), ..User::default() };
    let nobodys = |_| Event { user: Some(by_device.clone()), ..event("", "visited_signup") };
    launches.send((0..2_000).map(nobodys).collect()).await;
    assert_said(&launches, Expected::Blind(ReasonCode::AuditFailed)).await;
    launches.clock.advance(Duration::from_mins(62));
    assert_goes_on_well(&mut launches).await;
    assert_all_counted(&launches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arms_that_get_other_shares_than_planned_hold_everything_for_good() {
    let mut launches = Launches::begin(signup()).await;
    // Of the first epoch: programs told late of visitors with the treatment, and of none without it.
    for state in STATES {
        let launch = launches.check(state).await.launch.unwrap();
        let began = launch.epochs[0].start_time;
        let treated = launches.peek(state, ids("unseen", 240)).await;
        let treated = treated.into_iter().filter(|(_, arm)| arm == "treatment").map(|(visitor, _)| visitor);
        if state == "shipped" {
            let treated: Vec<String> = treated.collect();
            launches.serve(state, &treated).await;
            continue;
        }
        let told = |visitor: String| Exposure {
            user: Some(user(&visitor)),
            served: Some(Served::Gate(ServedGate {
                key: state.to_owned(),
                pass: true,
                rule_id: String::new(),
            })),
            time: began,
        };
        let request = LogExposuresRequest { exposures: treated.map(told).collect() };
        launches.server.events().log_exposures(request).await.unwrap();
    }
    launches.send(Vec::new()).await;
    assert_said(&launches, Expected::Blind(ReasonCode::SampleRatio)).await;
    let events = launches.visit(40).await;
    launches.send(events).await;
    assert_said(&launches, Expected::Blind(ReasonCode::SampleRatio)).await;
}
