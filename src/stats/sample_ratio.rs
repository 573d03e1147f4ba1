//! Whether units were dealt to the arms in the planned shares, for one planned look.
//!
//! Looked at again and again this test fires in healthy launches too: the guard uses the sequential one.

use super::chi_square;
use super::undefined::Undefined;

/// ln of the p-value of Pearson's chi-square test of counts of units against planned shares, which need not sum to 1.
///
/// χ² = Σ(O − E)²/E with one degree of freedom less than arms with a share above 0. Without units ln 1. A unit in an arm
/// without a share is impossible: −∞.
pub fn ln_p(units: &[u64], shares: &[f64]) -> Result<f64, Undefined> {
    let total_share: f64 = shares.iter().sum();
    let sound = shares.iter().all(|share| share.is_finite() && *share >= 0.0);
    if units.len() != shares.len() || !sound || !total_share.is_finite() || total_share <= 0.0 {
        return Err(Undefined::NoSuchCounts);
    }
    let total: f64 = units.iter().map(|units| *units as f64).sum();
    if total == 0.0 {
        return Ok(0.0);
    }
    let mut statistic = 0.0;
    let mut arms = 0.0;
    for (units, share) in units.iter().zip(shares) {
        if *share > 0.0 {
            let expected = share / total_share * total;
            let excess = *units as f64 - expected;
            statistic += excess / expected * excess;
            arms += 1.0;
        } else if *units > 0 {
            return Ok(f64::NEG_INFINITY);
        }
    }
    Ok(if arms > 1.0 { chi_square::ln_sf(statistic, arms - 1.0) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_equal_arms_are_judged_by_the_square_of_a_normal() {
        let found = ln_p(&[5_200, 4_800], &[0.5, 0.5]).unwrap();
        // z = 400/√10,000.
        let expected = 2.0 * crate::stats::normal::cdf(-4.0);
        assert!((found.exp() / expected - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_p_value_below_the_smallest_float_keeps_its_logarithm() {
        let found = ln_p(&[600_000_000, 400_000_000], &[1.0, 1.0]).unwrap();
        assert!((found / -2e7 - 1.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn an_arm_without_a_share_is_left_out_and_must_be_empty() {
        assert_eq!(ln_p(&[50, 60, 0], &[1.0, 1.0, 0.0]), ln_p(&[50, 60], &[1.0, 1.0]));
        assert_eq!(ln_p(&[50, 60, 1], &[1.0, 1.0, 0.0]), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        for shares in [&[1.0][..], &[1.0, -1.0], &[0.0, 0.0], &[f64::NAN, 1.0], &[f64::MAX, f64::MAX]] {
            assert_eq!(ln_p(&[1, 1], shares), Err(Undefined::NoSuchCounts));
        }
        assert_eq!(ln_p(&[], &[]), Err(Undefined::NoSuchCounts));
        assert_eq!(ln_p(&[0, 0], &[0.5, 0.5]), Ok(0.0));
    }
}
