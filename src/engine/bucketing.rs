//! Where a unit falls: the hash that Statsig's SDKs use, so that a user keeps their group after a move.

use sha2::{Digest, Sha256};

use crate::domain::bucket_set::BUCKETS;

/// Percentages are dealt in this many parts.
const PERCENT_PARTS: u64 = 10_000;

/// Up to this many bytes are hashed without taking memory.
const ROOM: usize = 128;

/// What is hashed before a unit's id. It is laid out once, so that an evaluation only adds the id.
#[derive(Clone, Debug)]
pub struct Prefix {
    text: String,
    /// The text, as far as there is room, and zeros.
    room: [u8; ROOM],
}

impl Prefix {
    fn new(text: String) -> Self {
        let mut room = [0; ROOM];
        for (place, byte) in room.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Self { text, room }
    }

    /// What is hashed before a unit's id to draw its part of a rule.
    #[must_use]
    pub fn of_rule(spec_salt: &str, rule_salt: &str) -> Self {
        Self::new(format!("{spec_salt}.{rule_salt}."))
    }

    /// What is hashed before a unit's id to draw its bucket.
    #[must_use]
    pub fn of_buckets(salt: &str) -> Self {
        Self::new(format!("{salt}."))
    }

    /// The part of a rule's units, below 10,000, that a unit belongs to.
    #[must_use]
    pub fn part(&self, unit: &str) -> u64 {
        self.hash(unit) % PERCENT_PARTS
    }

    /// The bucket of a unit, below [`BUCKETS`].
    #[must_use]
    pub fn bucket(&self, unit: &str) -> u64 {
        self.hash(unit) % BUCKETS.unsigned_abs()
    }

    /// The first 8 bytes of SHA-256 over the prefix and the id, as a big-endian number.
    fn hash(&self, unit: &str) -> u64 {
        let start = self.text.len();
        let mut room = self.room;
        let digest = match room.get_mut(start..start + unit.len()) {
            Some(rest) => {
                rest.copy_from_slice(unit.as_bytes());
                Sha256::digest(room.get(..start + unit.len()).unwrap_or_default())
            }
            None => Sha256::new().chain_update(&self.text).chain_update(unit).finalize(),
        };
        digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
    }
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
    Prefix::new(String::new()).hash(id) >> 16
}
