//! Student's t distribution, exact far into its tails and for any number of degrees of freedom.

use std::f64::consts::LN_2;

use super::{beta, normal};

/// Above this many degrees of freedom the expansions about the normal are exact to 1e-11.
const MANY: f64 = 1e5;
/// Above this many the correction of the normal deviate is beyond the last digit.
const HUGE: f64 = 1e30;
/// They hold while t² is below this share of the degrees of freedom.
const NEAR: f64 = 0.01;
/// Newton's method ends long before this.
const MOST_STEPS: u32 = 200;

/// ln of the probability that Student's t with `freedom` > 0 degrees of freedom exceeds `t`; the normal's where `freedom`
/// is infinite.
///
/// By the incomplete beta function (Abramowitz and Stegun 26.5.27, 26.7.1), and for many degrees of freedom by the normal
/// deviate of Hill (1970, "Algorithm 395").
#[must_use]
pub fn ln_sf(t: f64, freedom: f64) -> f64 {
    if t < 0.0 {
        return libm::log1p(-ln_sf(-t, freedom).exp());
    }
    if freedom.is_infinite() {
        return normal::ln_cdf(-t);
    }
    if freedom > MANY && t * t <= NEAR * freedom {
        return normal::ln_cdf(-normal_deviate(t, freedom));
    }
    // t²/ν and its reciprocal, so that neither overflows what it is used for.
    let odds = t / freedom * t;
    if odds.is_infinite() {
        // So far out only the first power of ν/t² counts.
        let a = 0.5 * freedom;
        return a * (freedom.ln() - 2.0 * t.ln()) - a.ln() - beta::ln_beta(a, 0.5) - LN_2;
    }
    let (x, complement) = (1.0 / (1.0 + odds), odds / (1.0 + odds));
    beta::ln_regularized(x, complement, 0.5 * freedom, 0.5) - LN_2
}

/// The quantile of Student's t with `freedom` > 0 degrees of freedom for p in (0, 1); −∞ at 0 and below, ∞ at 1 and above.
#[must_use]
pub fn quantile(p: f64, freedom: f64) -> f64 {
    if p < 0.5 { -upper_quantile(p, freedom) } else { upper_quantile(1.0 - p, freedom) }
}

/// What Student's t with `freedom` > 0 degrees of freedom exceeds with probability `q` in (0, 1): the mirrored
/// [`quantile`], without the loss of digits in 1 − q.
///
/// For many degrees of freedom by the Cornish–Fisher expansion (Abramowitz and Stegun 26.7.5), else by Newton's method on
/// the logarithms of tail and t.
#[must_use]
pub fn upper_quantile(q: f64, freedom: f64) -> f64 {
    if q > 0.5 {
        return -upper_quantile(1.0 - q, freedom);
    }
    if q <= 0.0 {
        return f64::INFINITY;
    }
    let z = -normal::quantile(q);
    if freedom > MANY {
        return cornish_fisher(z, freedom);
    }
    if z <= 0.0 {
        return 0.0;
    }
    let target = q.ln();
    let ln_density_constant = -beta::ln_beta(0.5 * freedom, 0.5) - 0.5 * freedom.ln();
    // The logarithm of the tail falls ever faster in ln t, so that a step never goes beyond the root from above it, and
    // goes above it at most once.
    let mut u = z.ln();
    for _ in 0..MOST_STEPS {
        let t = u.exp();
        let tail = ln_sf(t, freedom);
        let odds = t / freedom * t;
        let ln_rest = if odds.is_infinite() { 2.0 * u - freedom.ln() } else { libm::log1p(odds) };
        let ln_density = ln_density_constant - 0.5 * (freedom + 1.0) * ln_rest;
        let steepness = (ln_density + u - tail).exp();
        let step = ((tail - target) / steepness).clamp(-2.0, 50.0);
        if !step.is_finite() {
            return f64::INFINITY;
        }
        u += step;
        if step.abs() < 1e-15 * u.abs().max(1.0) {
            break;
        }
    }
    u.exp()
}

/// The normal deviate with the same tail as t.
fn normal_deviate(t: f64, freedom: f64) -> f64 {
    let a = freedom - 0.5;
    let b = 48.0 * a * a;
    let square = a * libm::log1p(t / freedom * t);
    let w = square.sqrt();
    if freedom > HUGE {
        return w;
    }
    let second = (((4.0 * square + 33.0) * square + 240.0) * square + 855.0)
        / (10.0 * b * (b + 0.8 * square * square + 100.0));
    w + w * ((square + 3.0) / b - second)
}

fn cornish_fisher(z: f64, freedom: f64) -> f64 {
    let z2 = z * z;
    let first = z * (z2 + 1.0) / 4.0;
    let second = z * (3.0 + z2 * (16.0 + z2 * 5.0)) / 96.0;
    let third = z * (-15.0 + z2 * (17.0 + z2 * (19.0 + z2 * 3.0))) / 384.0;
    z + (first + (second + third / freedom) / freedom) / freedom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_agrees_with_mpmath() {
        for (t, freedom, expected) in [
            (12.7, 1.0, -3.688_393_018_655_966),
            (6.0, 1_000.0, -20.402_861_582_652_9),
            (40.0, 3.0, -10.971_162_936_870_326),
            (40.0, 1_000.0, -481.886_657_563_593_3),
            (1.5, 2.5, -2.088_133_394_280_417),
            (0.3, 1e4, -0.962_094_658_304_674_1),
            (38.0, 1e4, -678.892_211_609_099_2),
            (1e10, 5.0, -112.878_998_413_888_8),
            (2.0, 1e5, -3.783_125_004_771_897),
            (5.0, 2e5, -15.064_155_656_100_222),
            (30.0, 2e5, -453.309_527_527_903_9),
            (5.0, 1e8, -15.064_996_708_375_212),
            (8.0, 1e15, -35.013_437_159_913_49),
            (38.0, 1e6, -726.035_712_068_114_3),
        ] {
            let found = ln_sf(t, freedom);
            assert!((found - expected).abs() < 1e-11, "ln_sf({t}, {freedom}) = {found}, expected {expected}");
        }
    }

    #[test]
    fn quantiles_are_undone_by_the_tail() {
        for freedom in [0.1, 0.5, 1.0, 1.3, 4.7, 1e3, 9.9e4, 1.1e5, 1e7, 1e8, 1e15, f64::INFINITY] {
            for q in [1e-300, 1e-12, 1e-3, 0.025, 0.3, 0.499_999, 0.6, 0.999] {
                let t = upper_quantile(q, freedom);
                if t.is_finite() {
                    let found = ln_sf(t, freedom);
                    let reach = if t.abs() < 1e3 { 1e-10 * t * t } else { 0.0 };
                    assert!(
                        (found - f64::ln(q)).abs() < 1e-10 + reach,
                        "{q:e}, {freedom}: {t:e} gives {found}"
                    );
                } else {
                    assert!(q < 1e-3 && freedom < 1.0, "{q:e}, {freedom}");
                }
            }
        }
    }

    #[test]
    fn the_expansions_take_over_without_a_step() {
        let (below, above) = (MANY * (1.0 - 1e-12), MANY * (1.0 + 1e-12));
        for t in [0.1, 2.0, 5.0, 20.0] {
            assert!((ln_sf(t, below) - ln_sf(t, above)).abs() < 1e-10 * t);
        }
        for q in [1e-20, 1e-3, 0.4] {
            assert!((upper_quantile(q, below) - upper_quantile(q, above)).abs() < 1e-10);
        }
    }
}
