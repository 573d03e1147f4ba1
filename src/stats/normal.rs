//! The standard normal distribution, exact far into its tails.

use std::f64::consts::{PI, SQRT_2};

use statrs::distribution::{ContinuousCDF, Normal};

/// Below this, `erfc` nears its underflow and the asymptotic series is exact to machine precision.
const TAIL: f64 = -20.0;

/// ln Φ(x), for any x; −∞ only at −∞, and NaN for NaN.
///
/// In the tail: Φ(x) = φ(x)/|x| · (1 − 1/x² + 3/x⁴ − 15/x⁶ + 105/x⁸ − …) (Abramowitz and Stegun 26.2.12).
#[must_use]
pub fn ln_cdf(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if x < TAIL {
        let inverse = 1.0 / (x * x);
        let series =
            inverse * (-1.0 + inverse * (3.0 + inverse * (-15.0 + inverse * (105.0 - inverse * 945.0))));
        -0.5 * x * x - (-x).ln() - 0.5 * (2.0 * PI).ln() + libm::log1p(series)
    } else if x > 0.0 {
        libm::log1p(-0.5 * libm::erfc(x / SQRT_2))
    } else {
        (0.5 * libm::erfc(-x / SQRT_2)).ln()
    }
}

/// Φ⁻¹(p) for p in (0, 1); −∞ at 0, ∞ at 1.
#[must_use]
pub fn quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use super::*;

    /// Values of SciPy's `log_ndtr`.
    #[test]
    fn ln_cdf_agrees_with_scipy() {
        let cases = [
            (-40.0, -804.608_442_013_753_9),
            (-38.0, -726.557_216_018_820_1),
            (-20.0, -203.917_155_371_097_3),
            (-5.0, -15.064_998_393_988_727),
            (-1.0, -1.841_021_645_009_263_4),
            (0.0, -LN_2),
            (1.0, -0.172_753_779_023_449_9),
            (8.0, -6.220_960_574_271_742e-16),
        ];
        for (x, expected) in cases {
            let relative = (ln_cdf(x) - expected).abs() / f64::abs(expected);
            assert!(relative < 1e-10, "ln_cdf({x}) = {}, expected {expected}", ln_cdf(x));
        }
    }

    #[test]
    fn ln_cdf_has_no_step_where_the_series_begins() {
        let (below, above) = (ln_cdf(TAIL - 1e-9), ln_cdf(TAIL + 1e-9));
        assert!((above - below - 2e-9 * 20.05).abs() < 1e-10 * above.abs());
    }
}
