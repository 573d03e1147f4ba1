//! Where a unit falls: the hash that Statsig's SDKs use, so that a user keeps their group after a move.

use sha2::{Digest, Sha256};

use crate::domain::bucket_set::BUCKETS;

/// Percentages are dealt in this many parts.
const PERCENT_PARTS: u64 = 10_000;

/// Up to this many bytes are hashed without taking memory.
const WITHOUT_MEMORY: usize = 128;

/// What is hashed before a unit's id. It is put together once, so that an evaluation only adds the id.
#[derive(Clone, Debug)]
pub struct Prefix(String);

impl Prefix {
    /// What is hashed before a unit's id to draw its part of a rule.
    #[must_use]
    pub fn of_rule(spec_salt: &str, rule_salt: &str) -> Self {
        Self(format!("{spec_salt}.{rule_salt}."))
    }

    /// What is hashed before a unit's id to draw its bucket.
    #[must_use]
    pub fn of_buckets(salt: &str) -> Self {
        Self(format!("{salt}."))
    }

    /// The part of a rule's units, below 10,000, that a unit belongs to.
    #[must_use]
    pub fn part(&self, unit: &str) -> u64 {
        hash(&self.0, unit) % PERCENT_PARTS
    }

    /// The bucket of a unit, below [`BUCKETS`].
    #[must_use]
    pub fn bucket(&self, unit: &str) -> u64 {
        hash(&self.0, unit) % BUCKETS.unsigned_abs()
    }
}

/// The first 8 bytes of SHA-256 over both texts, as a big-endian number.
fn hash(prefix: &str, text: &str) -> u64 {
    let mut buffer = [0; WITHOUT_MEMORY];
    let length = prefix.len() + text.len();
    let digest = match buffer.get_mut(..length) {
        Some(room) => {
            let (start, end) = room.split_at_mut(prefix.len());
            start.copy_from_slice(prefix.as_bytes());
            end.copy_from_slice(text.as_bytes());
            Sha256::digest(room)
        }
        None => Sha256::new().chain_update(prefix).chain_update(text).finalize(),
    };
    digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// The part of a rule's units, below 10,000, that a unit belongs to.
#[must_use]
pub fn part(spec_salt: &str, rule_salt: &str, unit: &str) -> u64 {
    Prefix::of_rule(spec_salt, rule_salt).part(unit)
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
    Prefix::of_buckets(salt).bucket(unit)
}

/// What stands for an id in an id list: the first 6 bytes of its SHA-256, which are 8 characters of base64.
#[must_use]
pub fn list_digest(id: &str) -> u64 {
    hash("", id) >> 16
}
