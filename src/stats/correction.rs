//! Corrections for many tests: adjusted p-values, to be compared with alpha, and which e-values stand out.

/// How p-values are adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Each times their number: bounds the chance of any false rejection.
    Bonferroni,
    /// Step by step from the smallest (Holm 1979): the same bound, with more power.
    Holm,
    /// Bounds the expected share of false rejections, for tests that are independent or rise together (Benjamini and
    /// Hochberg 1995).
    BenjaminiHochberg,
    /// The same under any dependence (Benjamini and Yekutieli 2001).
    BenjaminiYekutieli,
}

/// The p-values, adjusted for having looked at all of them, in their order; each in [0, 1].
#[must_use]
pub fn adjusted(p_values: &[f64], correction: Correction) -> Vec<f64> {
    let count = p_values.len() as f64;
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ranks = (1..=order.len()).map(|rank| rank as f64);
    let harmonic: f64 = ranks.clone().map(|rank| 1.0 / rank).sum();
    let factor = |rank: f64| match correction {
        Correction::Bonferroni => count,
        Correction::Holm => count - rank + 1.0,
        Correction::BenjaminiHochberg => count / rank,
        Correction::BenjaminiYekutieli => harmonic * (count / rank),
    };
    let mut steps: Vec<(usize, f64)> =
        order.iter().zip(ranks).map(|((place, p), rank)| (*place, (p * factor(rank)).min(1.0))).collect();
    match correction {
        Correction::Bonferroni => {}
        Correction::Holm => run(steps.iter_mut(), f64::max, 0.0),
        Correction::BenjaminiHochberg | Correction::BenjaminiYekutieli => {
            run(steps.iter_mut().rev(), f64::min, 1.0);
        }
    }
    steps.sort_by_key(|(place, _)| *place);
    steps.into_iter().map(|(_, p)| p).collect()
}

/// Which hypotheses are rejected by their e-values, given as logarithms, so that the expected share of false rejections is
/// at most `alpha` under any dependence: the k largest, for the largest k with e₍ₖ₎ ≥ K/(k·alpha) (Wang and Ramdas 2022).
#[must_use]
pub fn e_benjamini_hochberg(ln_e_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut sorted = ln_e_values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let count = sorted.len() as f64;
    let ranks = (1..=sorted.len()).map(|rank| rank as f64);
    let bars = sorted.iter().zip(ranks).filter(|(ln_e, rank)| **ln_e >= (count / (rank * alpha)).ln());
    let bar = bars.last().map(|(ln_e, _)| *ln_e);
    ln_e_values.iter().map(|ln_e| bar.is_some_and(|bar| *ln_e >= bar)).collect()
}

/// Carries the larger or the smaller of the values so far along.
fn run<'s>(steps: impl Iterator<Item = &'s mut (usize, f64)>, choose: fn(f64, f64) -> f64, start: f64) {
    let mut so_far = start;
    for (_, p) in steps {
        so_far = choose(so_far, *p);
        *p = so_far;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_rejects_what_bonferroni_does_and_more() {
        let p_values = [0.012, 0.9, 0.02, 0.001, 0.02];
        let both = [Correction::Bonferroni, Correction::Holm].map(|method| adjusted(&p_values, method));
        assert!(both[0].iter().zip(&both[1]).all(|(bonferroni, holm)| holm <= bonferroni));
        assert!(both[1][0] < 0.05 && both[0][0] > 0.05, "{both:?}");
    }

    #[test]
    fn the_largest_e_values_stand_out_together() {
        let ln = |values: [f64; 4]| values.map(f64::ln);
        assert_eq!(e_benjamini_hochberg(&ln([45.0, 1.0, 41.0, 0.1]), 0.05), [true, false, true, false]);
        assert_eq!(e_benjamini_hochberg(&ln([45.0, 1.0, 39.0, 0.1]), 0.05), [false; 4]);
        assert_eq!(e_benjamini_hochberg(&ln([85.0, 0.0, 39.0, 0.1]), 0.05), [true, false, false, false]);
        assert!(e_benjamini_hochberg(&[], 0.05).is_empty());
    }

    #[test]
    fn no_p_values_need_no_correction() {
        assert!(adjusted(&[], Correction::Holm).is_empty());
    }
}
