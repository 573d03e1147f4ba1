//! The user that a call is about.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::condition::scalar_text;
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

/// Ids and attributes of one user. Written down it has only what may be stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The id of unit type `user_id`; may be empty when a custom id is given.
    pub user_id: String,
    /// Ids of other unit types.
    pub custom_ids: BTreeMap<String, String>,
    /// Email address; empty when not given, as are the next ones.
    #[serde(skip)]
    pub email: String,
    /// Network address.
    #[serde(skip)]
    pub ip: String,
    /// User agent of the browser.
    #[serde(skip)]
    pub user_agent: String,
    /// ISO 3166 country.
    pub country: String,
    /// For example `de_DE`.
    pub locale: String,
    /// Version of the caller's app.
    pub app_version: String,
    /// The environment the caller runs in, for example `production`.
    #[serde(skip)]
    pub environment: String,
    /// Further attributes by name.
    #[serde(serialize_with = "public")]
    pub custom: BTreeMap<String, Value>,
    /// Attributes that are evaluated and never stored.
    #[serde(skip)]
    pub private: BTreeMap<String, Value>,
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
        let no_zero = "must not have the character 0";
        checks.require(is_storable(&self.user_id), format!("{field}.user_id"), no_zero);
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
            checks.require(is_storable(unit_type) && is_storable(id), path(), no_zero);
        }
        let known = [
            ("email", &self.email),
            ("ip", &self.ip),
            ("user_agent", &self.user_agent),
            ("country", &self.country),
            ("locale", &self.locale),
            ("app_version", &self.app_version),
            ("environment", &self.environment),
        ];
        for (name, text) in known {
            check_bytes(&mut checks, format!("{field}.{name}"), text.len());
        }
        check_attributes(&mut checks, &format!("{field}.custom"), &self.custom);
        check_attributes(&mut checks, &format!("{field}.private"), &self.private);
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

    /// What may be stored of the user besides ids: country, locale, app version, and custom attributes that are no lists
    /// or structures, as texts. Never what tells who it is, nor what is private.
    #[must_use]
    pub fn public_attributes(&self) -> BTreeMap<String, String> {
        let known =
            [("country", &self.country), ("locale", &self.locale), ("app_version", &self.app_version)];
        let known = known.into_iter().filter(|(_, text)| !text.is_empty());
        let known = known.map(|(name, text)| (name.to_owned(), text.clone()));
        let custom = public_custom(&self.custom);
        let custom = custom.filter_map(|(name, value)| Some((name.clone(), scalar_text(value)?)));
        custom.chain(known).filter(|(name, text)| is_storable(name) && is_storable(text)).collect()
    }

    /// About how many bytes of memory all attributes take.
    #[must_use]
    pub fn attribute_bytes(&self) -> usize {
        let known = [&self.email, &self.ip, &self.user_agent, &self.country, &self.locale, &self.app_version];
        let custom = self.custom.iter().chain(&self.private);
        known.into_iter().map(String::len).sum::<usize>()
            + custom.map(|(name, value)| name.len() + value_bytes(value)).sum::<usize>()
    }

    /// Those of the public attributes that are named.
    #[must_use]
    pub fn named_attributes(&self, names: &[String]) -> BTreeMap<String, String> {
        if names.is_empty() {
            return BTreeMap::new();
        }
        let mut attributes = self.public_attributes();
        attributes.retain(|name, _| names.contains(name));
        attributes
    }
}

fn value_bytes(value: &Value) -> usize {
    let within = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + within
}

/// Custom attributes that do not tell who it is.
fn public_custom(custom: &BTreeMap<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let tells_who = |name: &str| ["email", "ip"].iter().any(|told| name.eq_ignore_ascii_case(told));
    custom.iter().filter(move |(name, value)| !tells_who(name) && scalar_text(value).is_some())
}

fn public<S: Serializer>(custom: &BTreeMap<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(public_custom(custom))
}

/// Whether every engine can store a text: PostgreSQL has none with the character 0.
#[must_use]
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
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

fn check_attributes(checks: &mut Checks, field: &str, attributes: &BTreeMap<String, Value>) {
    let count = attributes.len();
    checks.require(
        count <= MAX_ATTRIBUTES,
        field,
        format!("must have at most {MAX_ATTRIBUTES} entries, has {count}"),
    );
    for (name, value) in attributes.iter().take(MAX_ATTRIBUTES) {
        let field = format!("{field}[{}]", clip(name));
        checks.require(name.len() <= MAX_ATTRIBUTE_BYTES, &field, "has too long a name");
        let bytes = match value {
            Value::String(text) => text.len(),
            Value::Array(_) | Value::Object(_) => {
                serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        };
        check_bytes(checks, field, bytes);
    }
}

fn check_bytes(checks: &mut Checks, field: String, bytes: usize) {
    let message = format!("must have at most {MAX_ATTRIBUTE_BYTES} bytes, has {bytes}");
    checks.require(bytes <= MAX_ATTRIBUTE_BYTES, field, message);
}

/// A name short enough for an error message.
fn clip(name: &str) -> &str {
    let end = name.char_indices().nth(64).map_or(name.len(), |(index, _)| index);
    name.get(..end).unwrap_or_default()
}
