//! Documents of metrics: what is kept from before, what is refused, and that texts come back as they were.

use super::audits::Audits;
use super::filter::{Filter, FilterOperator, FilterSubject};
use super::kind::{Activity, Of, Part, Returned, Side, StateChange, Tail};
use super::*;

fn of(kind: MetricKind) -> Metric {
    let any_activity = matches!(kind, MetricKind::ActiveDays | MetricKind::StateChange | MetricKind::Ratio);
    let part = || Some(Part { event: "visit".to_owned(), kind: MetricKind::Count, filters: Vec::new() });
    let is = |other| kind == other;
    Metric {
        numerator: is(MetricKind::Ratio).then(part).flatten(),
        denominator: is(MetricKind::Ratio).then(part).flatten(),
        returned: is(MetricKind::Retention).then_some(Returned { from_day: 1, to_day: 7 }),
        tail: is(MetricKind::Quantile).then_some(Tail {
            quantile: 0.95,
            threshold: Some(0.1 + 0.2),
            side: Side::Above,
            of: Of::Events,
        }),
        state: is(MetricKind::StateChange).then_some(StateChange { to: Activity::Churned, days: 7 }),
        ..Metric::of("a", kind, if any_activity { "" } else { "buy" })
    }
}

const KINDS: [MetricKind; 9] = [
    MetricKind::Conversion,
    MetricKind::Count,
    MetricKind::Sum,
    MetricKind::ActiveDays,
    MetricKind::Mean,
    MetricKind::Ratio,
    MetricKind::Retention,
    MetricKind::Quantile,
    MetricKind::StateChange,
];

fn violations(metric: &Metric) -> Vec<String> {
    match metric.check() {
        Ok(()) => Vec::new(),
        Err(Invalid(violations)) => violations.into_iter().map(|violation| violation.field).collect(),
    }
}

#[test]
fn a_document_from_before_has_the_defaults() {
    let text = r#"{"key": "a", "kind": "conversion", "event": "buy", "direction": "higher_is_better",
        "margin": 0.0, "ship_margin": 0.02, "weight": 1.0, "freshness_ms": 300000, "min_units": 100}"#;
    assert_eq!(serde_json::from_str::<Metric>(text).unwrap(), of(MetricKind::Conversion));
}

#[test]
fn every_kind_is_well_formed_and_comes_back_from_its_text() {
    let filter = Filter {
        of: FilterSubject::Attribute,
        name: "country".to_owned(),
        operator: FilterOperator::None,
        values: vec!["DE".to_owned()],
    };
    for kind in KINDS {
        let mut metric = Metric { rare: true, action: Action::Hold, ..of(kind) };
        metric.audits = Audits { max_volume: Some(7.5), ..Audits::default() };
        if !metric.event.is_empty() {
            metric.filters = vec![filter.clone()];
        }
        assert_eq!(violations(&metric), Vec::<String>::new(), "{kind:?}");
        let text = serde_json::to_string(&metric).unwrap();
        assert_eq!(serde_json::from_str::<Metric>(&text).unwrap(), metric, "{text}");
    }
    Metric::free().for_each(|metric| assert_eq!(violations(&metric), Vec::<String>::new()));
}

#[test]
fn what_a_kind_lacks_or_has_too_much_is_named() {
    let as_kind = |kind, from| Metric { kind, ..of(from) };
    let wrong = [
        (
            as_kind(MetricKind::Ratio, MetricKind::Count),
            vec!["metric.event", "metric.numerator", "metric.denominator"],
        ),
        (as_kind(MetricKind::Count, MetricKind::Quantile), vec!["metric.tail"]),
        (as_kind(MetricKind::Retention, MetricKind::Count), vec!["metric.returned"]),
        (Metric { cap: Some(1.0), ..of(MetricKind::Mean) }, vec!["metric.cap"]),
        (Metric { window_ms: Some(1), ..of(MetricKind::Retention) }, vec!["metric.window"]),
        (Metric { covariate_ms: Some(0), ..of(MetricKind::Sum) }, vec!["metric.covariate"]),
        (
            Metric { audits: Audits { min_joined: Some(2.0), ..Audits::default() }, ..of(MetricKind::Sum) },
            vec!["metric.audits.min_joined"],
        ),
        (
            Metric { returned: Some(Returned { from_day: 3, to_day: 2 }), ..of(MetricKind::Retention) },
            vec!["metric.returned"],
        ),
    ];
    for (metric, fields) in wrong {
        assert_eq!(violations(&metric), fields, "{metric:?}");
    }
}
