//! Where a unit falls: the hash that Statsig's SDKs use, so that a user keeps their group after a move.

use sha2::{Digest, Sha256};

use crate::domain::bucket_set::BUCKETS;

/// Percentages are dealt in this many parts.
const PERCENT_PARTS: u64 = 10_000;

/// The first 8 bytes of SHA-256 over the parts joined by dots, as a big-endian number.
#[must_use]
pub fn hash(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update(b".");
        }
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The part of a rule's units, below 10,000, that a unit belongs to.
#[must_use]
pub fn part(spec_salt: &str, rule_salt: &str, unit: &str) -> u64 {
    hash(&[spec_salt, rule_salt, unit]) % PERCENT_PARTS
}

/// Whether a part is within a percentage from 0 to 100.
///
/// The comparison is of doubles on purpose: 1.1 · 100 is above 110, and the unit in that place passes everywhere else.
#[must_use]
pub fn is_within(part: u64, percentage: f64) -> bool {
    (part as f64) < percentage * 100.0
}

/// Whether a unit is within a percentage from 0 to 100 of a rule.
#[must_use]
pub fn passes(spec_salt: &str, rule_salt: &str, unit: &str, percentage: f64) -> bool {
    is_within(part(spec_salt, rule_salt, unit), percentage)
}

/// The bucket of a unit, below [`BUCKETS`].
#[must_use]
pub fn bucket(salt: &str, unit: &str) -> u64 {
    hash(&[salt, unit]) % BUCKETS.unsigned_abs()
}

/// What stands for an id in an id list: the first 6 bytes of its SHA-256, which are 8 characters of base64.
#[must_use]
pub fn list_digest(id: &str) -> u64 {
    hash(&[id]) >> 16
}
