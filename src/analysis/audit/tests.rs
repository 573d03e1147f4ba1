//! Which checks fail by which figures.

use super::*;
use crate::domain::metric::MetricKind;
use crate::domain::metric::audits::Audits;
use crate::domain::metric::kind::Part;

const NOW: Timestamp = Timestamp(100 * HOUR_MS);

/// So many events a minute over the last hours.
fn steady(hours: i64, events: u64) -> Vec<Intake> {
    let minute = |minute| Intake { minute: NOW.plus_ms(-60_000 * minute), events, ..Intake::default() };
    (1..=hours * 60).rev().map(minute).collect()
}

/// What came in of each name; its latest event has just come.
fn came_in(intake: &[(&str, Vec<Intake>)]) -> BTreeMap<String, CameIn> {
    let of_name = |(name, intake): &(&str, Vec<Intake>)| {
        ((*name).to_owned(), CameIn { watermark: Some(NOW), intake: intake.clone(), is_unread: false })
    };
    intake.iter().map(of_name).collect()
}

fn audits(metric: &Metric, events: &BTreeMap<String, CameIn>) -> Vec<Audit> {
    let (now, whole, by_user) = (NOW, NOW, true);
    audit(metric, &Known { now, whole, events, by_user, units: (5_000, 400), in_two_arms: 3 })
}

fn failed(metric: &Metric, intake: &[Intake], units: (u64, u64), in_two_arms: u64) -> Vec<Check> {
    let events = came_in(&[("buy", intake.to_vec())]);
    let known = Known { now: NOW, whole: NOW, events: &events, by_user: true, units, in_two_arms };
    let audits = audit(metric, &known);
    audits.iter().filter(|audit| !audit.passes()).map(|audit| audit.check).collect()
}

#[test]
fn a_healthy_metric_passes_by_default() {
    let metric = Metric::of("buys", MetricKind::Sum, "buy");
    assert!(failed(&metric, &steady(24, 100), (5_000, 400), 3).is_empty());
    assert!(failed(&metric, &[], (0, 0), 0).is_empty());
}

#[test]
fn each_check_fails_by_its_own_figure() {
    let metric = Metric::of("buys", MetricKind::Sum, "buy");
    let with = |change: fn(&mut Intake)| {
        let mut intake = steady(24, 100);
        intake.iter_mut().rev().take(60).for_each(change);
        failed(&metric, &intake, (5_000, 400), 3)
    };
    assert_eq!(with(|intake| intake.events = 0), [Check::Volume]);
    assert_eq!(with(|intake| intake.duplicates = 300), [Check::Duplicates]);
    assert_eq!(with(|intake| intake.early = 90), [Check::ClockSkew]);
    assert_eq!(with(|intake| intake.without_unit = 90), [Check::WithoutUnit]);
    assert_eq!(with(|intake| intake.without_value = 90), [Check::WithoutValue]);
    assert_eq!(failed(&metric, &steady(24, 100), (5_000, 400), 60), [Check::InTwoArms]);
    let bounded = Metric {
        audits: Audits { min_joined: Some(0.2), max_value: Some(10.0), ..Audits::default() },
        ..metric
    };
    let mut intake = steady(24, 100);
    for minute in &mut intake {
        minute.greatest = Some(11.0);
    }
    assert_eq!(failed(&bounded, &intake, (5_000, 400), 3), [Check::ValueRange, Check::Joined]);
}

#[test]
fn old_events_are_stale() {
    let metric = Metric::of("buys", MetricKind::Count, "buy");
    let watermark = Some(NOW.plus_ms(-metric.freshness_ms - 1));
    let events = BTreeMap::from([("buy".to_owned(), CameIn { watermark, ..CameIn::default() })]);
    let failed: Vec<Audit> = audits(&metric, &events).into_iter().filter(|audit| !audit.passes()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0].to_string(),
        "milliseconds since the latest event is 300001, at most 300000 expected"
    );
}

#[test]
fn history_that_is_brought_in_changes_nothing_of_what_is_said_of_programs() {
    let metric = Metric::of("buys", MetricKind::Sum, "buy");
    // A million events of last year within a minute of the last hour, or of the hours before.
    for minutes_ago in [20, 300] {
        let mut intake = steady(24, 100);
        let place = intake.len() - minutes_ago;
        intake[place].events += 1_000_000;
        intake[place].late = 1_000_000;
        let found = audits(&metric, &came_in(&[("buy", intake.clone())]));
        assert_eq!(found, audits(&metric, &came_in(&[("buy", steady(24, 100))])), "{minutes_ago}");
        // And what it hides no more is that programs send nothing, or the same again.
        intake.iter_mut().rev().take(60).for_each(|minute| minute.events = minute.late);
        assert_eq!(failed(&metric, &intake, (5_000, 400), 3), [Check::Volume]);
    }
    let mut intake = vec![Intake { minute: NOW.plus_ms(-20 * HOUR_MS), ..Intake::default() }];
    (intake[0].events, intake[0].late) = (1_000_000, 1_000_000);
    intake.extend(steady(4, 100));
    let volume = |intake| audits(&metric, &came_in(&[("buy", intake)]))[1].found;
    assert_eq!(volume(intake), Some(1.0));
}

#[test]
fn a_ratio_is_audited_by_each_of_its_names() {
    let part = |event: &str, kind| Some(Part { event: event.to_owned(), kind, filters: Vec::new() });
    let mut metric = Metric {
        numerator: part("paid", MetricKind::Sum),
        denominator: part("viewed", MetricKind::Count),
        ..Metric::of("paid_by_view", MetricKind::Ratio, "")
    };
    let failed = |metric: &Metric, events: &BTreeMap<String, CameIn>| -> Vec<(String, Check)> {
        let failed = audits(metric, events).into_iter().filter(|audit| !audit.passes());
        failed.map(|audit| (audit.event, audit.check)).collect()
    };
    let mut events = came_in(&[("paid", steady(24, 30)), ("viewed", steady(24, 3_000))]);
    assert!(failed(&metric, &events).is_empty());
    // The one has stopped, and the other one goes on a hundred times as often.
    let paid = &mut events.get_mut("paid").unwrap().intake;
    paid.truncate(paid.len() - 60);
    let dead = audits(&metric, &events).into_iter().find(|audit| !audit.passes()).unwrap();
    assert_eq!(
        dead.to_string(),
        "paid: events of the last hour, in times the mean hour before is 0, at least 0.01 expected, at most 100 expected"
    );
    // Values are looked at where they are added up.
    let mut events = came_in(&[("paid", steady(24, 30)), ("viewed", steady(24, 3_000))]);
    for came_in in events.values_mut() {
        came_in.intake.iter_mut().for_each(|minute| minute.without_value = minute.events);
    }
    assert_eq!(failed(&metric, &events), [("paid".to_owned(), Check::WithoutValue)]);
    // One that is stale is not hidden by another one, nor by one that never came.
    let old = NOW.plus_ms(-metric.freshness_ms - 1);
    let watermark = |events: &BTreeMap<String, CameIn>, metric: &Metric| {
        Known { now: NOW, whole: NOW, events, by_user: true, units: (0, 0), in_two_arms: 0 }.watermark(metric)
    };
    let mut events = came_in(&[("paid", Vec::new()), ("viewed", Vec::new())]);
    events.get_mut("viewed").unwrap().watermark = Some(old);
    assert_eq!(failed(&metric, &events), [("viewed".to_owned(), Check::Freshness)]);
    assert_eq!(watermark(&events, &metric), Some(old));
    events.remove("paid");
    assert_eq!(failed(&metric, &events), [("viewed".to_owned(), Check::Freshness)]);
    assert_eq!(watermark(&events, &metric), None);
    metric.rare = true;
    assert_eq!(watermark(&events, &metric), Some(NOW));
    assert!(failed(&metric, &events).is_empty());
}

#[test]
fn events_of_other_units_than_users_need_no_user_id() {
    let metric = Metric::of("buys", MetricKind::Count, "buy");
    let nobody = |minute: Intake| Intake { without_unit: minute.events, ..minute };
    let events = came_in(&[("buy", steady(24, 100).into_iter().map(nobody).collect())]);
    let passes = |by_user| {
        let known =
            Known { now: NOW, whole: NOW, events: &events, by_user, units: (5_000, 400), in_two_arms: 3 };
        audit(&metric, &known).iter().all(Audit::passes)
    };
    assert!(passes(false) && !passes(true));
}

#[test]
fn what_came_in_and_can_not_be_read_is_not_to_be_believed() {
    let metric = Metric::of("buys", MetricKind::Count, "buy");
    let events = BTreeMap::from([(
        "buy".to_owned(),
        CameIn { watermark: Some(NOW), is_unread: true, ..CameIn::default() },
    )]);
    let failed: Vec<Check> =
        audits(&metric, &events).iter().filter(|audit| !audit.passes()).map(|audit| audit.check).collect();
    assert_eq!(failed, [Check::Intake]);
}
