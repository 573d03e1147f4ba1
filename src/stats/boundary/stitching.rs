//! Stitched boundaries: lines tangent to each other in epochs of v that grow by a factor, of the order √(v ln ln v).

/// Terms that are added up one by one before the rest of ζ is taken from its integral.
const ZETA_TERMS: u32 = 40;

/// The polynomial stitched boundary at `v` for tails of scale `c` ≥ 0, from `least` > 0 on (Howard et al. 2021, theorem 1):
/// √(k₁²vℓ + k₂²c²ℓ²) + k₂cℓ with ℓ = s ln ln(ηv/m) + ln(ζ(s)/(alpha lnˢη)), in epochs of `factor` η > 1 that get a share of
/// alpha that falls with the `power` s > 1.
#[must_use]
pub fn poly_stitching(v: f64, alpha: f64, least: f64, c: f64, (power, factor): (f64, f64)) -> f64 {
    let v = v.max(least);
    let share = zeta(power) / factor.ln().powf(power);
    let level = power * (factor * v / least).ln().ln() + (share / alpha).ln();
    joined(v, c, level, factor)
}

/// The boundary at time `t` for the number of values below the `p`-quantile, for all p in (0, 1) at once, from `start` ≥ 1
/// on (Howard and Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing and best-arm
/// identification", theorem 4). `fineness` is the step of the grid over p, in logits.
#[must_use]
pub fn double_stitching(
    p: f64,
    t: f64,
    alpha: f64,
    start: f64,
    (fineness, power, factor): (f64, f64, f64),
) -> f64 {
    let t = t.max(start);
    let logit = (p / (1.0 - p)).ln();
    // Within one step of the grid the spread is at most that of the end that is nearer to one half.
    let nearest = 1.0 / (1.0 + (-(logit + 2.0 * fineness * (start * factor / t).sqrt())).exp());
    let place = if p >= 0.5 { p } else { nearest.min(0.5) };
    let spread = place * (1.0 - place);
    let step = (t / start).sqrt() * logit.abs() / (2.0 * fineness) + 1.0;
    let zeta = zeta(power);
    let share = 2.0 * zeta * (2.0 * zeta + 1.0) / factor.ln().powf(power);
    let level = power * (factor * t / start).ln().ln() + power * step.ln() + (share / alpha).ln();
    let c = (1.0 - 2.0 * p) / 3.0;
    fineness * (factor * t * spread / start).sqrt() + joined(spread * t, c, level, factor)
}

/// √(k₁²vℓ + k₂²c²ℓ²) + k₂cℓ, with k₁ = (η^¼ + η^−¼)/√2 and k₂ = (√η + 1)/2.
fn joined(v: f64, c: f64, level: f64, factor: f64) -> f64 {
    let root = factor.sqrt().sqrt();
    let steepness = (root + 1.0 / root).powi(2) / 2.0;
    let linear = f64::midpoint(factor.sqrt(), 1.0) * c * level;
    (steepness * v * level + linear * linear).sqrt() + linear
}

/// Riemann's ζ(s) for s > 1: the first terms, and the rest by Euler and Maclaurin (Abramowitz and Stegun 23.2.9).
fn zeta(s: f64) -> f64 {
    // The smallest first, so that none is lost beside the largest.
    let terms: f64 = (1..ZETA_TERMS).rev().map(|k| f64::from(k).powf(-s)).sum();
    let n = f64::from(ZETA_TERMS);
    let rest = n.powf(1.0 - s) / (s - 1.0) + 0.5 * n.powf(-s) + s / 12.0 * n.powf(-s - 1.0)
        - s * (s + 1.0) * (s + 2.0) / 720.0 * n.powf(-s - 3.0)
        + s * (s + 1.0) * (s + 2.0) * (s + 3.0) * (s + 4.0) / 30_240.0 * n.powf(-s - 5.0);
    terms + rest
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn zeta_is_known_where_it_has_a_closed_form() {
        assert!((zeta(2.0) - PI * PI / 6.0).abs() < 1e-13);
        assert!((zeta(4.0) - PI.powi(4) / 90.0).abs() < 1e-13);
    }
}
