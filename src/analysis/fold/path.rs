//! A unit's outcome as event time goes on.

use super::measure::Measure;
use super::sums::Values;
use super::track::{Tracks, share, with_covariate};
use crate::analysis::history::{Deed, History};
use crate::domain::metric::MetricKind;
use crate::domain::metric::kind::{Activity, Returned, StateChange};
use crate::domain::time::{DAY_MS, Timestamp};

/// Outcomes that are known after some days are known from the next full hour, so that they fall in few buckets.
const HOUR_MS: i64 = 3_600_000;

/// What was stored of a unit up to an arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'h> {
    pub history: &'h History,
    pub arrival: i64,
}

impl<'h> Seen<'h> {
    fn events(self) -> impl Iterator<Item = &'h Deed> {
        self.history.events.iter().filter(move |deed| deed.arrival <= self.arrival)
    }

    fn days(self) -> impl Iterator<Item = i64> {
        self.history.days.iter().filter(move |day| day.arrival <= self.arrival).map(|day| day.day)
    }
}

/// The values of a unit that was first exposed at a moment: when it begins to count, and after each change.
pub(super) fn path(measure: &Measure<'_>, seen: Seen<'_>, first_at: Timestamp) -> Vec<(Timestamp, Values)> {
    let metric = &measure.metric;
    let known = |at: Timestamp, holds: bool| vec![(at, [share(holds), 0.0, 0.0, 0.0])];
    match metric.kind {
        MetricKind::ActiveDays => active_days(measure, seen, first_at),
        MetricKind::Retention => metric.returned.map_or_else(Vec::new, |returned| {
            let (at, holds) = retention(&metric.event, returned, measure, seen, first_at);
            known(at, holds)
        }),
        MetricKind::StateChange => metric.state.map_or_else(Vec::new, |state| {
            let end = first_at.day().saturating_add(i64::from(state.days) + 1);
            known(Timestamp(end.saturating_mul(DAY_MS)), changed(state, seen, first_at))
        }),
        _ => Tracks::of(measure).map_or_else(Vec::new, |tracks| tracked(measure, &tracks, seen, first_at)),
    }
}

/// Totals of events.
fn tracked(
    measure: &Measure<'_>,
    tracks: &Tracks<'_>,
    seen: Seen<'_>,
    first_at: Timestamp,
) -> Vec<(Timestamp, Values)> {
    let covariate = measure.metric.covariate_ms.map(|back| {
        let from = first_at.plus_ms(-back);
        let mut totals = [0.0; 2];
        for deed in seen.events().filter(|deed| deed.at >= from && deed.at < first_at) {
            tracks.add(&mut totals, deed);
        }
        tracks.values(totals)
    });
    let values = |totals| with_covariate(tracks.values(totals), covariate, tracks.is_ratio());
    let end = measure.watched_ms().map(|window| first_at.plus_ms(window));
    let mut totals = [0.0; 2];
    let mut path = vec![(first_at, values(totals))];
    for deed in seen.events().filter(|deed| deed.at >= first_at && end.is_none_or(|end| deed.at < end)) {
        if tracks.add(&mut totals, deed) {
            path.push((deed.at, values(totals)));
        }
    }
    path
}

/// The days on which a unit did anything; a day counts from its beginning.
fn active_days(measure: &Measure<'_>, seen: Seen<'_>, first_at: Timestamp) -> Vec<(Timestamp, Values)> {
    let cap = measure.metric.cap.unwrap_or(f64::INFINITY);
    let first_day = first_at.day();
    let begin = |day: i64| Timestamp(day.saturating_mul(DAY_MS));
    let covariate = measure.metric.covariate_ms.map(|back| {
        let from = first_at.plus_ms(-back);
        let before = seen.days().filter(|day| begin(*day) >= from && *day < first_day).count();
        [(before as f64).min(cap), 0.0]
    });
    let values = |days: f64| with_covariate([days.min(cap), 0.0], covariate, false);
    let end = measure.watched_ms().map(|window| first_at.plus_ms(window));
    let mut path = vec![(first_at, values(0.0))];
    let mut count = 0.0;
    for day in seen.days().filter(|day| *day >= first_day && end.is_none_or(|end| begin(*day) < end)) {
        count += 1.0;
        path.push((begin(day).max(first_at), values(count)));
    }
    path
}

/// Whether a unit returned, and when that is known: by an event within its own days of 24 hours, or by any activity on
/// UTC days.
fn retention(
    event: &str,
    Returned { from_day, to_day }: Returned,
    measure: &Measure<'_>,
    seen: Seen<'_>,
    first_at: Timestamp,
) -> (Timestamp, bool) {
    let (from_day, end_day) = (i64::from(from_day), i64::from(to_day) + 1);
    if event.is_empty() {
        let first = first_at.day();
        let returned = seen.days().any(|day| day >= first + from_day && day < first + end_day);
        return (Timestamp((first + end_day).saturating_mul(DAY_MS)), returned);
    }
    let (from, end) = (first_at.plus_ms(from_day * DAY_MS), first_at.plus_ms(end_day * DAY_MS));
    let passes = |deed: &Deed| {
        let mut filters = measure.metric.filters.iter();
        deed.name == event && filters.all(|filter| filter.passes(&deed.properties, &deed.attributes))
    };
    let returned = seen.events().any(|deed| deed.at >= from && deed.at < end && passes(deed));
    (Timestamp(end.plus_ms(HOUR_MS - 1).0.div_euclid(HOUR_MS).saturating_mul(HOUR_MS)), returned)
}

/// Whether a unit's activity changed as asked.
fn changed(StateChange { to, days }: StateChange, seen: Seen<'_>, first_at: Timestamp) -> bool {
    let (day, days) = (first_at.day(), i64::from(days));
    let active = |from: i64, to: i64| seen.days().any(|active| active >= from && active < to);
    let (before, after) = (active(day - days, day), active(day + 1, day + days + 1));
    let earlier = active(i64::MIN, day - days);
    match to {
        Activity::Churned => before && !after,
        Activity::Resurrected => !before && earlier && after,
        Activity::Stale => !before && !after,
        Activity::New => !before && !earlier && after,
    }
}
