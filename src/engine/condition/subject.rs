//! Where a condition finds what it tests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::found::Found;
use super::{country, user_agent};
use crate::domain::condition::{IpField, Subject, UserAgentField};
use crate::domain::time::Timestamp;
use crate::domain::user::{USER_ID, User};

/// The id of a unit type.
#[derive(Debug)]
pub(in crate::engine) enum UnitRef {
    /// The user id.
    UserId,
    /// A custom id, under the name as written, else in lower case.
    Custom { name: String, lowered: String },
}

impl UnitRef {
    pub(in crate::engine) fn new(unit_type: &str) -> Self {
        if unit_type == USER_ID || unit_type.eq_ignore_ascii_case("userid") {
            Self::UserId
        } else {
            Self::Custom { name: unit_type.to_owned(), lowered: unit_type.to_lowercase() }
        }
    }

    /// The id, if the user carries one that is not empty.
    pub(in crate::engine) fn of<'u>(&self, user: &'u User) -> Option<&'u str> {
        let id = match self {
            Self::UserId => Some(&user.user_id),
            Self::Custom { name, lowered } => {
                user.custom_ids.get(name).or_else(|| user.custom_ids.get(lowered))
            }
        };
        id.map(String::as_str).filter(|id| !id.is_empty())
    }
}

/// Where a condition finds what it tests.
#[derive(Debug)]
pub(super) enum Source {
    Unit(UnitRef),
    Attribute(Attribute),
    Environment,
    UserAgent(UserAgentField, Attribute),
    Country(Attribute),
    Now,
}

/// An attribute by name.
#[derive(Debug)]
pub(super) struct Attribute {
    known: Option<Known>,
    name: String,
    lowered: String,
}

/// Attributes with a place of their own.
#[derive(Clone, Copy, Debug)]
enum Known {
    UserId,
    Email,
    Ip,
    UserAgent,
    Country,
    Locale,
    AppVersion,
}

impl Source {
    /// Where the subject of a condition is found; none for gates, segments and buckets, which are no values.
    pub(super) fn compile(subject: &Subject) -> Option<Self> {
        Some(match subject {
            Subject::Attribute(name) => Self::Attribute(Attribute::new(name)),
            Subject::Unit(unit_type) => Self::Unit(UnitRef::new(unit_type)),
            Subject::Environment(_) => Self::Environment,
            Subject::UserAgent(field) => Self::UserAgent(*field, Attribute::new(field_name(*field))),
            Subject::Ip(IpField::Country) => Self::Country(Attribute::new("country")),
            Subject::Time(_) => Self::Now,
            Subject::Gate(_) | Subject::Segment(_) | Subject::Bucket(_) => return None,
        })
    }

    /// What is found.
    pub(super) fn find<'u>(&self, user: &'u User, now: Timestamp) -> Found<'u> {
        match self {
            Self::Unit(unit) => unit.of(user).map_or(Found::Missing, borrowed),
            Self::Attribute(attribute) => attribute.find(user),
            Self::Country(attribute) => match attribute.find(user) {
                Found::Missing => country::of(&user.ip).map_or(Found::Missing, borrowed),
                found => found,
            },
            Self::Environment if user.environment.is_empty() => Found::Missing,
            Self::Environment => borrowed(&user.environment),
            Self::UserAgent(field, attribute) => match attribute.find(user) {
                Found::Missing => {
                    let said = user_agent::read(&user.user_agent, *field);
                    said.map_or(Found::Missing, |said| Found::Text(Cow::Owned(said)))
                }
                found => found,
            },
            Self::Now => now.into(),
        }
    }
}

impl Attribute {
    fn new(name: &str) -> Self {
        let lowered = name.to_lowercase();
        let known = match lowered.as_str() {
            "userid" | "user_id" => Some(Known::UserId),
            "email" => Some(Known::Email),
            "ip" => Some(Known::Ip),
            "useragent" | "user_agent" => Some(Known::UserAgent),
            "country" => Some(Known::Country),
            "locale" => Some(Known::Locale),
            "appversion" | "app_version" => Some(Known::AppVersion),
            _ => None,
        };
        Self { known, name: name.to_owned(), lowered }
    }

    fn find<'u>(&self, user: &'u User) -> Found<'u> {
        let known = self.known.map_or("", |known| match known {
            Known::UserId => &user.user_id,
            Known::Email => &user.email,
            Known::Ip => &user.ip,
            Known::UserAgent => &user.user_agent,
            Known::Country => &user.country,
            Known::Locale => &user.locale,
            Known::AppVersion => &user.app_version,
        });
        if !known.is_empty() {
            return borrowed(known);
        }
        let found = self.find_in(&user.custom).or_else(|| self.find_in(&user.private));
        found.map_or(Found::Missing, Found::json)
    }

    fn find_in<'u>(&self, attributes: &'u BTreeMap<String, Value>) -> Option<&'u Value> {
        let found = attributes.get(&self.name).or_else(|| attributes.get(&self.lowered));
        found.filter(|value| !value.is_null())
    }
}

fn borrowed(text: &str) -> Found<'_> {
    Found::Text(Cow::Borrowed(text))
}

/// The name of the attribute that stands for what a user agent says.
fn field_name(field: UserAgentField) -> &'static str {
    match field {
        UserAgentField::BrowserName => "browser_name",
        UserAgentField::BrowserVersion => "browser_version",
        UserAgentField::OsName => "os_name",
        UserAgentField::OsVersion => "os_version",
    }
}
