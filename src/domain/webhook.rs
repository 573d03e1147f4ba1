//! A webhook: an address that is told of decisions.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use url::Url;

use super::decision_kind::DecisionKind;
use super::key::{MAX_LIST, check_document, check_key};
use super::launch::Target;
use super::sdk_key::SecretHash;
use super::stored::Document;
use super::target_filter::TargetFilter;
use super::violation::{Checks, Invalid};

/// What texts of secrets begin with.
pub const SECRET_PREFIX: &str = "whsec_";
/// Bytes that a secret may have.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most bytes of an address.
const MAX_URL_BYTES: usize = 2_048;

/// A webhook as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Unique name.
    pub key: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where decisions are posted to.
    pub url: String,
    /// What they are signed with; none stands for the one that is stored already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Only decisions of these kinds; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<DecisionKind>,
    /// Only decisions about these targets; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetFilter>,
    /// Whether it is told of what is decided from now on.
    #[serde(default = "yes")]
    pub active: bool,
}

/// What is signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Secret {
    /// The text in a file of the server's folder of secrets.
    File {
        /// Name of the file.
        name: String,
    },
    /// A text. It is stored, and never shown.
    Text {
        /// The text.
        text: SecretText,
    },
    /// The stored text with this hash; what is shown in place of a text.
    Stored {
        /// The hash.
        sha256: SecretHash,
    },
}

/// The text of a secret: `whsec_` and its bytes in base64. It is kept out of logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl Document for Webhook {
    const KIND: &'static str = "webhook";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "webhook", &self.key, prose, &self.owner, &self.tags);
        check_url(&mut checks, &self.url);
        match &self.secret {
            Some(Secret::Text { text }) => {
                let message = format!(
                    "must be `{SECRET_PREFIX}` and the base64 of {} to {} bytes",
                    SECRET_BYTES.start(),
                    SECRET_BYTES.end()
                );
                checks.require(text.bytes().is_some(), "webhook.secret", message);
            }
            Some(Secret::File { name }) => check_key(&mut checks, "webhook.secret.name", name),
            Some(Secret::Stored { .. }) | None => {}
        }
        let few = self.targets.len() <= MAX_LIST;
        checks.require(few, "webhook.targets", format!("must have at most {MAX_LIST} entries"));
        checks.finish()
    }
}

fn check_url(checks: &mut Checks, text: &str) {
    let field = "webhook.url";
    checks.require(text.len() <= MAX_URL_BYTES, field, format!("must have at most {MAX_URL_BYTES} bytes"));
    match Url::parse(text) {
        Ok(url) => {
            let fits = matches!(url.scheme(), "http" | "https") && url.has_host();
            checks.require(fits, field, "must begin with https:// or http://");
            let is_named = !url.username().is_empty() || url.password().is_some();
            checks.require(!is_named, field, "must not hold a user or a password");
        }
        Err(cause) => {
            checks.require(false, field, format!("must be an address such as https://host/path: {cause}"));
        }
    }
}

impl Webhook {
    /// Whether it is told of a decision.
    #[must_use]
    pub fn wants(&self, kind: DecisionKind, target: &Target) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&kind);
        let of_target = self.targets.is_empty() || self.targets.iter().any(|filter| filter.matches(target));
        self.active && of_kind && of_target
    }

    /// The webhook as it may be shown: the hash in place of the secret's text.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self { secret: self.secret.as_ref().map(Secret::shown), ..self.clone() }
    }

    /// The same with the stored secret, where the secret is said to be that one.
    #[must_use]
    pub fn with_secret_of(mut self, before: Option<&Self>) -> Self {
        let stored = before.and_then(|before| before.secret.as_ref());
        let is_stored = match (&self.secret, stored) {
            (None, _) => true,
            (Some(secret @ Secret::Stored { .. }), Some(stored)) => stored.shown() == *secret,
            _ => false,
        };
        if is_stored {
            self.secret = stored.cloned();
        }
        self
    }
}

impl Secret {
    fn shown(&self) -> Self {
        match self {
            Self::Text { text } => Self::Stored { sha256: SecretHash::of(&text.0) },
            other => other.clone(),
        }
    }
}

impl SecretText {
    /// The text of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(bytes)))
    }

    /// The bytes that sign; none where the text is none of a secret.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = BASE64_STANDARD.decode(self.0.strip_prefix(SECRET_PREFIX)?).ok()?;
        SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretText")
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(secret: Option<Secret>) -> Webhook {
        Webhook {
            key: "pager".to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            url: "https://pager.example/hook".to_owned(),
            secret,
            kinds: Vec::new(),
            targets: Vec::new(),
            active: true,
        }
    }

    fn text(byte: u8) -> Secret {
        Secret::Text { text: SecretText::of(&[byte; 24]) }
    }

    #[test]
    fn a_secret_is_shown_by_its_hash_and_found_again_by_it() {
        let stored = webhook(Some(text(1)));
        let shown = stored.shown();
        let json = serde_json::to_string(&shown).unwrap();
        assert!(!json.contains(SECRET_PREFIX), "{json}");
        assert!(!format!("{stored:?}").contains(SECRET_PREFIX), "{stored:?}");
        assert_eq!(shown.clone().with_secret_of(Some(&stored)), stored);
        assert_eq!(webhook(None).with_secret_of(Some(&stored)), stored);
        assert_eq!(shown.clone().with_secret_of(Some(&webhook(Some(text(2))))), shown, "it is another one");
        assert_eq!(webhook(Some(text(2))).with_secret_of(Some(&stored)), webhook(Some(text(2))));
    }

    #[test]
    fn secrets_and_addresses_have_their_forms() {
        let refused = |webhook: &Webhook| {
            webhook.check().expect_err("refused").0.into_iter().map(|it| it.field).collect::<Vec<_>>()
        };
        for secret in
            ["", "whsec_", "whsec_!", "AAAA", &SecretText::of(&[0; 23]).0, &SecretText::of(&[0; 65]).0]
        {
            let secret = Some(Secret::Text { text: SecretText(secret.to_owned()) });
            assert_eq!(refused(&webhook(secret)), ["webhook.secret"]);
        }
        let traversal = Some(Secret::File { name: "../etc/passwd".to_owned() });
        assert_eq!(refused(&webhook(traversal)), ["webhook.secret.name"]);
        for url in
            ["", "pager.example", "ftp://pager.example/", "https://ada:hunter2@pager.example/", "mailto:ada"]
        {
            assert!(
                refused(&Webhook { url: url.to_owned(), ..webhook(None) })
                    .contains(&"webhook.url".to_owned()),
                "{url}"
            );
        }
        assert!(webhook(Some(text(1))).check().is_ok() && webhook(None).check().is_ok());
    }
}
