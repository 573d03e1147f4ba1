//! Roots of monotone functions.

/// Halvings after which two floats that enclose a root are neighbours, whatever they were.
const MOST_HALVINGS: u32 = 1_100;

/// The place in `[low, high]` where `rises` turns from false to true, to the last digit; `high` where it never does.
#[must_use]
pub fn first_true(mut low: f64, mut high: f64, rises: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..MOST_HALVINGS {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if rises(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// A power of two from `start` on for which `rises` is true; none where it is not even near the largest number.
#[must_use]
pub fn reach(start: f64, rises: impl Fn(f64) -> bool) -> Option<f64> {
    let mut reach = start;
    while reach.is_finite() {
        if rises(reach) {
            return Some(reach);
        }
        reach *= 2.0;
    }
    None
}
