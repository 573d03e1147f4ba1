//! Dynamic configs.

use super::DocumentMessage;
use super::rule::{config_rules, wire_config_rules};
use crate::domain::config::DynamicConfig;
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::Result;
use crate::transport::grpc::convert::{or_default, parameters, wire_struct, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::DynamicConfig {
    type Document = DynamicConfig;

    fn read(self) -> Result<(DynamicConfig, i64)> {
        let config = DynamicConfig {
            salt: self.salt.unwrap_or_else(|| self.key.clone()),
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            unit_type: or_default(self.unit_type, USER_ID),
            enabled: self.enabled.unwrap_or(true),
            default_value: parameters("config.default_value", self.default_value)?,
            rules: config_rules("config.rules", self.rules)?,
            target_apps: self.target_apps,
            draws_missing_units: self.draws_missing_units,
        };
        Ok((config, self.revision))
    }

    fn sent(stored: &Stored<DynamicConfig>) -> Self {
        let config = &stored.document;
        Self {
            key: config.key.clone(),
            revision: stored.revision,
            description: config.description.clone(),
            owner: config.owner.clone(),
            tags: config.tags.clone(),
            unit_type: config.unit_type.clone(),
            salt: Some(config.salt.clone()),
            enabled: Some(config.enabled),
            default_value: Some(wire_struct(&config.default_value)),
            rules: wire_config_rules(&config.rules),
            target_apps: config.target_apps.clone(),
            draws_missing_units: config.draws_missing_units,
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}
