//! Whether what a metric's events look like can be believed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::metric::{Metric, MetricKind};
use crate::domain::time::Timestamp;

/// Least volume of the last hour, as a share of the mean hour before it.
pub const MIN_VOLUME: f64 = 0.01;
/// Largest volume of the last hour, in times the mean hour before it.
pub const MAX_VOLUME: f64 = 100.0;
/// Largest share of events without a value.
pub const MAX_WITHOUT_VALUE: f64 = 0.5;
/// Largest share of events without a user id, where it is users that are compared.
pub const MAX_WITHOUT_USER: f64 = 0.5;
/// Largest share of repeats.
pub const MAX_DUPLICATES: f64 = 0.5;
/// Largest share of events that came before their time.
pub const MAX_SKEWED: f64 = 0.5;
/// Largest share of units seen in two arms.
pub const MAX_IN_TWO_ARMS: f64 = 0.01;

/// Fewer events than this say nothing of a share.
const MIN_EVENTS: u64 = 100;
/// Volumes below this many events an hour vary too much to be compared.
const MIN_HOURLY: f64 = 1_000.0;
/// Hours of history before the last one that a volume is compared with, at least.
const MIN_HOURS: f64 = 3.0;
/// Fewer units than this in two arms are no matter of a share.
const MIN_IN_TWO_ARMS: u64 = 10;
/// Fewer units than this say nothing of how many did anything.
const MIN_JOINED_OF: u64 = 1_000;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// How old its latest event is, in milliseconds.
    Freshness,
    /// Events of the last hour, in times the mean hour of the day before.
    Volume,
    /// Share of events without a value.
    WithoutValue,
    /// Share of events without a user id.
    WithoutUnit,
    /// The least and the greatest value.
    ValueRange,
    /// Share of repeats.
    Duplicates,
    /// Share of events that came before their time.
    ClockSkew,
    /// Share of exposed units that did anything.
    Joined,
    /// Share of units seen in two arms.
    InTwoArms,
    /// Failed reads of what came in; told only where there were any.
    Intake,
}

impl Check {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Freshness => "freshness",
            Self::Volume => "volume",
            Self::WithoutValue => "without_value",
            Self::WithoutUnit => "without_unit",
            Self::ValueRange => "value_range",
            Self::Duplicates => "duplicates",
            Self::ClockSkew => "clock_skew",
            Self::Joined => "joined",
            Self::InTwoArms => "in_two_arms",
            Self::Intake => "intake",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Freshness => "milliseconds since the latest event",
            Self::Volume => "events of the last hour, in times the mean hour before",
            Self::WithoutValue => "share of events without a value",
            Self::WithoutUnit => "share of events without a user id",
            Self::ValueRange => "value",
            Self::Duplicates => "share of repeated events",
            Self::ClockSkew => "share of events before their time",
            Self::Joined => "share of units with anything",
            Self::InTwoArms => "share of units seen in two arms",
            Self::Intake => "the number of failed reads of what came in",
        })
    }
}

/// One check of one metric, with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// What was checked.
    pub check: Check,
    /// What was found; none where there was too little to tell.
    pub found: Option<f64>,
    /// The least that passes; none where it is not bounded.
    pub least: Option<f64>,
    /// The most that passes; none where it is not bounded.
    pub most: Option<f64>,
}

impl Audit {
    /// What came in could not be read, so that nothing can be said of it.
    #[must_use]
    pub fn unread() -> Self {
        Self { check: Check::Intake, found: Some(1.0), least: None, most: Some(0.0) }
    }

    /// Whether it passes. Too little to tell passes: the judge has its own burn-in.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.found.is_none_or(|found| {
            self.least.is_none_or(|least| found >= least) && self.most.is_none_or(|most| found <= most)
        })
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.check)?;
        if let Some(found) = self.found {
            write!(out, " is {found}")?;
        }
        if let Some(least) = self.least {
            write!(out, ", at least {least} expected")?;
        }
        if let Some(most) = self.most {
            write!(out, ", at most {most} expected")?;
        }
        Ok(())
    }
}

/// What came in of an event's name in one minute of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intake {
    /// When the minute began.
    pub minute: Timestamp,
    /// Events.
    pub events: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Those without a value.
    pub without_value: u64,
    /// Those without a user id.
    pub without_unit: u64,
    /// Those whose time is after their arrival.
    pub early: u64,
    /// The least value.
    pub least: Option<f64>,
    /// The greatest value.
    pub greatest: Option<f64>,
}

/// What is known of a metric besides its moments.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// When it is looked at.
    pub now: Timestamp,
    /// Time of the latest event of the metric's own name, or of the whole stream where that is what counts; none where
    /// nothing has come in yet.
    pub watermark: Option<Timestamp>,
    /// What came in of its events in the last day, oldest first.
    pub intake: &'k [Intake],
    /// Whether the units are users, so that an event without a user id is nobody's.
    pub by_user: bool,
    /// Units that count, and those of them with anything.
    pub units: (u64, u64),
    /// Units left out because they were seen in two arms.
    pub in_two_arms: u64,
}

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// All checks of a metric. What is not bounded is told as well.
#[must_use]
pub fn audit(metric: &Metric, known: &Known<'_>) -> Vec<Audit> {
    let bounds = &metric.audits;
    let since = known.now.plus_ms(-HOUR_MS);
    let of_hour = || known.intake.iter().filter(|intake| intake.minute >= since);
    let sum = |count: fn(&Intake) -> u64| of_hour().map(count).sum::<u64>();
    let events = sum(|intake| intake.events);
    let share = |part: u64, of: u64| (of >= MIN_EVENTS).then(|| part as f64 / of as f64);
    let most = |check, found, most| Audit { check, found, least: None, most: Some(most) };
    let age = known.watermark.map(|at| known.now.ms_since(at) as f64);
    let mut audits = vec![most(Check::Freshness, age, metric.freshness_ms as f64)];
    if !metric.rare && metric.events().next().is_some() {
        audits.push(Audit {
            check: Check::Volume,
            found: volume(known, since, events),
            least: Some(bounds.min_volume.unwrap_or(MIN_VOLUME)),
            most: Some(bounds.max_volume.unwrap_or(MAX_VOLUME)),
        });
        let duplicates = sum(|intake| intake.duplicates);
        let repeated = share(duplicates, events + duplicates);
        audits.push(most(Check::Duplicates, repeated, bounds.max_duplicates.unwrap_or(MAX_DUPLICATES)));
        let early = share(sum(|intake| intake.early), events);
        audits.push(most(Check::ClockSkew, early, bounds.max_skewed.unwrap_or(MAX_SKEWED)));
        let without_unit = share(sum(|intake| intake.without_unit), events);
        let usual = if known.by_user { MAX_WITHOUT_USER } else { 1.0 };
        audits.push(most(Check::WithoutUnit, without_unit, bounds.max_without_unit.unwrap_or(usual)));
        if uses_values(metric) {
            let without = share(sum(|intake| intake.without_value), events);
            audits.push(most(
                Check::WithoutValue,
                without,
                bounds.max_without_value.unwrap_or(MAX_WITHOUT_VALUE),
            ));
            let least = of_hour().filter_map(|intake| intake.least).reduce(f64::min);
            let greatest = of_hour().filter_map(|intake| intake.greatest).reduce(f64::max);
            let range = |found, least, most| Audit { check: Check::ValueRange, found, least, most };
            audits.push(range(least, bounds.min_value, None));
            audits.push(range(greatest, None, bounds.max_value));
        }
    }
    let (units, joined) = known.units;
    let joined = (units >= MIN_JOINED_OF).then(|| joined as f64 / units as f64);
    audits.push(Audit { check: Check::Joined, found: joined, least: bounds.min_joined, most: None });
    let seen = units.saturating_add(known.in_two_arms);
    let twice = (known.in_two_arms >= MIN_IN_TWO_ARMS).then(|| known.in_two_arms as f64 / seen as f64);
    audits.push(most(Check::InTwoArms, twice, bounds.max_in_two_arms.unwrap_or(MAX_IN_TWO_ARMS)));
    audits
}

/// Events of the last hour in times the mean hour before.
fn volume(known: &Known<'_>, since: Timestamp, events: u64) -> Option<f64> {
    let before = || known.intake.iter().filter(|intake| intake.minute < since);
    let hours = since.ms_since(before().next()?.minute) as f64 / HOUR_MS as f64;
    let hourly = before().map(|intake| intake.events).sum::<u64>() as f64 / hours;
    (hours >= MIN_HOURS && hourly >= MIN_HOURLY).then(|| events as f64 / hourly)
}

fn uses_values(metric: &Metric) -> bool {
    matches!(metric.kind, MetricKind::Sum | MetricKind::Mean | MetricKind::Quantile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::metric::audits::Audits;

    const NOW: Timestamp = Timestamp(100 * HOUR_MS);

    /// So many events a minute over the last hours.
    fn steady(hours: i64, events: u64) -> Vec<Intake> {
        let minute = |minute| Intake { minute: NOW.plus_ms(-60_000 * minute), events, ..Intake::default() };
        (1..=hours * 60).rev().map(minute).collect()
    }

    fn failed(metric: &Metric, intake: &[Intake], units: (u64, u64), in_two_arms: u64) -> Vec<Check> {
        let (now, watermark, by_user) = (NOW, Some(NOW), true);
        let known = Known { now, watermark, intake, by_user, units, in_two_arms };
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
    fn events_of_other_units_than_users_need_no_user_id() {
        let nobody = |minute: Intake| Intake { without_unit: minute.events, ..minute };
        let intake: Vec<Intake> = steady(24, 100).into_iter().map(nobody).collect();
        let (now, watermark, by_user) = (NOW, Some(NOW), false);
        let known = Known { now, watermark, intake: &intake, by_user, units: (5_000, 400), in_two_arms: 3 };
        let audits = audit(&Metric::of("buys", MetricKind::Count, "buy"), &known);
        assert!(audits.iter().all(Audit::passes), "{audits:?}");
    }

    #[test]
    fn old_events_are_stale() {
        let metric = Metric::of("buys", MetricKind::Count, "buy");
        let known = Known {
            now: NOW,
            watermark: Some(NOW.plus_ms(-metric.freshness_ms - 1)),
            intake: &[],
            by_user: true,
            units: (0, 0),
            in_two_arms: 0,
        };
        let failed: Vec<Audit> = audit(&metric, &known).into_iter().filter(|audit| !audit.passes()).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(
            failed[0].to_string(),
            "milliseconds since the latest event is 300001, at most 300000 expected"
        );
    }
}
