//! Order statistics: quantiles of samples, and the caps that are drawn from them.

/// How a sample quantile between two values is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// On the line between the values on both sides of (n − 1)q (Hyndman and Fan 1996, definition 7).
    Linear,
    /// The upper of the two.
    Higher,
    /// The smallest value with a share of at least q at or below it (definition 1).
    InvertedCdf,
}

/// The `q`-quantile, q in [0, 1], of values in ascending order; none without values, or where q is no share.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64, rule: Rule) -> Option<f64> {
    if !(0.0..=1.0).contains(&q) {
        return None;
    }
    let n = sorted.len() as f64;
    let place = (n - 1.0) * q;
    match rule {
        Rule::Higher => at(sorted, place.ceil()),
        Rule::InvertedCdf => at(sorted, ((n * q).ceil() - 1.0).max(0.0)),
        Rule::Linear => {
            let (low, high) = (at(sorted, place.floor())?, at(sorted, place.ceil())?);
            let share = place - place.floor();
            Some(if low.total_cmp(&high).is_eq() { low } else { low * (1.0 - share) + high * share })
        }
    }
}

/// The values that a share of `low` and of `high`, both from the outside and rounded down, of values in ascending order are
/// moved to when these are winsorised; none where nothing would remain.
///
/// A cap is drawn once, from history, and frozen: one drawn from the arms would depend on the outcome.
#[must_use]
pub fn caps(sorted: &[f64], low: f64, high: f64) -> Option<(f64, f64)> {
    let n = sorted.len() as f64;
    let shares = (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high);
    let (first, last) = ((n * low).floor(), n - 1.0 - (n * high).floor());
    if !shares || first > last {
        return None;
    }
    at(sorted, first).zip(at(sorted, last))
}

fn at(sorted: &[f64], index: f64) -> Option<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number in the range"
    )]
    let index = (0.0..sorted.len() as f64).contains(&index).then_some(index as usize)?;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_differ_between_two_values_and_agree_on_them() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        let all = |q| [Rule::Linear, Rule::Higher, Rule::InvertedCdf].map(|rule| quantile(&sorted, q, rule));
        assert_eq!(all(0.5), [Some(3.0), Some(4.0), Some(2.0)]);
        assert_eq!(all(0.0), [Some(1.0); 3]);
        assert_eq!(all(1.0), [Some(8.0); 3]);
        assert_eq!(all(f64::NAN), [None; 3]);
        assert_eq!(quantile(&[], 0.5, Rule::Linear), None);
    }

    #[test]
    fn caps_leave_what_is_inside() {
        let sorted: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(caps(&sorted, 0.0, 0.1), Some((1.0, 9.0)));
        assert_eq!(caps(&sorted, 0.25, 0.25), Some((3.0, 8.0)));
        assert_eq!(caps(&sorted, 0.0, 0.0), Some((1.0, 10.0)));
        assert_eq!(caps(&sorted, 0.6, 0.6), None);
        assert_eq!(caps(&[], 0.0, 0.0), None);
    }
}
