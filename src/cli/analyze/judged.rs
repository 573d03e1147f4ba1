//! A file as the guard sees it: a launch of one step, what was measured of it at each look, and what the guard says.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::AnalyzeArgs;
use super::guardrail::Guardrail;
use super::measure::{Arm, Arms};
use crate::analysis::decision::Judgement;
use crate::analysis::influence::{Left, left_without_one_bucket};
use crate::analysis::judge::judge;
use crate::analysis::measurement::{ArmMoments, ArmUnits, KEPT_BUCKETS, Measurement, Past};
use crate::analysis::plan::{Plan, plan};
use crate::domain::launch::{Launch, LaunchId, LaunchPlan, Needs, Step, Target};
use crate::domain::policy::Cycle;
use crate::domain::time::Timestamp;
use crate::stats::outcome::Outcome;

/// When everything begins. A table has no times: all of it is of this moment, and nothing is stale.
const START: Timestamp = Timestamp(0);
/// The one stretch of allocation that a file is taken for.
const EPOCH: u32 = 1;

/// What the guard says of one look.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    pub(super) plan: Plan,
    /// What is left without the bucket that carries most; none where there are no buckets.
    pub(super) left: Option<Left>,
}

/// The launch that a file is the record of: one step, one epoch, and evidence needed to go on.
pub(super) fn launch(args: &AnalyzeArgs, treatments: &[String], guardrails: &[Guardrail]) -> Launch {
    let plan = LaunchPlan {
        id: LaunchId(Uuid::nil()),
        target: Target::Experiment { experiment: args.file.display().to_string() },
        unit_type: args.unit.clone().unwrap_or_default(),
        steps: vec![Step { needs: Needs::Evidence, ..Step::at_once(100.0) }],
        arms: [&args.control].into_iter().chain(treatments).cloned().collect(),
        metrics: guardrails.iter().map(Guardrail::pinned).collect(),
        rollback_percentage: 0.0,
        principal: String::new(),
    };
    let mut launch = Launch { alpha: args.alpha, ..Launch::begin(plan, START) };
    // How much of the calendar a file covers is for those who have it.
    launch.policy.policy.cycle = Some(Cycle::NONE);
    launch
}

/// Judges a table, whose units are all of one moment.
pub(super) fn judge_table(launch: &mut Launch, arms: &Arms, shares: &BTreeMap<String, f64>) -> Judged {
    let units = of_launch(launch, arms).map(|(name, arm)| ArmUnits {
        epoch: EPOCH,
        arm: name.to_owned(),
        units: arm.units,
    });
    let measurement = Measurement {
        units: units.collect(),
        shares: shares.clone(),
        ..measurement(launch, START, None, |index| row(arms, index, Vec::new()))
    };
    look(launch, &measurement, START)
}

/// Judges look by look, each knowing those before it. One look is one tick, and what it added is one bucket.
pub(super) fn judge_looks<'l>(
    launch: &mut Launch,
    looks: impl Iterator<Item = &'l Arms>,
    shares: &BTreeMap<String, f64>,
) -> Vec<Judged> {
    let mut past: Vec<(Timestamp, &Arms)> = Vec::new();
    let mut judged = Vec::new();
    for (index, arms) in looks.enumerate() {
        let now = START.plus_ms(i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1));
        let kept_from = START.max(now.plus_ms(-KEPT_BUCKETS));
        past.retain(|(at, _)| *at >= kept_from);
        let found = measurement(launch, now, Some(kept_from), |index| {
            let then = past.iter().map(|(at, arms)| (*at, *arms)).collect();
            row(arms, index, then)
        });
        let measurement = Measurement { shares: shares.clone(), ..found };
        judged.push(look(launch, &measurement, now));
        past.push((now, arms));
    }
    judged
}

/// One look of the guard, after which the launch keeps what later looks need.
fn look(launch: &mut Launch, measurement: &Measurement, now: Timestamp) -> Judged {
    let judgement = judge(launch, Some(measurement), now);
    let plan = plan(launch, &judgement, None, now);
    let left = left_without_one_bucket(launch, measurement);
    judgement.note_in(launch);
    Judged { judgement, plan, left }
}

/// Everything up to `now`, with the rows of each guardrail's arms.
fn measurement<R: Fn(&str) -> ArmMoments>(
    launch: &Launch,
    now: Timestamp,
    kept_from: Option<Timestamp>,
    row: impl Fn(usize) -> R,
) -> Measurement {
    let of_metric = |index: usize| {
        let row = row(index);
        launch.arms.iter().map(|arm| row(&arm.name)).filter(|row| row.moments.n() > 0).collect()
    };
    let metrics = launch.metrics.iter().enumerate();
    let metrics = metrics.map(|(index, pinned)| (pinned.metric.key.clone(), of_metric(index)));
    // How many units a day come is not known, and left out.
    Measurement {
        as_of: now,
        watermark: now,
        kept_from,
        stripped: BTreeSet::new(),
        metrics: metrics.collect(),
        ..Measurement::default()
    }
}

/// The rows of one guardrail: what is known of an arm now, and what was at earlier looks.
fn row<'a>(
    now: &'a Arms,
    guardrail: usize,
    past: Vec<(Timestamp, &'a Arms)>,
) -> impl Fn(&str) -> ArmMoments + 'a {
    move |name| {
        let of = |arms: &Arms| arms.get(name).map(|arm| arm.outcome(guardrail)).unwrap_or_default();
        let then = |(at, arms): &(Timestamp, &Arms)| {
            let moments: Outcome = of(arms);
            Past { at: *at, moments, settled: moments }
        };
        let moments = of(now);
        ArmMoments {
            epoch: EPOCH,
            week: 0,
            arm: name.to_owned(),
            moments,
            settled: moments,
            past: past.iter().map(then).collect(),
        }
    }
}

/// The launch's arms that the file has.
fn of_launch<'a>(launch: &'a Launch, arms: &'a Arms) -> impl Iterator<Item = (&'a str, &'a Arm)> {
    launch.arms.iter().filter_map(|arm| Some((arm.name.as_str(), arms.get(&arm.name)?)))
}
