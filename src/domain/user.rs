//! The user that a call is about.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::violation::{Checks, Invalid};

/// The unit type of `user_id`.
pub const USER_ID: &str = "user_id";
/// Most bytes in one unit id.
pub const MAX_UNIT_BYTES: usize = 1_024;
/// Most custom ids of one user.
pub const MAX_CUSTOM_IDS: usize = 32;
/// Most custom attributes of one user.
pub const MAX_ATTRIBUTES: usize = 128;
/// Most bytes in the name or the text of one attribute.
pub const MAX_ATTRIBUTE_BYTES: usize = 65_536;

/// A typed attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A finite number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl Attribute {
    /// The attribute as text: `true`, `false`, the shortest form of a number, or the text itself.
    #[must_use]
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Flag(true) => Cow::Borrowed("true"),
            Self::Flag(false) => Cow::Borrowed("false"),
        }
    }
}

/// Ids and attributes of one user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// The id of unit type `user_id`; may be empty when a custom id is given.
    pub user_id: String,
    /// Ids of other unit types.
    pub custom_ids: BTreeMap<String, String>,
    /// Country, browser, app version; empty when not given.
    pub country: String,
    /// Browser family.
    pub browser: String,
    /// Version of the caller's app.
    pub app_version: String,
    /// Further attributes by name.
    pub custom: BTreeMap<String, Attribute>,
}

impl User {
    /// Checks ids and attributes against their limits; `field` is the path of the user in the request.
    pub fn check(&self, field: &str) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        checks.require(
            !self.user_id.is_empty() || self.custom_ids.values().any(|id| !id.is_empty()),
            format!("{field}.user_id"),
            "must not be empty unless a custom id is given",
        );
        let unit_message = |id: &str| format!("must have at most {MAX_UNIT_BYTES} bytes, has {}", id.len());
        checks.require(
            self.user_id.len() <= MAX_UNIT_BYTES,
            format!("{field}.user_id"),
            unit_message(&self.user_id),
        );
        checks.require(
            self.custom_ids.len() <= MAX_CUSTOM_IDS,
            format!("{field}.custom_ids"),
            format!("must have at most {MAX_CUSTOM_IDS} entries, has {}", self.custom_ids.len()),
        );
        for (unit_type, id) in self.custom_ids.iter().take(MAX_CUSTOM_IDS) {
            let path = || format!("{field}.custom_ids[{}]", clip(unit_type));
            checks.require(unit_type.len() <= MAX_UNIT_BYTES, path(), "has too long a name");
            checks.require(id.len() <= MAX_UNIT_BYTES, path(), unit_message(id));
        }
        let known =
            [("country", &self.country), ("browser", &self.browser), ("app_version", &self.app_version)];
        for (name, text) in known {
            checks.require(
                text.len() <= MAX_ATTRIBUTE_BYTES,
                format!("{field}.{name}"),
                attribute_message(text.len()),
            );
        }
        checks.require(
            self.custom.len() <= MAX_ATTRIBUTES,
            format!("{field}.custom"),
            format!("must have at most {MAX_ATTRIBUTES} entries, has {}", self.custom.len()),
        );
        for (name, value) in self.custom.iter().take(MAX_ATTRIBUTES) {
            let path = || format!("{field}.custom[{}]", clip(name));
            checks.require(name.len() <= MAX_ATTRIBUTE_BYTES, path(), "has too long a name");
            match value {
                Attribute::Text(text) => {
                    checks.require(text.len() <= MAX_ATTRIBUTE_BYTES, path(), attribute_message(text.len()));
                }
                Attribute::Number(number) => {
                    checks.require(number.is_finite(), path(), "must be a finite number");
                }
                Attribute::Flag(_) => {}
            }
        }
        checks.finish()
    }

    /// The id of a unit type, if the user carries one that is not empty.
    ///
    /// The type is matched as written, then in lower case; `user_id` and, in any case, `userid` name the user id.
    #[must_use]
    pub fn unit(&self, unit_type: &str) -> Option<&str> {
        if unit_type == USER_ID || unit_type.eq_ignore_ascii_case("userid") {
            return Some(self.user_id.as_str()).filter(|id| !id.is_empty());
        }
        let found = match self.custom_ids.get(unit_type) {
            Some(id) => Some(id),
            None => self.custom_ids.get(&unit_type.to_lowercase()),
        };
        found.map(String::as_str).filter(|id| !id.is_empty())
    }

    /// All ids with the canonical names of their unit types, each once. A custom id under the user id's name is not one
    /// that [`Self::unit`] would ever find, and is left out.
    #[must_use]
    pub fn units(&self) -> BTreeSet<(Cow<'_, str>, &str)> {
        let user_id = (!self.user_id.is_empty()).then_some((Cow::Borrowed(USER_ID), self.user_id.as_str()));
        let custom =
            self.custom_ids.iter().map(|(unit_type, id)| (canonical_unit_type(unit_type), id.as_str()));
        let custom = custom.filter(|(unit_type, id)| unit_type != USER_ID && !id.is_empty());
        user_id.into_iter().chain(custom).collect()
    }

    /// The text of an attribute, if the user has it.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let known = match name {
            USER_ID => &self.user_id,
            "country" => &self.country,
            "browser" => &self.browser,
            "app_version" => &self.app_version,
            _ => "",
        };
        if known.is_empty() {
            self.custom.get(name).map(Attribute::as_text)
        } else {
            Some(Cow::Borrowed(known))
        }
    }
}

/// One name for all spellings under which [`User::unit`] finds the same id, so that what a unit did is found again.
#[must_use]
pub fn canonical_unit_type(unit_type: &str) -> Cow<'_, str> {
    if unit_type.eq_ignore_ascii_case("userid") {
        Cow::Borrowed(USER_ID)
    } else if unit_type.chars().any(char::is_uppercase) {
        Cow::Owned(unit_type.to_lowercase())
    } else {
        Cow::Borrowed(unit_type)
    }
}

fn attribute_message(bytes: usize) -> String {
    format!("must have at most {MAX_ATTRIBUTE_BYTES} bytes, has {bytes}")
}

/// A name short enough for an error message.
fn clip(name: &str) -> &str {
    let end = name.char_indices().nth(64).map_or(name.len(), |(index, _)| index);
    name.get(..end).unwrap_or_default()
}
