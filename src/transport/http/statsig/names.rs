//! The hashes that stand for names in the dialect.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How names are written in answers to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameHash {
    /// As they are.
    None,
    /// By [`djb2`].
    #[default]
    Djb2,
    /// SHA-256 in base64.
    Sha256,
}

impl NameHash {
    /// A name as it is written.
    #[must_use]
    pub fn of(self, name: &str) -> String {
        match self {
            Self::None => name.to_owned(),
            Self::Djb2 => djb2(name),
            Self::Sha256 => STANDARD.encode(Sha256::digest(name.as_bytes())),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Djb2 => "djb2",
            Self::Sha256 => "sha256",
        }
    }
}

/// [`djb2_number`] as decimal text.
#[must_use]
pub fn djb2(text: &str) -> String {
    djb2_number(text).to_string()
}

/// A hash of 32 bits: each UTF-16 unit is added to 31 times what came before.
#[must_use]
pub fn djb2_number(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// Finds names by any of their hashes.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// None for a hash of several names.
    by_hash: HashMap<String, Option<String>>,
}

impl Names {
    /// These names.
    #[must_use]
    pub fn new<'n>(names: impl IntoIterator<Item = &'n String>) -> Self {
        let mut by_hash = HashMap::new();
        for name in names {
            for hash in [NameHash::Djb2, NameHash::Sha256] {
                let known = by_hash.entry(hash.of(name)).or_insert_with(|| Some(name.clone()));
                if known.as_ref() != Some(name) {
                    *known = None;
                }
            }
        }
        Self { by_hash }
    }

    /// The name of a hash. What is no hash is a name already.
    #[must_use]
    pub fn resolve<'t>(&'t self, text: &'t str) -> &'t str {
        self.by_hash.get(text).and_then(Option::as_deref).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_sdks() {
        // As the newer Python SDK names them.
        assert_eq!(
            (djb2("nest_c"), djb2("holdout_global")),
            ("3246022716".to_owned(), "2914086835".to_owned())
        );
        assert_eq!(djb2(""), "0");
        assert_eq!(NameHash::Sha256.of("a"), "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=");
    }

    #[test]
    fn names_are_found_by_their_hashes() {
        let (gate, other) = ("new_homepage".to_owned(), "button".to_owned());
        let names = Names::new([&gate, &other]);
        for hash in [NameHash::None, NameHash::Djb2, NameHash::Sha256] {
            assert_eq!(names.resolve(&hash.of(&gate)), gate);
        }
        // Two names with one hash.
        let (one, two) = ("Aa".to_owned(), "BB".to_owned());
        let names = Names::new([&one, &two]);
        assert_eq!(names.resolve(&djb2("Aa")), djb2("Aa"));
        assert_eq!(names.resolve(&NameHash::Sha256.of("Aa")), "Aa");
    }
}
