//! Whether the arms got the units that they were to get. Where they did not, something is wrong with who is counted, and no
//! number of the launch can be trusted.

use super::comparison::designed_share;
use super::measurement::Measurement;
use crate::domain::launch::{Epoch, Launch};
use crate::stats::sequential_sample_ratio::{self, Dealt};

/// Evidence of 1 over this against the shares makes every metric of the launch blind.
pub(super) const ALPHA_SAMPLE_RATIO: f64 = 0.001;

/// Evidence of 1 over this is worth a look.
const ALPHA_SUSPICIOUS: f64 = 0.01;

/// ln of the e-value against the shares of the arms still served, over all epochs; 0 where a share is not known.
///
/// Only units of their first exposure are counted: whoever comes again in a later epoch was dealt already.
pub(super) fn ln_e(launch: &Launch, measurement: &Measurement) -> f64 {
    let arms = || std::iter::once(launch.control()).chain(launch.treatments().map(|arm| arm.name.as_str()));
    let of_epoch = |epoch: &Epoch| -> Option<Vec<Dealt>> {
        let shares: Vec<f64> =
            arms().map(|arm| designed_share(launch, epoch, arm, Some(measurement))).collect::<Option<_>>()?;
        let total: f64 = shares.iter().sum();
        let dealt = arms().zip(shares).map(|(arm, share)| Dealt {
            units: dealt_to(measurement, epoch.number, arm),
            share: share / total,
        });
        Some(dealt.collect())
    };
    let epochs: Option<Vec<Vec<Dealt>>> = launch.epochs.iter().map(of_epoch).collect();
    epochs.map_or(0.0, |epochs| sequential_sample_ratio::ln_e(&epochs))
}

/// Units that an arm was dealt in an epoch. Where they were not counted, every metric has them all.
fn dealt_to(measurement: &Measurement, epoch: u32, arm: &str) -> u64 {
    if !measurement.dealt.is_empty() {
        let of_arm = measurement.dealt.iter().filter(|row| row.epoch == epoch && row.arm == arm);
        return of_arm.map(|row| row.units).sum();
    }
    let rows = measurement.metrics.values().next().into_iter().flatten();
    rows.filter(|row| row.epoch == epoch && row.arm == arm).map(|row| row.moments.n()).sum()
}

/// Whether the numbers of a launch can be compared.
#[must_use]
pub(super) fn is_trusted(ln_e: f64) -> bool {
    ln_e < -ALPHA_SAMPLE_RATIO.ln()
}

/// Whether they can be compared so far, and somebody should see why the arms are not as they should be.
pub(super) fn is_suspicious(ln_e: f64) -> bool {
    is_trusted(ln_e) && ln_e >= -ALPHA_SUSPICIOUS.ln()
}
