//! The chi-square distribution's upper tail, in logarithms.

use super::continued_fraction;

/// The series and the fraction end long before this; a bound keeps any input from hanging.
const MOST_TERMS: u32 = 100_000;

/// ln of the probability that a chi-square variable with `freedom` > 0 degrees of freedom exceeds `x`; 0 where x ≤ 0.
#[must_use]
pub fn ln_sf(x: f64, freedom: f64) -> f64 {
    ln_upper_gamma(0.5 * freedom, 0.5 * x)
}

/// ln Q(a, x), the regularised upper incomplete gamma function: by the series of its complement where x < a + 1 (Abramowitz
/// and Stegun 6.5.29), else by the continued fraction (6.5.31).
fn ln_upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x.is_infinite() {
        return f64::NEG_INFINITY;
    }
    let ends = a * x.ln() - x - libm::lgamma(a);
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        for k in (1..MOST_TERMS).map(f64::from) {
            term *= x / (a + k);
            sum += term;
            if term <= f64::EPSILON * sum {
                break;
            }
        }
        return libm::log1p(-(ends + sum.ln()).exp().min(1.0));
    }
    let levels = (1..MOST_TERMS).map(f64::from).map(|k| (-k * (k - a), x + 1.0 - a + 2.0 * k));
    (ends + continued_fraction::reciprocal(x + 1.0 - a, levels).ln()).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_agrees_with_mpmath_however_far_out() {
        for (x, freedom, expected) in [
            (3.84, 1.0, -2.994_862_227_180_027_4),
            (700.0, 1.0, -353.502_755_025_148_65),
            (1e-8, 4.0, -1.249_999_995_833_333_3e-17),
            (30.0, 9.0, -7.731_645_124_901_992),
            (5_000.0, 3.0, -2_495.966_994_816_902),
            (1e5, 7.0, -49_974.151_477_891_07),
            (900.0, 1_000.0, -0.010_775_081_338_570_533),
            (1_100.0, 1_000.0, -4.225_747_378_926_618),
            (1e4, 1e4, -0.696_915_539_983_563_5),
        ] {
            let found = ln_sf(x, freedom);
            assert!((found - expected).abs() <= 1e-10 * expected.abs(), "{x}, {freedom}: {found}");
        }
    }

    #[test]
    fn the_tail_of_two_degrees_of_freedom_is_exponential() {
        for x in [0.0, 1e-300, 0.1, 1.0, 3.0, 50.0, 1e6, 1e300] {
            assert!((ln_sf(x, 2.0) + x / 2.0).abs() <= 1e-12 * x, "{x}: {}", ln_sf(x, 2.0));
        }
    }
}
