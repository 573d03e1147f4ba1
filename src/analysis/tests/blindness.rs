//! Since when a metric is blind.

use super::*;
use crate::analysis::audit::{Audit, Check};
use crate::analysis::published::{Audited, Published};

/// What is published after the checks of the only guardrail failed, or did not.
fn publish(at: Timestamp, failed: &[Check], before: Option<&Published>) -> Published {
    let launch = ramp(Needs::Time);
    let audits = failed.iter().map(|check| Audit { check: *check, ..Audit::unread() }).collect();
    let audited = Audited { as_of: Some(at), watermark: Some(at), audits };
    let found = measured(&launch, &[moments(1_000, 100); 2]);
    Published::publish(launch.id, at, found, BTreeMap::from([("buys".to_owned(), audited)]), before)
}

fn since(published: &Published) -> Option<Timestamp> {
    published.measurement.blind["buys"].since
}

#[test]
fn it_is_kept_for_as_long_as_the_metric_stays_blind_for_whatever_reason() {
    let minute = |minute: i64| NOW.plus_ms(60_000 * minute);
    let first = publish(minute(0), &[Check::Volume], None);
    let second = publish(minute(1), &[Check::Freshness], Some(&first));
    assert_eq!((since(&first), since(&second)), (Some(minute(0)), Some(minute(0))));
    let well = publish(minute(2), &[], Some(&second));
    assert!(well.measurement.blind.is_empty());
    let again = publish(minute(3), &[Check::Volume], Some(&well));
    assert_eq!(since(&again), Some(minute(3)));
}

#[test]
fn a_held_launch_says_since_when_each_metric_is_blind() {
    let launch = ramp(Needs::Time);
    let said = |measurement: Option<&Measurement>, now: Timestamp| {
        let found = judge(&launch, measurement, now);
        plan(&launch, &found, None, now).reasons.into_iter().map(|reason| reason.message).collect::<Vec<_>>()
    };
    let start = format!("; blind since {}", START.rfc3339());
    let enough = measured(&launch, &[moments(1_000, 100); 2]);
    for too_little in [None, Some(measured(&launch, &[moments(20, 2); 2]))] {
        let reasons = said(too_little.as_ref(), NOW);
        assert!(reasons[0].ends_with(&start), "{reasons:?}");
    }
    let published = publish(NOW.plus_ms(-60_000), &[Check::Volume], None).measurement;
    let audited = said(Some(&published), NOW);
    let minute_ago = format!("; blind since {}", NOW.plus_ms(-60_000).rfc3339());
    assert!(audited[0].ends_with(&minute_ago), "{audited:?}");
    let freshness_ms = launch.metrics[0].metric.freshness_ms;
    let stale = said(Some(&enough), NOW.plus_ms(freshness_ms + 60_000));
    let expected = format!("; blind since {}", NOW.plus_ms(freshness_ms).rfc3339());
    assert!(stale[0].ends_with(&expected), "{stale:?}");
}
