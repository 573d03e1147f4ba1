//! Holdouts.

use super::DocumentMessage;
use crate::domain::holdout::Holdout;
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::Result;
use crate::transport::grpc::convert::{or_default, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Holdout {
    type Document = Holdout;

    fn read(self) -> Result<(Holdout, i64)> {
        let holdout = Holdout {
            salt: self.salt.unwrap_or_else(|| self.key.clone()),
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            unit_type: or_default(self.unit_type, USER_ID),
            percentage: self.percentage,
            gates: self.gates,
            experiments: self.experiments,
            layers: self.layers,
            covers_all: self.covers_all,
            precedence: self.precedence,
            rule_id: self.rule_id,
            rule_salt: self.rule_salt,
            link_ids: self.link_ids,
        };
        Ok((holdout, self.revision))
    }

    fn sent(stored: &Stored<Holdout>) -> Self {
        let holdout = &stored.document;
        Self {
            key: holdout.key.clone(),
            revision: stored.revision,
            description: holdout.description.clone(),
            owner: holdout.owner.clone(),
            tags: holdout.tags.clone(),
            unit_type: holdout.unit_type.clone(),
            salt: Some(holdout.salt.clone()),
            percentage: holdout.percentage,
            gates: holdout.gates.clone(),
            experiments: holdout.experiments.clone(),
            layers: holdout.layers.clone(),
            covers_all: holdout.covers_all,
            precedence: holdout.precedence,
            rule_id: holdout.rule_id.clone(),
            rule_salt: holdout.rule_salt.clone(),
            link_ids: holdout.link_ids.clone(),
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}
