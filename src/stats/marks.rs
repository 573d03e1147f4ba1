//! The e-process on assignment marks: of the units that an event happened to, which arm does each belong to?
//!
//! Chance dealt the arms. Without harm a unit with the event is a treated one as often as any unit is, whatever the
//! event's rate, the season or the delay; so nothing has to be estimated, and the evidence counts from the first event
//! (Lindon and Malek 2022).

use std::ops::Add;

use super::combination::ln_sum_exp;
use crate::domain::metric::Direction;

/// Ratios of rates that are bet on where more events are harm, each with the same weight.
const MORE: [f64; 8] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// The same where fewer events are harm.
const FEWER: [f64; 8] = [0.99, 0.98, 0.96, 0.92, 0.84, 0.68, 0.36, 0.05];
/// More of an event in the treatment is acted on only from this many treated units on: one bad client is no launch.
pub const MIN_TREATED: u64 = 3;
/// Marks say little of events that happen to more than this share of the units.
pub const MAX_RATE: f64 = 0.2;

/// The units with at least one event, of a stretch in which arms were dealt with constant shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// Share of the treatment among the units of both arms, in (0, 1). At 0 and 1 marks say nothing.
    pub share: f64,
    /// Treated units with the event.
    pub treated: u64,
    /// Units of the control with the event.
    pub control: u64,
}

/// What each bet on a ratio of rates is worth, as logarithms. Stretches add.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bets([f64; 8]);

impl Add for Bets {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let mut sum = self;
        sum.0.iter_mut().zip(other.0).for_each(|(bet, more)| *bet += more);
        sum
    }
}

impl Bets {
    /// What a stretch is worth to the bets on harm beyond `margin` in [0, 1): K_T ln θ − (K_T + K_C) ln(1 − π′ + π′θ).
    ///
    /// The margin tilts the share to the one that is expected at the margin: π′ = π(1 ± m)/(π(1 ± m) + 1 − π), with +
    /// where more events are harm. Nearer to no effect each bet is a supermartingale, because the ratio of likelihoods
    /// is monotone.
    #[must_use]
    pub fn on(marks: &Marks, direction: Direction, margin: f64) -> Self {
        if marks.share <= 0.0 || marks.share >= 1.0 {
            return Self::default();
        }
        let (ratios, tilt) = match direction {
            Direction::LowerIsBetter => (MORE, 1.0 + margin),
            Direction::HigherIsBetter => (FEWER, 1.0 - margin),
        };
        let tilted = marks.share * tilt / (marks.share * tilt + 1.0 - marks.share);
        let (treated, both) = (marks.treated as f64, marks.treated as f64 + marks.control as f64);
        Self(ratios.map(|ratio| treated * ratio.ln() - both * libm::log1p(tilted * (ratio - 1.0))))
    }

    /// ln of the e-value, the mean over the bets; finite for any counts, 0 without events.
    #[must_use]
    pub fn ln_e(&self) -> f64 {
        ln_sum_exp(self.0.into_iter()) - (self.0.len() as f64).ln()
    }
}
