//! The standard normal distribution, exact far into its tails.

use std::f64::consts::{PI, SQRT_2};

use statrs::distribution::{ContinuousCDF, Normal};

/// Below this, `erfc` nears its underflow and the asymptotic series is exact to machine precision.
const TAIL: f64 = -20.0;

/// ln Φ(x), for any x; −∞ only at −∞, and NaN for NaN.
#[must_use]
pub fn ln_cdf(x: f64) -> f64 {
    if x < TAIL {
        ln_tail(x) - 0.5 * x * x
    } else if x > 0.0 {
        libm::log1p(-0.5 * libm::erfc(x / SQRT_2))
    } else {
        (0.5 * libm::erfc(-x / SQRT_2)).ln()
    }
}

/// x²/2 + ln Φ(x) for finite x, without the loss of digits far down the tail, and never above the largest number.
#[must_use]
pub fn ln_scaled_cdf(x: f64) -> f64 {
    if x < TAIL { ln_tail(x) } else { (0.5 * x * x).min(f64::MAX) + ln_cdf(x) }
}

/// x²/2 + ln Φ(x) in the tail: Φ(x) = φ(x)/|x| · (1 − 1/x² + 3/x⁴ − 15/x⁶ + 105/x⁸ − …) (Abramowitz and Stegun
/// 26.2.12).
fn ln_tail(x: f64) -> f64 {
    let inverse = 1.0 / (x * x);
    let series = inverse * (-1.0 + inverse * (3.0 + inverse * (-15.0 + inverse * (105.0 - inverse * 945.0))));
    -(-x).ln() - 0.5 * (2.0 * PI).ln() + libm::log1p(series)
}

/// Φ(x), right to the last digits in both tails.
#[must_use]
pub fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Φ⁻¹(p) for p in (0, 1); −∞ at 0 and below, ∞ at 1 and above, NaN for NaN.
#[must_use]
pub fn quantile(p: f64) -> f64 {
    if p.is_nan() { p } else { Normal::standard().inverse_cdf(p.clamp(0.0, 1.0)) }
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

    #[test]
    fn the_scaled_form_agrees_where_both_can_be_had() {
        for x in [-37.0, -20.1, -19.9, -1.0, 0.0, 3.0, 30.0] {
            let (scaled, plain) = (ln_scaled_cdf(x), 0.5 * x * x + ln_cdf(x));
            assert!((scaled - plain).abs() < 1e-12 * (1.0 + x * x), "{x}: {scaled} and {plain}");
        }
        assert!(ln_scaled_cdf(-1e300).is_finite() && ln_scaled_cdf(1e300).is_finite());
    }
}
