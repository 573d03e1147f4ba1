//! Where a unit falls: the hash that Statsig's SDKs use, so that a user keeps their group after a move.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use crate::domain::bucket_set::BUCKETS;

/// Percentages are dealt in this many parts.
const PERCENT_PARTS: u64 = 10_000;

/// Up to this many bytes fit in one block with the padding.
const ONE_BLOCK: usize = 55;

/// What SHA-256 begins with (FIPS 180-4, 5.3.3).
const INITIAL_STATE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What is hashed before a unit's id. It is laid out once, so that an evaluation only adds the id.
#[derive(Clone, Debug)]
pub struct Prefix {
    text: String,
    /// The text, as far as there is room, and zeros.
    block: [u8; 64],
}

impl Prefix {
    fn new(text: String) -> Self {
        let mut block = [0; 64];
        for (place, byte) in block.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Self { text, block }
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
        let length = self.text.len() + unit.len();
        if length > ONE_BLOCK {
            let digest = Sha256::new().chain_update(&self.text).chain_update(unit).finalize();
            return digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        }
        // One block holds it all with its padding (FIPS 180-4, 5.1.1), which is most of what is ever hashed here.
        let mut block = self.block;
        for (place, byte) in block.iter_mut().skip(self.text.len()).zip(unit.bytes().chain([0x80])) {
            *place = byte;
        }
        if let Some(bits) = block.last_chunk_mut::<8>() {
            *bits = (8 * length as u64).to_be_bytes();
        }
        let mut state = INITIAL_STATE;
        compress256(&mut state, &[block]);
        let [first, second, ..] = state;
        (u64::from(first) << 32) | u64::from(second)
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
