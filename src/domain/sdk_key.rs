//! A key that SDKs identify themselves with. Its secret is known to nobody but its holder.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::key::{MAX_PROSE_BYTES, check_key, check_length, check_text, check_texts};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// A key of an SDK. Archived means revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdkKey {
    /// Unique id. It is no secret.
    pub id: String,
    /// Who may hold it.
    pub kind: SdkKeyKind,
    /// The environment that its holders run in: rules limited to others are not for them.
    pub environment: String,
    /// Apps of its holders. What is limited to other apps is hidden from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_apps: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// All that is kept of the secret.
    pub secret: SecretHash,
}

/// Who may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SdkKeyKind {
    /// Servers: it gives all rules.
    Server,
    /// Browsers and apps, where everyone can read it: it gives answers for one user.
    Client,
}

/// SHA-256 of a secret. Secrets are long and random, so that it takes no slower hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl Document for SdkKey {
    const KIND: &'static str = "sdk_key";

    fn key(&self) -> &str {
        &self.id
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        check_key(&mut checks, "key.id", &self.id);
        check_text(&mut checks, "key.environment", &self.environment);
        check_texts(&mut checks, "key.target_apps", &self.target_apps);
        check_length(&mut checks, "key.description", &self.description, MAX_PROSE_BYTES);
        checks.finish()
    }
}

impl SdkKey {
    /// Whether its holders may see what is limited to some apps; an empty list is no limit. Servers see everything
    /// unless the key has apps of its own.
    #[must_use]
    pub fn sees(&self, target_apps: &[String]) -> bool {
        let sees_all = self.kind == SdkKeyKind::Server && self.target_apps.is_empty();
        target_apps.is_empty() || sees_all || target_apps.iter().any(|app| self.target_apps.contains(app))
    }
}

impl SdkKeyKind {
    /// What its secrets begin with, as SDKs expect it.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Server => "secret-",
            Self::Client => "client-",
        }
    }
}

impl SecretHash {
    /// The hash of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretHash")
    }
}

impl TryFrom<String> for SecretHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let byte = |index: usize| {
            text.get(index * 2..index * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
        let bytes = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| "must be 64 hexadecimal digits".to_owned())
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: SdkKeyKind, apps: &[&str]) -> SdkKey {
        SdkKey {
            id: "key".to_owned(),
            kind,
            environment: "production".to_owned(),
            target_apps: apps.iter().map(|app| (*app).to_owned()).collect(),
            description: String::new(),
            secret: SecretHash::of("secret-1"),
        }
    }

    #[test]
    fn a_stored_key_matches_its_secret_alone_and_does_not_hold_it() {
        let json = serde_json::to_string(&key(SdkKeyKind::Server, &[])).unwrap();
        assert!(!json.contains("secret-1"), "{json}");
        let read: SdkKey = serde_json::from_str(&json).unwrap();
        assert!(read.secret.matches(&SecretHash::of("secret-1")));
        assert!(!read.secret.matches(&SecretHash::of("secret-2")));
        assert!(
            SecretHash::try_from("ab".repeat(31)).is_err() && SecretHash::try_from("zz".repeat(32)).is_err()
        );
    }

    #[test]
    fn apps_limit_what_a_key_sees() {
        let limited = ["shop".to_owned(), "blog".to_owned()];
        assert!(key(SdkKeyKind::Server, &[]).sees(&limited));
        assert!(key(SdkKeyKind::Server, &["blog"]).sees(&limited));
        assert!(!key(SdkKeyKind::Server, &["desk"]).sees(&limited));
        assert!(!key(SdkKeyKind::Client, &[]).sees(&limited));
        assert!(key(SdkKeyKind::Client, &["shop"]).sees(&limited));
        assert!(key(SdkKeyKind::Client, &[]).sees(&[]));
    }
}
