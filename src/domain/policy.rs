//! A policy: what every launch of an environment has to bring along, and how it is judged.

use serde::{Deserialize, Serialize};

use super::key::{check_document, check_key, check_texts};
use super::metric::GUARDRAIL_TAG;
use super::ramp::{Step, check_steps};
use super::stored::Document;
use super::time::DAY_MS;
use super::violation::{Checks, Invalid};

/// Chance of a false rollback over a whole launch, where no policy says otherwise.
pub const ALPHA: f64 = 0.05;
/// Evidence of 1 over this holds a launch, where no policy says otherwise.
pub const ALPHA_HOLD: f64 = 0.20;
/// Stands for every principal.
pub const ANYONE: &str = "*";
/// Environment of a server that is not told another.
pub const DEFAULT_ENVIRONMENT: &str = "production";
/// Most attributes by which a policy tells units apart.
pub const MAX_SEGMENT_COLUMNS: usize = 10;
/// Longest time that evidence must cover.
const MAX_CYCLE_MS: i64 = 365 * DAY_MS;
/// Longest holdback.
const MAX_HOLDBACK_MS: i64 = 365 * DAY_MS;

/// A policy as people write it. Its key is the environment that it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The environment.
    pub key: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Tags of the metrics that every launch gets as guardrails.
    #[serde(default = "guardrail_tags")]
    pub guardrail_tags: Vec<String>,
    /// Tags of metrics that no launch can do without. Where no metric in use has one of them, no launch begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_tags: Vec<String>,
    /// Whether a launch needs a guardrail at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_guardrails: bool,
    /// Chance of a false rollback over a whole launch, in (0, 0.5].
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// Evidence of 1 over this holds a launch, in [alpha, 1).
    #[serde(default = "alpha_hold")]
    pub alpha_hold: f64,
    /// The least units in the smaller arm before evidence counts, where a metric asks for fewer.
    #[serde(default, skip_serializing_if = "is_none")]
    pub min_units: u64,
    /// The steps on the way to a percentage, where a raise names none; empty goes there at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramp: Vec<Step>,
    /// Who stays without the treatment for a while after everyone else has got it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdback: Option<Holdback>,
    /// What becomes of steps that need only time while a guardrail is neither shown harmful nor shown safe.
    #[serde(default)]
    pub undecided: Undecided,
    /// Principals who may resolve latches; `*` is everyone with a name.
    #[serde(default = "anyone")]
    pub resolvers: Vec<String>,
    /// Principals who may override; `*` is everyone with a name.
    #[serde(default = "anyone")]
    pub overriders: Vec<String>,
    /// The guard says what it would do with launches under it, and does nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Keys of metrics that are guardrails for show: what they would do is said, and not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadow_guardrails: Vec<String>,
    /// Attributes of users by whose values guardrails are watched apart and results are told apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// How much time evidence must cover before it lets a launch go on. Where a policy does not say, its launches begin with what
    /// is usual; one that began before there was any has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
}

/// How much time evidence must cover before it lets a launch go on: people do not do on Sundays what they do on Mondays, nor
/// at night what they do by day. Steps that need only time are not kept by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// Since the step began, where the next one needs evidence; in milliseconds.
    #[serde(default = "day")]
    pub step_ms: i64,
    /// Since the launch began, where by evidence everyone is to get the treatment: a group that is shipped, or a step to 100
    /// percent; in milliseconds.
    #[serde(default = "week")]
    pub ship_ms: i64,
}

impl Default for Cycle {
    fn default() -> Self {
        Self { step_ms: day(), ship_ms: week() }
    }
}

impl Cycle {
    /// Evidence counts whenever it is there.
    pub const NONE: Self = Self { step_ms: 0, ship_ms: 0 };
}

/// A share that stays without the treatment for a while at the end of a ramp to everyone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holdback {
    /// Share of units, above 0 and at most 50.
    pub percentage: f64,
    /// For how long, in milliseconds.
    pub duration_ms: i64,
}

impl Default for Holdback {
    fn default() -> Self {
        Self { percentage: 5.0, duration_ms: 7 * DAY_MS }
    }
}

/// What becomes of a step that needs only time while a guardrail is undecided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undecided {
    /// The next one is taken.
    #[default]
    GoOn,
    /// It waits until every guardrail is shown safe.
    Hold,
}

/// A policy as a launch began with it, and keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PinnedPolicy {
    /// The policy.
    pub policy: Policy,
    /// Its revision; 0 for the one that is built in.
    pub revision: i64,
}

impl Default for PinnedPolicy {
    fn default() -> Self {
        Self { policy: Policy::built_in(DEFAULT_ENVIRONMENT), revision: 0 }
    }
}

fn guardrail_tags() -> Vec<String> {
    vec![GUARDRAIL_TAG.to_owned()]
}

fn alpha() -> f64 {
    ALPHA
}

fn alpha_hold() -> f64 {
    ALPHA_HOLD
}

fn day() -> i64 {
    DAY_MS
}

fn week() -> i64 {
    7 * DAY_MS
}

fn anyone() -> Vec<String> {
    vec![ANYONE.to_owned()]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over this way")]
fn is_none(units: &u64) -> bool {
    *units == 0
}

impl Policy {
    /// What holds in an environment that has no policy of its own.
    #[must_use]
    pub fn built_in(environment: &str) -> Self {
        Self {
            key: environment.to_owned(),
            description: String::new(),
            owner: String::new(),
            guardrail_tags: guardrail_tags(),
            required_tags: Vec::new(),
            require_guardrails: false,
            alpha: ALPHA,
            alpha_hold: ALPHA_HOLD,
            min_units: 0,
            ramp: Vec::new(),
            holdback: None,
            undecided: Undecided::GoOn,
            resolvers: anyone(),
            overriders: anyone(),
            shadow: false,
            shadow_guardrails: Vec::new(),
            segments: Vec::new(),
            cycle: None,
        }
    }

    /// Whether it plans steps of its own.
    #[must_use]
    pub fn plans_steps(&self) -> bool {
        !self.ramp.is_empty() || self.holdback.is_some()
    }

    /// The steps from a percentage in force to a higher one: those of its ramp on the way.
    #[must_use]
    pub fn steps(&self, from: f64, to: f64) -> Vec<Step> {
        let on_the_way = self.ramp.iter().filter(|step| step.percentage > from && step.percentage < to);
        on_the_way.cloned().chain([Step::at_once(to)]).collect()
    }

    /// Steps from a percentage in force, with the holdback before everyone gets the treatment. It takes the place of steps
    /// that would leave fewer units to compare with.
    #[must_use]
    pub fn held_back(&self, from: f64, mut steps: Vec<Step>) -> Vec<Step> {
        let ends_with_everyone = steps.last().is_some_and(|step| step.percentage >= 100.0);
        let Some(holdback) = self.holdback.filter(|_| ends_with_everyone && from < 100.0) else {
            return steps;
        };
        let percentage = from.max(100.0 - holdback.percentage);
        steps.retain(|step| step.percentage < percentage);
        steps.push(Step { min_duration_ms: holdback.duration_ms, ..Step::at_once(percentage) });
        steps.push(Step::at_once(100.0));
        steps
    }
}

/// Each column costs evidence and cells, so that there are few.
fn check_segments(checks: &mut Checks, columns: &[String]) {
    let field = "policy.segments";
    checks.require(
        columns.len() <= MAX_SEGMENT_COLUMNS,
        field,
        format!("must have at most {MAX_SEGMENT_COLUMNS} entries, has {}", columns.len()),
    );
    check_texts(checks, field, columns);
    for (index, column) in columns.iter().enumerate() {
        let is_new = !columns.iter().take(index).any(|earlier| earlier == column);
        checks.require(is_new, format!("{field}[{index}]"), format!("`{column}` is named twice"));
        let is_plain = !column.contains('=');
        checks.require(is_plain, format!("{field}[{index}]"), "must not contain `=`");
    }
}

/// Whether a principal is on a list.
#[must_use]
pub fn is_listed(list: &[String], principal: &str) -> bool {
    list.iter().any(|listed| listed == ANYONE || listed == principal)
}

impl Document for Policy {
    const KIND: &'static str = "policy";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "policy", &self.key, prose, &self.owner, &[]);
        check_texts(&mut checks, "policy.guardrail_tags", &self.guardrail_tags);
        check_texts(&mut checks, "policy.required_tags", &self.required_tags);
        check_texts(&mut checks, "policy.resolvers", &self.resolvers);
        check_texts(&mut checks, "policy.overriders", &self.overriders);
        for (index, key) in self.shadow_guardrails.iter().enumerate() {
            check_key(&mut checks, &format!("policy.shadow_guardrails[{index}]"), key);
        }
        check_segments(&mut checks, &self.segments);
        let alpha = self.alpha > 0.0 && self.alpha <= 0.5;
        checks.require(alpha, "policy.alpha", format!("must be above 0 and at most 0.5, is {}", self.alpha));
        let hold = self.alpha_hold >= self.alpha && self.alpha_hold < 1.0;
        checks.require(
            hold,
            "policy.alpha_hold",
            format!("must be at least alpha and below 1, is {}", self.alpha_hold),
        );
        checks.require(self.min_units <= 1_000_000_000, "policy.min_units", "must be at most 1,000,000,000");
        if !self.ramp.is_empty() {
            checks.absorb(check_steps("policy.ramp", &self.ramp));
            let starts = self.ramp.first().is_some_and(|step| step.percentage > 0.0);
            checks.require(starts, "policy.ramp[0].percentage", "must be above 0");
        }
        if let Some(Holdback { percentage, duration_ms }) = self.holdback {
            checks.require(
                percentage > 0.0 && percentage <= 50.0,
                "policy.holdback.percentage",
                format!("must be above 0 and at most 50, is {percentage}"),
            );
            checks.require(
                (1..=MAX_HOLDBACK_MS).contains(&duration_ms),
                "policy.holdback.duration",
                "must be from 1 ms to 365 days",
            );
        }
        let cycle = self.cycle.unwrap_or_default();
        for (field, length_ms) in [("policy.cycle.step", cycle.step_ms), ("policy.cycle.ship", cycle.ship_ms)]
        {
            checks.require((0..=MAX_CYCLE_MS).contains(&length_ms), field, "must be from 0 to 365 days");
        }
        checks.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentages(steps: &[Step]) -> Vec<f64> {
        steps.iter().map(|step| step.percentage).collect()
    }

    #[test]
    fn a_ramp_is_entered_where_the_percentage_in_force_is() {
        let ramp = [1.0, 10.0, 50.0].map(Step::at_once).to_vec();
        let policy = Policy { ramp, ..Policy::built_in("production") };
        assert_eq!(percentages(&policy.steps(0.0, 100.0)), [1.0, 10.0, 50.0, 100.0]);
        assert_eq!(percentages(&policy.steps(10.0, 50.0)), [50.0]);
        assert_eq!(percentages(&policy.steps(0.0, 0.5)), [0.5]);
    }

    #[test]
    fn a_holdback_of_which_nothing_is_said_is_of_five_percent_for_a_week() {
        let of = |text: &str| serde_json::from_str::<Holdback>(text).unwrap();
        assert_eq!(of("{}"), Holdback { percentage: 5.0, duration_ms: 7 * DAY_MS });
        assert_eq!(of("{\"percentage\": 10}"), Holdback { percentage: 10.0, duration_ms: 7 * DAY_MS });
    }

    #[test]
    fn a_holdback_comes_before_everyone_and_leaves_as_many_to_compare_with_as_it_says() {
        let holdback = Some(Holdback { percentage: 5.0, duration_ms: DAY_MS });
        let policy = Policy { holdback, ..Policy::built_in("production") };
        let steps = |shares: &[f64]| shares.iter().copied().map(Step::at_once).collect::<Vec<_>>();
        let held = |from: f64, shares: &[f64]| percentages(&policy.held_back(from, steps(shares)));
        assert_eq!(held(0.0, &[100.0]), [95.0, 100.0]);
        assert_eq!(held(0.0, &[50.0, 98.0, 100.0]), [50.0, 95.0, 100.0]);
        assert_eq!(held(97.0, &[100.0]), [97.0, 100.0]);
        assert_eq!(held(0.0, &[50.0, 98.0]), [50.0, 98.0]);
        assert_eq!(held(100.0, &[100.0]), [100.0]);
        assert_eq!(policy.held_back(0.0, steps(&[100.0]))[0].min_duration_ms, DAY_MS);
    }
}
