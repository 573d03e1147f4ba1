//! E-values of all comparisons put together: for the launch, for each arm, and for each of them adjusted for the others.

use super::comparison::Comparison;
use crate::stats::combination::{Weighted, ln_adjusted, ln_weighted_sum};

/// What sums of floats may be off by, as a share.
const ROUNDING: f64 = 1e-9;

/// E-values, as logarithms.
#[derive(Clone, Debug)]
pub(super) struct Tally<'l> {
    /// Of the launch: the weighted mean over guardrails and arms; 0 without guardrails.
    pub launch: f64,
    /// Of each arm: its part of that mean; none without guardrails.
    pub arms: Vec<(&'l str, Option<f64>)>,
    /// Of each comparison.
    pub own: Vec<f64>,
    /// Of each comparison, adjusted for all guardrails and arms that were looked at. A metric that is no guardrail stands
    /// for itself.
    pub adjusted: Vec<f64>,
}

impl<'l> Tally<'l> {
    /// Puts e-values of comparisons together, each with its weight in the launch; 0 for a metric that is no guardrail.
    pub(super) fn new(comparisons: &[Comparison<'l>], weights: &[f64], own: Vec<f64>) -> Self {
        let parts: Vec<Weighted> = weights
            .iter()
            .zip(&own)
            .map(|(weight, ln_e)| Weighted { weight: *weight, ln_e: *ln_e })
            .collect();
        let sum = |arm: Option<&str>| {
            let of_arm = |(comparison, part): (&Comparison<'_>, &Weighted)| {
                let counts = part.weight > 0.0 && arm.is_none_or(|arm| arm == comparison.arm);
                counts.then_some(*part)
            };
            let parts: Vec<Weighted> = comparisons.iter().zip(&parts).filter_map(of_arm).collect();
            (!parts.is_empty()).then(|| ln_weighted_sum(&parts))
        };
        let mut names: Vec<&'l str> = Vec::new();
        for comparison in comparisons {
            if !names.contains(&comparison.arm) {
                names.push(comparison.arm);
            }
        }
        Self {
            launch: sum(None).unwrap_or(0.0),
            arms: names.into_iter().map(|arm| (arm, sum(Some(arm)))).collect(),
            adjusted: adjusted(&parts),
            own,
        }
    }

    /// Whether anything in it reaches a level.
    pub(super) fn reaches(&self, level: f64) -> bool {
        let of_arms = self.arms.iter().filter_map(|(_, ln_e)| *ln_e);
        self.adjusted.iter().copied().chain(of_arms).chain([self.launch]).any(|ln_e| ln_e >= level)
    }

    /// The lesser of both, each number for itself.
    pub(super) fn least(mut self, other: &Self) -> Self {
        self.launch = self.launch.min(other.launch);
        for ((_, one), (_, other)) in self.arms.iter_mut().zip(&other.arms) {
            *one = one.zip(*other).map(|(one, other)| one.min(other));
        }
        for (mine, others) in [(&mut self.own, &other.own), (&mut self.adjusted, &other.adjusted)] {
            mine.iter_mut().zip(others).for_each(|(one, other)| *one = one.min(*other));
        }
        self
    }

    /// Of an arm.
    pub(super) fn arm(&self, name: &str) -> Option<f64> {
        self.arms.iter().find(|(arm, _)| *arm == name).and_then(|(_, ln_e)| *ln_e)
    }
}

/// Adjusts the guardrails' e-values for one another. The weight of stopped arms is lost and not dealt out again, as in
/// the launch-level e-value, so that no verdict claims what the launch as a whole does not show.
fn adjusted(parts: &[Weighted]) -> Vec<f64> {
    let mut guardrails: Vec<Weighted> = parts.iter().filter(|part| part.weight > 0.0).copied().collect();
    let lost = 1.0 - guardrails.iter().map(|part| part.weight).sum::<f64>();
    if lost > ROUNDING {
        guardrails.push(Weighted { weight: lost, ln_e: f64::NEG_INFINITY });
    }
    let mut adjusted = ln_adjusted(&guardrails).into_iter();
    let of_part = |part: &Weighted| {
        if part.weight > 0.0 { adjusted.next().unwrap_or(part.ln_e) } else { part.ln_e }
    };
    parts.iter().map(of_part).collect()
}
