//! `portcullis plan`: how many units, and how long, until harm is found and until safety is shown.

mod figures;
#[cfg(test)]
mod tests;
mod text;

use std::io::{self, Write};

use clap::{ArgGroup, Args};

use super::output::Output;
use crate::analysis::judge::ALPHA_SAFE;
use crate::domain::launch::ALPHA;
use crate::domain::metric::{DEFAULT_SHIP_MARGIN, check_margins};
use crate::domain::violation::{Checks, Invalid};
use crate::stats::undefined::Undefined;
use figures::{MOST, PlanReport};

/// Plans a launch: when harm of a given size is found, and when a guardrail is shown safe.
///
/// Both are said for the guard, which looks all the time, and for one planned look. How noisy the metric is follows from
/// --rate, or from --mean and --sd, or from --variation.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("noise").required(true).args(["rate", "mean", "variation"]))]
pub(super) struct PlanArgs {
    /// Harm to be found, as a share of the control's mean: 0.05 for a fall by 5 %. Give it again for more.
    #[arg(long, required = true, value_name = "SHARE")]
    pub effect: Vec<f64>,
    /// The share of units that do it, for a metric of 0 and 1.
    #[arg(long, value_name = "SHARE")]
    pub rate: Option<f64>,
    /// Mean per unit.
    #[arg(long, requires = "sd", allow_negative_numbers = true)]
    pub mean: Option<f64>,
    /// Standard deviation per unit.
    #[arg(long, requires = "mean")]
    pub sd: Option<f64>,
    /// Standard deviation over mean.
    #[arg(long, value_name = "RATIO")]
    pub variation: Option<f64>,
    /// Correlation with a covariate from before the exposure that is adjusted for.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub correlation: f64,
    /// The share of the treatment among the units of both arms.
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub share: f64,
    /// Units a day, of both arms together; without it no times are told.
    #[arg(long, value_name = "UNITS")]
    pub daily: Option<f64>,
    /// How many guardrails the launch has, each with the same weight.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub guardrails: u32,
    /// How many treatment arms the launch has.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub arms: u32,
    /// The accepted chance of a false rollback of the launch.
    #[arg(long, default_value_t = ALPHA)]
    pub alpha: f64,
    /// The probability with which harm is to be found, and all guardrails to be shown safe.
    #[arg(long, default_value_t = 0.8)]
    pub power: f64,
    /// Harm of this share must be excluded before a guardrail counts as safe.
    #[arg(long, default_value_t = DEFAULT_SHIP_MARGIN, value_name = "SHARE")]
    pub ship_margin: f64,
    /// Also tells the smallest harm that so many units of the treatment find.
    #[arg(long, value_name = "COUNT")]
    pub units: Option<f64>,
    #[command(flatten)]
    pub output: Output,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    /// A flag is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The flags together allow no plan.
    #[error("there is no such plan: {}", .0.reason())]
    Undefined(Undefined),
    /// The plan cannot be written.
    #[error("cannot write the plan: {0}")]
    Write(#[from] io::Error),
}

/// Makes the plan and writes it to `out`.
pub(super) fn run(args: &PlanArgs, out: &mut dyn Write) -> Result<(), PlanError> {
    check(args)?;
    let report = PlanReport::new(args, variation(args)).map_err(PlanError::Undefined)?;
    Ok(args.output.write(&report, text::write, out)?)
}

fn check(args: &PlanArgs) -> Result<(), Invalid> {
    let mut checks = Checks::default();
    let mut between = |flag: &str, value: f64, low: f64, high: f64| {
        let message = format!("must be above {low} and below {high}, is {value}");
        checks.require(value > low && value < high, flag, message);
    };
    args.effect.iter().for_each(|effect| between("--effect", *effect, 0.0, 1.0));
    args.rate.iter().for_each(|rate| between("--rate", *rate, 0.0, 1.0));
    between("--correlation", args.correlation, -1.0, 1.0);
    between("--share", args.share, 0.0, 1.0);
    between("--alpha", args.alpha, 0.0, 1.0);
    between("--power", args.power, args.alpha.clamp(ALPHA_SAFE, 0.999), 1.0);
    let positive = [
        ("--sd", args.sd),
        ("--variation", args.variation),
        ("--daily", args.daily),
        ("--units", args.units),
        ("--guardrails", Some(f64::from(args.guardrails))),
        ("--arms", Some(f64::from(args.arms))),
    ];
    for (flag, value) in positive {
        let fits = value.is_none_or(|value| value > 0.0 && value <= MOST);
        let message = format!("must be above 0 and at most {MOST:e}, is {}", value.unwrap_or_default());
        checks.require(fits, flag, message);
    }
    let mean = args.mean.is_none_or(|mean| mean.is_finite() && mean != 0.0);
    checks.require(
        mean,
        "--mean",
        format!("must be a finite number other than 0, is {}", args.mean.unwrap_or_default()),
    );
    check_margins(&mut checks, "--margin", 0.0, "--ship-margin", args.ship_margin);
    checks.finish()
}

/// Standard deviation over the size of the mean: √((1 − p)/p) for a share p.
fn variation(args: &PlanArgs) -> f64 {
    let of_mean = args.mean.zip(args.sd).map(|(mean, sd)| sd / mean.abs());
    let of_rate = args.rate.map(|rate| ((1.0 - rate) / rate).sqrt());
    args.variation.or(of_mean).or(of_rate).unwrap_or_default()
}
