//! A bounded memory of exposures, so that repeats need no write.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::domain::event::Exposure;

/// Remembers exposures by launch, epoch, arm, unit and day. It forgets everything when it is full: what is forgotten is
/// written once more, and the store keeps the first. Two keys of 64 bits make a false match as good as impossible.
#[derive(Debug)]
pub(super) struct Seen {
    keys: HashSet<(u64, u64)>,
    hashers: (RandomState, RandomState),
    capacity: usize,
}

impl Seen {
    pub(super) fn new(capacity: usize) -> Self {
        Self { keys: HashSet::new(), hashers: (RandomState::new(), RandomState::new()), capacity }
    }

    /// Whether this exposure was not seen before; from now on it was.
    pub(super) fn is_new(&mut self, exposure: &Exposure) -> bool {
        let key = (key(&self.hashers.0, exposure), key(&self.hashers.1, exposure));
        if self.keys.contains(&key) {
            return false;
        }
        if self.keys.len() >= self.capacity {
            self.keys.clear();
        }
        self.keys.insert(key)
    }
}

fn key(hasher: &RandomState, exposure: &Exposure) -> u64 {
    hasher.hash_one((&exposure.unit_type, &exposure.unit_id, exposure.at.day(), &exposure.assignment))
}
