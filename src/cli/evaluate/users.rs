//! The file of users: one JSON object a line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::user::User;

/// One line.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    user_id: String,
    custom_ids: BTreeMap<String, String>,
    email: String,
    ip: String,
    user_agent: String,
    country: String,
    locale: String,
    app_version: String,
    environment: String,
    custom: BTreeMap<String, Value>,
    private: BTreeMap<String, Value>,
}

/// The user in a line, or what is wrong with it.
pub(super) fn read(line: &str) -> Result<User, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let user = User::from(line);
    user.check("user").map_err(|invalid| invalid.to_string())?;
    Ok(user)
}

impl From<Line> for User {
    fn from(line: Line) -> Self {
        Self {
            user_id: line.user_id,
            custom_ids: line.custom_ids,
            email: line.email,
            ip: line.ip,
            user_agent: line.user_agent,
            country: line.country,
            locale: line.locale,
            app_version: line.app_version,
            environment: line.environment,
            custom: line.custom,
            private: line.private,
        }
    }
}
