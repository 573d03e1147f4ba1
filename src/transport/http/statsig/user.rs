//! A user as Statsig's SDKs send one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::condition::scalar_text;
use crate::domain::user::User;

/// A user as SDKs send one. What is null or of another type than it should be counts as not given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StatsigUser {
    #[serde(rename = "userID", deserialize_with = "text")]
    user_id: String,
    #[serde(rename = "customIDs", deserialize_with = "object")]
    custom_ids: BTreeMap<String, Value>,
    #[serde(deserialize_with = "text")]
    email: String,
    #[serde(deserialize_with = "text")]
    ip: String,
    #[serde(deserialize_with = "text")]
    user_agent: String,
    #[serde(deserialize_with = "text")]
    country: String,
    #[serde(deserialize_with = "text")]
    locale: String,
    #[serde(deserialize_with = "text")]
    app_version: String,
    #[serde(deserialize_with = "object")]
    custom: BTreeMap<String, Value>,
    #[serde(deserialize_with = "object")]
    private_attributes: BTreeMap<String, Value>,
    #[serde(deserialize_with = "object")]
    statsig_environment: BTreeMap<String, Value>,
}

impl From<StatsigUser> for User {
    fn from(user: StatsigUser) -> Self {
        let ids = user.custom_ids.into_iter();
        let tier = user.statsig_environment.get("tier").and_then(Value::as_str);
        Self {
            user_id: user.user_id,
            custom_ids: ids.filter_map(|(unit_type, id)| Some((unit_type, scalar_text(&id)?))).collect(),
            email: user.email,
            ip: user.ip,
            user_agent: user.user_agent,
            country: user.country,
            locale: user.locale,
            app_version: user.app_version,
            environment: tier.unwrap_or_default().to_owned(),
            custom: user.custom,
            private: user.private_attributes,
        }
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(scalar_text(&Value::deserialize(deserializer)?).unwrap_or_default())
}

fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(fields) => Ok(fields.into_iter().collect()),
        _ => Ok(BTreeMap::new()),
    }
}
