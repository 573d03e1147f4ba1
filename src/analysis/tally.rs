//! E-values of all that is tested put together: for the launch, for each arm, and for each of them adjusted for the others.

use super::tested::{Of, Tested, WEIGHT_OF_SEGMENTS};
use crate::stats::combination::{Weighted, ln_adjusted, ln_weighted_sum};

/// What sums of floats may be off by, as a share.
const ROUNDING: f64 = 1e-9;

/// E-values, as logarithms.
#[derive(Clone, Debug)]
pub(super) struct Tally<'l> {
    /// Of the launch: the weighted mean over guardrails, arms, segments and limits; 0 without guardrails.
    pub launch: f64,
    /// Of each arm: its part of that mean; none without guardrails.
    pub arms: Vec<(&'l str, Option<f64>)>,
    /// Of each thing that is tested.
    pub own: Vec<f64>,
    /// Of each, adjusted for all that was looked at. What has no weight stands for itself.
    pub adjusted: Vec<f64>,
}

impl<'l> Tally<'l> {
    /// Puts e-values together, those of all that is tested in their order.
    pub(super) fn new(tested: &[Tested<'l>], own: Vec<f64>) -> Self {
        let parts: Vec<Weighted> = tested
            .iter()
            .zip(&own)
            .map(|(tested, ln_e)| Weighted { weight: tested.weight, ln_e: *ln_e })
            .collect();
        let sum = |arm: Option<&str>| {
            let of_arm = |(tested, part): (&Tested<'_>, &Weighted)| {
                let counts = part.weight > 0.0 && arm.is_none_or(|arm| arm == tested.comparison.arm);
                counts.then_some(*part)
            };
            let parts: Vec<Weighted> = tested.iter().zip(&parts).filter_map(of_arm).collect();
            (!parts.is_empty()).then(|| ln_weighted_sum(&parts))
        };
        let mut names: Vec<&'l str> = Vec::new();
        for tested in tested {
            if !names.contains(&tested.comparison.arm) {
                names.push(tested.comparison.arm);
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

/// The e-value of each segment adjusted for all segments that were looked at, as logarithms in the order of all that is
/// tested; none for what is no segment. Those of guardrails that only hold stand apart, as these do.
pub(super) fn among_segments(tested: &[Tested<'_>], own: &[f64]) -> Vec<Option<f64>> {
    let of_segments = |keep: &dyn Fn(&Tested<'_>) -> bool| {
        let parts = tested.iter().zip(own).map(|(tested, ln_e)| match &tested.of {
            Of::Segment(place) if keep(tested) => {
                let weight = if tested.weight > 0.0 { tested.weight } else { place.share };
                Some(Weighted { weight, ln_e: *ln_e })
            }
            _ => None,
        });
        parts.collect::<Vec<Option<Weighted>>>()
    };
    let mut found = vec![None; own.len()];
    let mut note = |parts: Vec<Option<Weighted>>, lost: f64| {
        let mut family: Vec<Weighted> = parts.iter().copied().flatten().collect();
        if lost > ROUNDING {
            family.push(Weighted { weight: lost, ln_e: f64::NEG_INFINITY });
        }
        let mut adjusted = ln_adjusted(&family).into_iter();
        for (place, _) in found.iter_mut().zip(&parts).filter(|(_, part)| part.is_some()) {
            *place = adjusted.next();
        }
    };
    // As among all that is tested, the weight of stopped arms is lost.
    let lost = 1.0 - tested.iter().map(|tested| tested.weight).sum::<f64>();
    note(of_segments(&|tested| tested.weight > 0.0), lost * WEIGHT_OF_SEGMENTS);
    let mut apart: Vec<(&str, &str)> = Vec::new();
    for Tested { comparison, weight, .. } in tested {
        let own = (comparison.pinned.metric.key.as_str(), comparison.arm);
        if *weight <= 0.0 && !apart.contains(&own) {
            apart.push(own);
        }
    }
    for own in apart {
        let of_own = of_segments(&|tested| {
            let key = tested.comparison.pinned.metric.key.as_str();
            tested.weight <= 0.0 && (key, tested.comparison.arm) == own
        });
        note(of_own, 0.0);
    }
    found
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
