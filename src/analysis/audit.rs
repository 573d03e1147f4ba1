//! Whether what a metric's events look like can be believed.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::metric::Metric;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// What was checked.
    pub check: Check,
    /// Name of the events that were looked at, where the metric is made from those of several names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// What was found; none where there was too little to tell.
    pub found: Option<f64>,
    /// The least that passes; none where it is not bounded.
    pub least: Option<f64>,
    /// The most that passes; none where it is not bounded.
    pub most: Option<f64>,
}

impl Audit {
    /// What came in could not be read, so that nothing can be said of it.
    pub(super) fn unread() -> Self {
        most(Check::Intake, Some(1.0), 0.0)
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
        if !self.event.is_empty() {
            write!(out, "{}: ", self.event)?;
        }
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
    /// Events that were there already, but for late ones.
    pub duplicates: u64,
    /// Those without a value.
    pub without_value: u64,
    /// Those without a user id.
    pub without_unit: u64,
    /// Those that came long after their time: history that is brought in says nothing of what programs send.
    pub late: u64,
    /// Those whose time is after their arrival.
    pub early: u64,
    /// The least value.
    pub least: Option<f64>,
    /// The greatest value.
    pub greatest: Option<f64>,
}

impl Intake {
    /// Events that were not late.
    fn in_time(&self) -> u64 {
        self.events.saturating_sub(self.late)
    }
}

/// What came in of one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CameIn {
    /// Time of the latest event; none before the first one.
    pub watermark: Option<Timestamp>,
    /// The last day by minute, oldest first.
    pub intake: Vec<Intake>,
    /// Whether that could not be read.
    pub is_unread: bool,
}

/// What is known of a metric besides its moments.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// When it is looked at.
    pub now: Timestamp,
    /// Event time up to which anything has come in.
    pub whole: Timestamp,
    /// What came in of its events, by name.
    pub events: &'k BTreeMap<String, CameIn>,
    /// Whether the units are users, so that an event without a user id is nobody's.
    pub by_user: bool,
    /// Units that count, and those of them with anything.
    pub units: (u64, u64),
    /// Units left out because they were seen in two arms.
    pub in_two_arms: u64,
}

impl Known<'_> {
    /// The time of the latest event that a metric goes by: of the older one of two names, and of any event where its own are
    /// rare or any activity counts. None while one of its names has never come.
    #[must_use]
    pub fn watermark(&self, metric: &Metric) -> Option<Timestamp> {
        let of_name = |name: &&str| self.events.get(*name).and_then(|came_in| came_in.watermark);
        let mut names = own_names(metric).into_iter();
        names.try_fold(self.whole, |least, name| of_name(&name).map(|at| at.min(least)))
    }
}

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// All checks of a metric: of the events of each of its names, then of its units. What is not bounded is told as well.
#[must_use]
pub fn audit(metric: &Metric, known: &Known<'_>) -> Vec<Audit> {
    let names = own_names(metric);
    let mut audits = if names.is_empty() {
        let age = Some(known.now.ms_since(known.whole) as f64);
        vec![most(Check::Freshness, age, metric.freshness_ms as f64)]
    } else {
        Vec::new()
    };
    let nothing = CameIn::default();
    for name in &names {
        let of_name = of_events(metric, name, known.events.get(*name).unwrap_or(&nothing), known);
        let event = if names.len() > 1 { *name } else { "" };
        audits.extend(of_name.into_iter().map(|audit| Audit { event: event.to_owned(), ..audit }));
    }
    let bounds = &metric.audits;
    let (units, joined) = known.units;
    let joined = (units >= MIN_JOINED_OF).then(|| joined as f64 / units as f64);
    audits.push(audit_of(Check::Joined, joined, bounds.min_joined, None));
    let seen = units.saturating_add(known.in_two_arms);
    let twice = (known.in_two_arms >= MIN_IN_TWO_ARMS).then(|| known.in_two_arms as f64 / seen as f64);
    audits.push(most(Check::InTwoArms, twice, bounds.max_in_two_arms.unwrap_or(MAX_IN_TWO_ARMS)));
    audits
}

/// Names of the events that say whether a metric's numbers can be believed, each once; none where its own are rare or any
/// activity counts.
fn own_names(metric: &Metric) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in metric.events().filter(|_| !metric.rare) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The checks of the events of one name.
fn of_events(metric: &Metric, name: &str, came_in: &CameIn, known: &Known<'_>) -> Vec<Audit> {
    let (bounds, now) = (&metric.audits, known.now);
    let since = now.plus_ms(-HOUR_MS);
    let of_hour = || came_in.intake.iter().filter(|intake| intake.minute >= since);
    let sum = |count: fn(&Intake) -> u64| of_hour().map(count).sum::<u64>();
    let (events, in_time) = (sum(|intake| intake.events), sum(Intake::in_time));
    let share = |part: u64, of: u64| (of >= MIN_EVENTS).then(|| part as f64 / of as f64);
    let age = came_in.watermark.map(|at| now.ms_since(at) as f64);
    let volume = volume(&came_in.intake, since, in_time);
    let (min_volume, max_volume) =
        (bounds.min_volume.unwrap_or(MIN_VOLUME), bounds.max_volume.unwrap_or(MAX_VOLUME));
    let duplicates = sum(|intake| intake.duplicates);
    let repeated = share(duplicates, in_time + duplicates);
    let early = share(sum(|intake| intake.early), in_time);
    let without_unit = share(sum(|intake| intake.without_unit), events);
    let usual_without_unit = if known.by_user { MAX_WITHOUT_USER } else { 1.0 };
    let mut audits = vec![
        most(Check::Freshness, age, metric.freshness_ms as f64),
        audit_of(Check::Volume, volume, Some(min_volume), Some(max_volume)),
        most(Check::Duplicates, repeated, bounds.max_duplicates.unwrap_or(MAX_DUPLICATES)),
        most(Check::ClockSkew, early, bounds.max_skewed.unwrap_or(MAX_SKEWED)),
        most(Check::WithoutUnit, without_unit, bounds.max_without_unit.unwrap_or(usual_without_unit)),
    ];
    if metric.uses_values_of(name) {
        let without = share(sum(|intake| intake.without_value), events);
        let most_without = bounds.max_without_value.unwrap_or(MAX_WITHOUT_VALUE);
        audits.push(most(Check::WithoutValue, without, most_without));
        let least = of_hour().filter_map(|intake| intake.least).reduce(f64::min);
        let greatest = of_hour().filter_map(|intake| intake.greatest).reduce(f64::max);
        audits.push(audit_of(Check::ValueRange, least, bounds.min_value, None));
        audits.push(audit_of(Check::ValueRange, greatest, None, bounds.max_value));
    }
    audits.extend(came_in.is_unread.then(Audit::unread));
    audits
}

fn audit_of(check: Check, found: Option<f64>, least: Option<f64>, most: Option<f64>) -> Audit {
    Audit { check, event: String::new(), found, least, most }
}

fn most(check: Check, found: Option<f64>, most: f64) -> Audit {
    audit_of(check, found, None, Some(most))
}

/// Events of the last hour that were not late, in times the mean hour before.
fn volume(intake: &[Intake], since: Timestamp, events: u64) -> Option<f64> {
    let before = || intake.iter().filter(|intake| intake.minute < since && intake.in_time() > 0);
    let hours = since.ms_since(before().next()?.minute) as f64 / HOUR_MS as f64;
    let hourly = before().map(Intake::in_time).sum::<u64>() as f64 / hours;
    (hours >= MIN_HOURS && hourly >= MIN_HOURLY).then(|| events as f64 / hourly)
}
