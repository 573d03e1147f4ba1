//! What people are shown of an e-process: a threshold in standard errors, intervals that hold at every look, a p-value.

use super::e_process::{Evidence, ln_e};
use super::effect::Interval;
use super::root;

/// How many standard errors from zero the evidence for one direction reaches 1/`alpha` at an `information` > 0: the root h of
/// E(h√I, I) = 1/alpha. None where no number does.
#[must_use]
pub fn threshold(alpha: f64, information: f64) -> Option<f64> {
    let level = -alpha.ln();
    let reaches = |z: f64| ln_e(Evidence { score: z * information.sqrt(), information }) >= level;
    root::reach(1.0, reaches).map(|high| root::first_true(0.0, high, reaches))
}

/// The two-sided interval at `level` in (0, 1) for what a score measures, in shares of the metric's scale: S/I ± h/√I with
/// h at half of 1 − level, so that both ends together hold at every look with that probability. None without information.
#[must_use]
pub fn interval(evidence: Evidence, level: f64) -> Option<Interval> {
    let Evidence { score, information } = evidence;
    if information <= 0.0 {
        return None;
    }
    let reach = threshold((1.0 - level) / 2.0, information)? / information.sqrt();
    let estimate = score / information;
    Some(Interval { low: estimate - reach, high: estimate + reach })
}

/// The p-value that holds at every look: 1 over the largest e-value so far, and at most 1.
#[must_use]
pub fn p_value(largest_ln_e: f64) -> f64 {
    (-largest_ln_e).exp().min(1.0)
}

/// How much information it takes until the evidence reaches 1/`alpha`, counting what there is, if every further unit of
/// information adds `drift` > 0 to the score. None where it never does.
#[must_use]
pub fn information_needed(evidence: Evidence, drift: f64, alpha: f64) -> Option<f64> {
    let level = -alpha.ln();
    let reaches = |more: f64| {
        let score = evidence.score + drift * more;
        ln_e(Evidence { score, information: evidence.information + more }) >= level
    };
    if reaches(0.0) {
        return Some(evidence.information);
    }
    let high = root::reach(1.0, reaches)?;
    Some(evidence.information + root::first_true(0.0, high, reaches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_path_crosses_where_it_is_said_to() {
        let start = Evidence { score: -3.0, information: 200.0 };
        let needed = information_needed(start, 0.02, 0.05).unwrap();
        let at = |information: f64| {
            ln_e(Evidence { score: start.score + 0.02 * (information - start.information), information })
        };
        assert!(at(needed) >= 20_f64.ln() && at(needed * 0.999) < 20_f64.ln(), "{needed}");
        assert_eq!(information_needed(start, 0.0, 0.05), None);
    }

    #[test]
    fn an_interval_excludes_zero_exactly_when_one_direction_is_shown() {
        for score in [0.0, 50.0, 116.34, -116.34, 130.0] {
            let evidence = Evidence { score, information: 1_163.4 };
            let found = interval(evidence, 0.9).unwrap();
            let shown = |score: f64| ln_e(Evidence { score, ..evidence }) >= 20_f64.ln();
            assert_eq!((found.low > 0.0, found.high < 0.0), (shown(score), shown(-score)), "{found:?}");
        }
    }

    #[test]
    fn a_p_value_is_never_above_one_nor_below_zero() {
        assert_eq!((p_value(-2.0), p_value(0.0), p_value(1e9)), (1.0, 1.0, 0.0));
        assert!((p_value(20_f64.ln()) - 0.05).abs() < 1e-15);
    }
}
