//! Layers.

use super::DocumentMessage;
use crate::domain::layer::Layer;
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::Result;
use crate::transport::grpc::convert::{or_default, parameters, wire_struct, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Layer {
    type Document = Layer;

    fn read(self) -> Result<(Layer, i64)> {
        let layer = Layer {
            salt: self.salt.unwrap_or_else(|| self.key.clone()),
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            unit_type: or_default(self.unit_type, USER_ID),
            parameters: parameters("layer.parameters", self.parameters)?,
            target_apps: self.target_apps,
            draws_missing_units: self.draws_missing_units,
        };
        Ok((layer, self.revision))
    }

    fn sent(stored: &Stored<Layer>) -> Self {
        let layer = &stored.document;
        Self {
            key: layer.key.clone(),
            revision: stored.revision,
            description: layer.description.clone(),
            owner: layer.owner.clone(),
            tags: layer.tags.clone(),
            unit_type: layer.unit_type.clone(),
            salt: Some(layer.salt.clone()),
            parameters: Some(wire_struct(&layer.parameters)),
            target_apps: layer.target_apps.clone(),
            draws_missing_units: layer.draws_missing_units,
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}
