//! Evidence that the mean of one group of units is beyond a level, valid at every look.
//!
//! S = U·L/se² and I = U²/se² with L the distance beyond the level in the bad direction, U the level: the one-sample form of the
//! mixture in [`e_process`](super::e_process), with the same mixture over effect sizes as shares of the level (Robbins 1970;
//! Howard, Ramdas, McAuliffe, Sekhon 2021; Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024).

use super::e_process::Evidence;
use super::outcome::{Outcome, estimates};
use super::undefined::Undefined;
use crate::domain::metric::Direction;

/// Evidence that the units' value is beyond `level`, above 0, in the bad direction, or why there is none.
///
/// For a share (`is_share`), whose value at the level has the variance p(1 − p), se² is no less than that over n, so that a
/// share which nobody is left in is judged as well.
pub fn evidence(
    units: &Outcome,
    level: f64,
    direction: Direction,
    is_share: bool,
) -> Result<Evidence, Undefined> {
    let [estimate, ..] = estimates(units, units)?;
    let at_level = if is_share && level < 1.0 { level * (1.0 - level) / estimate.n() as f64 } else { 0.0 };
    let squared_error = estimate.squared_error().max(at_level);
    if squared_error <= 0.0 {
        return Err(Undefined::NoVariance);
    }
    let beyond = match direction {
        Direction::HigherIsBetter => level - estimate.value(),
        Direction::LowerIsBetter => estimate.value() - level,
    };
    let evidence =
        Evidence { score: level * beyond / squared_error, information: level * level / squared_error };
    let finite = evidence.score.is_finite() && evidence.information.is_finite();
    if finite { Ok(evidence) } else { Err(Undefined::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::super::e_process::ln_e;
    use super::super::moments::RawSums;
    use super::*;

    fn share(n: u64, ones: u64) -> Outcome {
        RawSums { n, sum: ones as f64, sum_squares: ones as f64, nonzero: ones }.about(0.0).into()
    }

    fn e(ones: u64, direction: Direction) -> f64 {
        ln_e(evidence(&share(2_000, ones), 0.05, direction, true).unwrap()).exp()
    }

    #[test]
    fn only_what_is_beyond_the_level_is_evidence() {
        assert!(e(160, Direction::LowerIsBetter) > 20.0);
        assert!(e(100, Direction::LowerIsBetter) <= 1.0);
        assert!(e(60, Direction::LowerIsBetter) < 1.0);
        assert!(e(60, Direction::HigherIsBetter) > 20.0);
        assert!(e(160, Direction::HigherIsBetter) < 1.0);
    }

    #[test]
    fn a_share_that_nobody_is_left_in_is_judged_although_it_has_no_spread() {
        assert!(e(0, Direction::HigherIsBetter) > 20.0);
        let none = evidence(&share(2_000, 0), 0.05, Direction::HigherIsBetter, false);
        assert_eq!(none, Err(Undefined::NoVariance));
    }

    /// Of 400 streams whose share is at the level, few ever show harm, although each is looked at 40 times.
    #[test]
    fn a_share_at_the_level_seldom_shows_harm_however_often_it_is_looked_at() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let alarms = (0..400).filter(|_| {
            let mut ones = 0;
            (1..=40_u64).any(|look| {
                ones += (0..100).filter(|_| random.random::<f64>() < 0.05).count() as u64;
                let found = evidence(&share(100 * look, ones), 0.05, Direction::LowerIsBetter, true);
                ln_e(found.unwrap()) >= 20.0_f64.ln()
            })
        });
        let alarms = alarms.count();
        assert!(alarms <= 20, "{alarms} of 400");
    }
}
