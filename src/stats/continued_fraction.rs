//! Continued fractions, summed from their beginning.

/// The fraction 1/(first + t₁/(l₁ + t₂/(l₂ + …))) with the given terms t and levels l, until a further one changes nothing.
///
/// The method of Lentz as modified by Thompson and Barnett (1986): partial sums that vanish are moved off zero.
pub(super) fn reciprocal(first: f64, terms: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut numerator = f64::INFINITY;
    let mut denominator = 1.0 / away_from_zero(first);
    let mut value = denominator;
    for (term, level) in terms {
        denominator = 1.0 / away_from_zero(level + term * denominator);
        numerator = away_from_zero(level + term / numerator);
        let change = numerator * denominator;
        value *= change;
        if (change - 1.0).abs() < f64::EPSILON || !change.is_finite() {
            break;
        }
    }
    value
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < 1e-300 { 1e-300 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_ratio_comes_out() {
        let found = 1.0 + reciprocal(1.0, std::iter::repeat_n((1.0, 1.0), 100));
        assert!((found - f64::midpoint(1.0, 5.0_f64.sqrt())).abs() < 1e-15);
    }
}
