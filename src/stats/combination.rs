//! Several e-values made one: weighted means, which hold under any dependence (Vovk and Wang 2021).

/// ln Σ exp(xᵢ), without overflow; −∞ for nothing.
#[must_use]
pub fn ln_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}

/// One e-value with its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// Weight, above 0.
    pub weight: f64,
    /// ln of the e-value.
    pub ln_e: f64,
}

/// ln of Σ wᵢeᵢ, with the weights as they are.
#[must_use]
pub fn ln_weighted_sum(parts: &[Weighted]) -> f64 {
    ln_sum_exp(parts.iter().map(|part| part.weight.ln() + part.ln_e))
}

/// ln of the weighted mean Σ wᵢeᵢ/Σ wᵢ, exactly that of the e-values where they are equal; 0 for none.
#[must_use]
pub fn ln_weighted_mean(parts: &[Weighted]) -> f64 {
    let largest = parts.iter().map(|part| part.ln_e).fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return if parts.is_empty() { 0.0 } else { largest };
    }
    let (mut sum, mut weights) = (0.0, 0.0);
    for part in parts {
        sum += part.weight * (part.ln_e - largest).exp();
        weights += part.weight;
    }
    largest + (sum / weights).ln()
}

/// ln of each e-value adjusted for having looked at all: the smallest weighted mean over the sets it belongs to.
///
/// Closed testing with means (Vovk and Wang 2021, section 5): the smallest mean is reached by adding the others in
/// growing order for as long as they lower it.
#[must_use]
pub fn ln_adjusted(parts: &[Weighted]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let ln_e_at = |index: &usize| parts.get(*index).map_or(f64::INFINITY, |part| part.ln_e);
    order.sort_by(|a, b| ln_e_at(a).total_cmp(&ln_e_at(b)));
    let adjusted = |own: usize, part: &Weighted| {
        let (mut ln_sum, mut weights) = (part.weight.ln() + part.ln_e, part.weight);
        let mut smallest = part.ln_e;
        for other in order.iter().filter(|index| **index != own).filter_map(|index| parts.get(*index)) {
            ln_sum = ln_sum_exp([ln_sum, other.weight.ln() + other.ln_e].into_iter());
            weights += other.weight;
            let mean = ln_sum - weights.ln();
            if mean >= smallest {
                break;
            }
            smallest = mean;
        }
        smallest
    };
    parts.iter().enumerate().map(|(own, part)| adjusted(own, part)).collect()
}
