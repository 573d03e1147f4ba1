//! Gates.

use super::DocumentMessage;
use super::rule::{rules, wire_rules};
use crate::domain::gate::Gate;
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::Result;
use crate::transport::grpc::convert::{or_default, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Gate {
    type Document = Gate;

    fn read(self) -> Result<(Gate, i64)> {
        let gate = Gate {
            salt: self.salt.unwrap_or_else(|| self.key.clone()),
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            unit_type: or_default(self.unit_type, USER_ID),
            enabled: self.enabled.unwrap_or(true),
            rules: rules("gate.rules", self.rules)?,
            target_apps: self.target_apps,
            draws_missing_units: self.draws_missing_units,
        };
        Ok((gate, self.revision))
    }

    fn sent(stored: &Stored<Gate>) -> Self {
        let gate = &stored.document;
        Self {
            key: gate.key.clone(),
            revision: stored.revision,
            description: gate.description.clone(),
            owner: gate.owner.clone(),
            tags: gate.tags.clone(),
            unit_type: gate.unit_type.clone(),
            salt: Some(gate.salt.clone()),
            enabled: Some(gate.enabled),
            rules: wire_rules(&gate.rules),
            target_apps: gate.target_apps.clone(),
            draws_missing_units: gate.draws_missing_units,
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}
