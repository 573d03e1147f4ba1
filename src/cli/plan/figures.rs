//! The figures of a plan.

use serde::Serialize;

use super::PlanArgs;
use crate::analysis::judge::ALPHA_SAFE;
use crate::stats::effect::Alternative;
use crate::stats::planning::{Plan, joint_power};
use crate::stats::sequential_planning::{Noise, SequentialPlan};
use crate::stats::undefined::Undefined;

/// Shares of launches by which delays are told.
const FOUND_BY: [f64; 4] = [0.1, 0.5, 0.8, 0.95];

/// A plan.
#[derive(Debug, Serialize)]
pub(super) struct PlanReport {
    /// Standard deviation over mean.
    pub(super) variation: f64,
    /// c = CV²(1 + n_T/n_C)(1 − ρ²): the squared error of a relative effect times the units of the treatment.
    pub(super) noise: f64,
    /// Share of the treatment.
    pub(super) share: f64,
    /// Units a day, of both arms together.
    pub(super) daily: Option<f64>,
    pub(super) alpha: f64,
    /// The part of alpha that one guardrail in one arm has.
    pub(super) level: f64,
    pub(super) power: f64,
    pub(super) harm: Vec<HarmPlan>,
    pub(super) safety: SafetyPlan,
    /// The smallest effects that a number of units shows.
    pub(super) detectable: Option<Detectable>,
}

/// When harm of one size is found.
#[derive(Debug, Serialize)]
pub(super) struct HarmPlan {
    /// As a share of the control's mean.
    pub(super) effect: f64,
    /// With the plan's power.
    pub(super) every_look: Sizes,
    pub(super) one_look: Sizes,
    /// How many times the units of one planned look the looking costs.
    pub(super) inflation: f64,
    /// By when which share of launches is found out.
    pub(super) delays: Vec<Delay>,
    /// The mean over launches.
    pub(super) mean: Sizes,
}

/// A share of launches that is found out with so many units.
#[derive(Debug, Serialize)]
pub(super) struct Delay {
    pub(super) found: f64,
    #[serde(flatten)]
    pub(super) sizes: Sizes,
}

/// When harm as large as the ship margin is excluded, if there is no difference.
#[derive(Debug, Serialize)]
pub(super) struct SafetyPlan {
    pub(super) ship_margin: f64,
    pub(super) alpha: f64,
    /// What each guardrail is planned with, so that all are shown safe with the plan's power.
    pub(super) power_each: f64,
    pub(super) every_look: Sizes,
    pub(super) one_look: Sizes,
}

/// The smallest effects that are found with the plan's power, as shares of the control's mean.
#[derive(Debug, Serialize)]
pub(super) struct Detectable {
    pub(super) units: f64,
    pub(super) every_look: f64,
    pub(super) one_look: f64,
}

/// How many units, and how long.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sizes {
    /// Units of the treatment.
    pub(super) treated: f64,
    pub(super) control: f64,
    /// At the plan's pace.
    pub(super) days: Option<f64>,
}

impl PlanReport {
    /// Plans for a metric with so much variation.
    pub(super) fn new(args: &PlanArgs, variation: f64) -> Result<Self, Undefined> {
        let per_control = args.share / (1.0 - args.share);
        let kept = (1.0 - args.correlation * args.correlation).sqrt();
        let design = Design {
            args,
            noise: Noise::new(variation, per_control, args.correlation),
            per_control,
            spread: variation * kept,
        };
        let level = args.alpha / f64::from(args.guardrails) / f64::from(args.arms);
        let test = SequentialPlan::new(level, 1.0)?;
        let harm = args.effect.iter().map(|effect| design.harm(test, level, *effect));
        Ok(Self {
            variation,
            noise: design.noise.value(),
            share: args.share,
            daily: args.daily,
            alpha: args.alpha,
            level,
            power: args.power,
            harm: harm.collect::<Result<_, _>>()?,
            safety: design.safety()?,
            detectable: args.units.map(|units| design.detectable(test, level, units)).transpose()?,
        })
    }
}

/// What all parts of a plan share.
struct Design<'a> {
    args: &'a PlanArgs,
    noise: Noise,
    /// Treated units for each unit of the control.
    per_control: f64,
    /// Standard deviation over mean, after the adjustment.
    spread: f64,
}

impl Design<'_> {
    fn harm(&self, test: SequentialPlan, level: f64, effect: f64) -> Result<HarmPlan, Undefined> {
        let power = self.args.power;
        let delay =
            |found: f64| Ok(Delay { found, sizes: self.sizes(test.units(effect, self.noise, found)?) });
        Ok(HarmPlan {
            effect,
            every_look: self.sizes(test.units(effect, self.noise, power)?),
            one_look: self.sizes(self.one_look(level).units(effect / self.spread, power)?),
            inflation: test.inflation(level, power)?,
            delays: FOUND_BY.into_iter().map(delay).collect::<Result<_, _>>()?,
            mean: self.sizes(test.mean_units(effect, self.noise)?),
        })
    }

    /// Every guardrail must be shown safe, each at the whole level.
    fn safety(&self) -> Result<SafetyPlan, Undefined> {
        let margin = self.args.ship_margin;
        let power_each = joint_power(self.args.power, self.args.guardrails);
        let every_look = SequentialPlan::new(ALPHA_SAFE, 1.0)?.units(margin, self.noise, power_each)?;
        let one_look = self.one_look(ALPHA_SAFE).units(margin / self.spread, power_each)?;
        Ok(SafetyPlan {
            ship_margin: margin,
            alpha: ALPHA_SAFE,
            power_each,
            every_look: self.sizes(every_look),
            one_look: self.sizes(one_look),
        })
    }

    fn detectable(&self, test: SequentialPlan, level: f64, units: f64) -> Result<Detectable, Undefined> {
        let power = self.args.power;
        Ok(Detectable {
            units,
            every_look: test.detectable(units, self.noise, power)?,
            one_look: self.spread * self.one_look(level).detectable(units, power)?,
        })
    }

    fn one_look(&self, alpha: f64) -> Plan {
        Plan { alpha, alternative: Alternative::Greater, controls: 1.0 / self.per_control }
    }

    fn sizes(&self, treated: f64) -> Sizes {
        let days = self.args.daily.map(|daily| treated / (daily * self.args.share));
        Sizes { treated, control: treated / self.per_control, days }
    }
}
