//! The beta distribution, in logarithms and for parameters of any size.

use super::{continued_fraction, normal};

/// The continued fractions end long before this; a bound keeps any input from hanging.
const MOST_TERMS: u32 = 50_000;
/// With both parameters above this the expansion about the normal is exact to a hundred-millionth of the spread.
const MANY: f64 = 1e6;
/// Above this Stirling's series is exact to the last digit.
const LARGE: f64 = 10.0;

/// ln B(a, b) for a, b > 0, without the loss of digits that differences of large ln Γ bring.
///
/// With a ≥ b and a large: ln Γ(b) + (ln Γ(a) − ln Γ(a + b)), the difference by Stirling's series term by term (Abramowitz
/// and Stegun 6.1.41; the arrangement of DiDonato and Morris 1992).
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let (large, small) = (a.max(b), a.min(b));
    if large < LARGE {
        return libm::lgamma(large) + libm::lgamma(small) - libm::lgamma(large + small);
    }
    let sum = large + small;
    let series = stirling_rest(large) - stirling_rest(sum);
    if small < LARGE {
        let difference = -(large - 0.5) * libm::log1p(small / large) - small * sum.ln() + small;
        return libm::lgamma(small) + difference + series;
    }
    // With ln Γ(b) taken apart too the large terms cancel by hand.
    0.5 * (2.0 * std::f64::consts::PI).ln()
        - 0.5 * small.ln()
        - (large - 0.5) * libm::log1p(small / large)
        - small * libm::log1p(large / small)
        + series
        + stirling_rest(small)
}

/// ln of the regularised incomplete beta function I_x(a, b), given x in [0, 1] together with 1 − x, which a difference
/// would lose; a, b > 0.
///
/// By the continued fraction on the side where it converges.
#[must_use]
pub fn ln_regularized(x: f64, complement: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if complement <= 0.0 {
        return 0.0;
    }
    let ends = a * ln_share(x, complement) + b * ln_share(complement, x) - ln_beta(a, b);
    if x < (a + 1.0) / (a + b + 2.0) {
        (ends + fraction(x, complement, a, b).ln()).min(0.0)
    } else {
        let other = ends + fraction(complement, x, b, a).ln();
        libm::log1p(-other.exp().min(1.0))
    }
}

/// The value that a beta distributed variable with a, b > 0 stays below with probability p in (0, 1).
///
/// By bisection; for large parameters by the expansion of Cornish and Fisher (1938) about the normal.
#[must_use]
pub fn quantile(p: f64, a: f64, b: f64) -> f64 {
    if a.min(b) > MANY {
        return large_quantile(normal::quantile(p), a, b);
    }
    first_not_below(|x| ln_regularized(x, 1.0 - x, a, b) < p.ln())
}

/// The value that a beta distributed variable with a, b > 0 exceeds with probability q in (0, 1): the [`quantile`] of
/// 1 − q, without the loss of digits in that difference.
#[must_use]
pub fn upper_quantile(q: f64, a: f64, b: f64) -> f64 {
    if a.min(b) > MANY {
        return large_quantile(-normal::quantile(q), a, b);
    }
    first_not_below(|x| ln_regularized(1.0 - x, x, b, a) > q.ln())
}

/// The least number in [0, 1] that is not below what is looked for.
fn first_not_below(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Fifty halvings for the digits, and a thousand more at most down to the smallest numbers.
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high || high - low <= 1e-15 * low {
            return middle;
        }
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

fn large_quantile(z: f64, a: f64, b: f64) -> f64 {
    let n = a + b;
    let spread = (a / n * (b / n) / (n + 1.0)).sqrt();
    let skew = 2.0 * (b - a) / (n + 2.0) * ((n + 1.0) / a / b).sqrt();
    let excess = 6.0 * ((a - b) * ((a - b) / (a * b)) * (n + 1.0) - (n + 2.0)) / ((n + 2.0) * (n + 3.0));
    let shifted = z + skew * (z * z - 1.0) / 6.0 + excess * z * (z * z - 3.0) / 24.0
        - skew * skew * z * (2.0 * z * z - 5.0) / 36.0;
    (a / n + spread * shifted).clamp(0.0, 1.0)
}

/// ln of a share of one, from whichever of it and its complement is the smaller and so has more digits.
fn ln_share(share: f64, complement: f64) -> f64 {
    if share > 0.5 { libm::log1p(-complement) } else { share.ln() }
}

/// The fraction in I_x(a, b) = xᵃyᵇ/B(a, b) · fraction with y = 1 − x, two terms of the usual one at a time (DiDonato and
/// Morris 1992, section 4): so that it takes y, and keeps its digits where x is next to one.
fn fraction(x: f64, y: f64, a: f64, b: f64) -> f64 {
    let excess = a * y - b * x + 1.0;
    let pair = |m: f64| {
        let place = a + 2.0 * m - 1.0;
        let term = (a + m - 1.0) / place * ((a + b + m - 1.0) / place) * (m * (b - m) * x * x);
        let level = m + m * (b - m) * x / place + (a + m) * ((excess + m * (1.0 + y)) / (place + 2.0));
        (term, level)
    };
    let terms = (1..MOST_TERMS).map(f64::from).map(pair);
    continued_fraction::reciprocal(a * excess / (a + 1.0), terms)
}

/// ln Γ(x) − ((x − ½) ln x − x + ½ ln 2π) for x ≥ 10 (Abramowitz and Stegun 6.1.41).
fn stirling_rest(x: f64) -> f64 {
    let inverse = 1.0 / (x * x);
    (1.0 / 12.0
        - inverse
            * (1.0 / 360.0
                - inverse
                    * (1.0 / 1_260.0
                        - inverse
                            * (1.0 / 1_680.0
                                - inverse
                                    * (1.0 / 1_188.0 - inverse * (691.0 / 360_360.0 - inverse / 156.0))))))
        / x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64, relative: f64) {
        assert!((found - expected).abs() <= relative * expected.abs(), "{found}, expected {expected}");
    }

    #[test]
    fn the_logarithm_of_the_beta_function_agrees_with_mpmath() {
        for (a, b, expected) in [
            (1e8, 1e-3, 6.888_758_204_644_896),
            (5_000.0, 5_000.0, -6_934.464_865_071_677),
            (1e8, 1e8, -138_629_444.056_817_3),
            (1e15, 2.5, -86.062_258_116_803_8),
            (9.5, 3.0, -6.351_866_910_579_232),
            (12.0, 0.5, -0.659_674_723_137_859_8),
            (1e6, 11.0, -136.866_258_564_339),
            (1e-5, 1e-5, 12.206_072_645_365_683),
        ] {
            assert_near(ln_beta(a, b), expected, 1e-13);
            assert_near(ln_beta(b, a), expected, 1e-13);
        }
    }

    #[test]
    fn the_incomplete_function_agrees_with_mpmath() {
        for (x, a, b, expected) in [
            (0.25, 2.0, 3.0, -1.340_484_825_088_596_4),
            (0.001, 0.5, 0.5, -3.905_293_616_969_037_5),
            (0.999, 0.5, 0.5, -0.020_340_514_397_558_01),
            (0.01, 30.0, 2.0, -134.730_842_925_049_6),
            (0.5, 500.0, 500.0, -std::f64::consts::LN_2),
            (0.4, 500.0, 500.0, -23.197_291_456_569_376),
            (0.062_5, 5_000.0, 100.0, -13_384.280_186_051_136),
        ] {
            assert_near(ln_regularized(x, 1.0 - x, a, b), expected, 1e-12);
        }
    }

    #[test]
    fn quantiles_are_undone_by_the_distribution() {
        for (a, b) in [(0.5, 0.5), (1.0, 10.0), (3.0, 998.0), (5e5, 7e6), (1e5, 1e9)] {
            for p in [1e-12, 0.025, 0.5, 0.975] {
                let x = quantile(p, a, b);
                assert_near(ln_regularized(x, 1.0 - x, a, b).exp(), p, 1e-6);
                let x = upper_quantile(p, a, b);
                let found = ln_regularized(1.0 - x, x, b, a).exp();
                // Next to one a quantile has no digits left.
                assert!(1.0 - x < 1e-9 || (found / p - 1.0).abs() < 1e-6, "{a} {b} {p}: {x}");
            }
        }
    }

    #[test]
    fn the_expansion_takes_over_without_a_step() {
        for p in [1e-9, 0.025, 0.6, 0.999] {
            let (below, above) =
                (quantile(p, 0.999_999e6, 3e6), large_quantile(normal::quantile(p), 0.999_999e6, 3e6));
            assert!((below - above).abs() < 1e-11, "{below} and {above}");
        }
    }
}
