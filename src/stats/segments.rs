//! Effects that differ between segments of the units: whether they do, and what to show of them.

use super::effect::{Alternative, Effect};
use super::undefined::Undefined;

/// One segment beside the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// By how much its effect exceeds that of all other segments together, judged by the normal distribution.
    pub interaction: Effect,
    /// ln of the two-sided p-value of that. To be corrected for the number of segments.
    pub ln_p: f64,
    /// Its effect, drawn towards the mean effect by as much as chance alone scatters the segments.
    pub shrunk: f64,
}

/// Compares each segment's effect with the others', in their order; there must be two at least.
///
/// The others together are the mean of their effects weighted by 1/se². The shrunk effect is θ̄ + (1 − B)(θ̂ − θ̄) with
/// B = se²/(se² + τ²) (Efron and Morris 1975), τ² by DerSimonian and Laird (1986), at least 0, and θ̄ the mean weighted by
/// 1/(se² + τ²).
pub fn compare(effects: &[Effect]) -> Result<Vec<Segment>, Undefined> {
    if effects.len() < 2 {
        return Err(Undefined::TooFewSegments);
    }
    let between = between_variance(effects);
    let centre = Mean::of(effects, between).value;
    let of = |(place, effect): (usize, &Effect)| {
        let others = effects.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other);
        let others = Mean::of(others, 0.0);
        let squared_error = effect.standard_error * effect.standard_error;
        let interaction = Effect {
            estimate: effect.estimate - others.value,
            standard_error: (squared_error + 1.0 / others.weight).sqrt(),
            freedom: f64::INFINITY,
        }
        .checked()?;
        let kept = between / (squared_error + between);
        let shrunk = centre + kept * (effect.estimate - centre);
        Ok(Segment { interaction, ln_p: interaction.ln_p(Alternative::TwoSided, 0.0), shrunk })
    };
    effects.iter().enumerate().map(of).collect()
}

/// τ², the variance of the segments' true effects: (Q − (k − 1))/(Σw − Σw²/Σw), at least 0, with w = 1/se² and
/// Q = Σw(θ̂ − θ̄)².
fn between_variance(effects: &[Effect]) -> f64 {
    let fixed = Mean::of(effects, 0.0);
    let weight = |effect: &Effect| 1.0 / (effect.standard_error * effect.standard_error);
    let scatter: f64 =
        effects.iter().map(|effect| weight(effect) * (effect.estimate - fixed.value).powi(2)).sum();
    let shares: f64 = effects.iter().map(|effect| weight(effect) / fixed.weight * weight(effect)).sum();
    let between = (scatter - (effects.len() as f64 - 1.0)) / (fixed.weight - shares);
    if between > 0.0 && between.is_finite() { between } else { 0.0 }
}

/// The mean of several effects, each weighted by 1/(se² + τ²), and the sum of the weights.
struct Mean {
    value: f64,
    weight: f64,
}

impl Mean {
    fn of<'e>(effects: impl IntoIterator<Item = &'e Effect>, between: f64) -> Self {
        let (mut sum, mut weight) = (0.0, 0.0);
        for effect in effects {
            let own = 1.0 / (effect.standard_error * effect.standard_error + between);
            sum += own * effect.estimate;
            weight += own;
        }
        Self { value: sum / weight, weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(estimate: f64, standard_error: f64) -> Effect {
        Effect { estimate, standard_error, freedom: f64::INFINITY }
    }

    #[test]
    fn segments_that_scatter_as_by_chance_are_drawn_to_their_mean() {
        let found = compare(&[effect(-0.1, 1.0), effect(0.2, 1.0), effect(0.0, 2.0)]).unwrap();
        let mean = (-0.1 + 0.2) / 2.25;
        assert!(found.iter().all(|segment| (segment.shrunk - mean).abs() < 1e-15), "{found:?}");
    }

    #[test]
    fn a_segment_that_stands_out_keeps_its_effect_and_says_so() {
        let found = compare(&[effect(0.0, 0.1), effect(0.0, 0.1), effect(5.0, 0.1)]).unwrap();
        assert!((found[2].shrunk - 5.0).abs() < 0.01, "{found:?}");
        // z = 5/√(0.01 + 0.005).
        assert!((found[2].interaction.estimate - 5.0).abs() < 1e-12);
        assert!((found[2].interaction.standard_error - 0.015_f64.sqrt()).abs() < 1e-12);
        assert!(found[2].ln_p < -800.0 && found[0].ln_p > -300.0);
    }

    #[test]
    fn equal_errors_give_the_textbook_shrinkage() {
        // Q = 8 about the mean 2, τ² = (8 − 1)/(2 − 1) = 7: an eighth of the way.
        let found = compare(&[effect(0.0, 1.0), effect(4.0, 1.0)]).unwrap();
        assert!((found[0].shrunk - 0.25).abs() < 1e-12 && (found[1].shrunk - 3.75).abs() < 1e-12);
    }

    #[test]
    fn one_segment_has_nothing_to_be_compared_with() {
        assert_eq!(compare(&[effect(1.0, 1.0)]), Err(Undefined::TooFewSegments));
    }
}
