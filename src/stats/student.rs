//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::normal;

/// Above this many degrees of freedom the expansion is exact to 1e-12, and statrs grows wrong and then never returns.
const MANY: f64 = 1_000.0;

/// The quantile of Student's t with `freedom` degrees of freedom, for p in (0, 1) and freedom above 0.
///
/// For many degrees of freedom by the Cornish–Fisher expansion (Abramowitz and Stegun 26.7.5).
#[must_use]
pub fn quantile(p: f64, freedom: f64) -> f64 {
    if freedom > MANY {
        let z = normal::quantile(p);
        let z2 = z * z;
        let first = z * (z2 + 1.0) / 4.0;
        let second = z * (3.0 + z2 * (16.0 + z2 * 5.0)) / 96.0;
        let third = z * (-15.0 + z2 * (17.0 + z2 * (19.0 + z2 * 3.0))) / 384.0;
        return z + (first + (second + third / freedom) / freedom) / freedom;
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of SciPy's `t.ppf`.
    #[test]
    fn quantile_agrees_with_scipy() {
        let cases = [
            (0.975, 1.0, 12.706_204_736_174_7),
            (0.975, 10.0, 2.228_138_851_964_94),
            (0.975, 1e5, 1.959_987_708_107_66),
            (0.975, 1e8, 1.959_964_008_263_18),
        ];
        for (p, freedom, expected) in cases {
            let found = quantile(p, freedom);
            assert!(
                (found - expected).abs() < 1e-8 * expected,
                "t({p}, {freedom}) = {found}, expected {expected}"
            );
        }
    }
}
