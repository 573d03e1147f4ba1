//! Segments.

use super::DocumentMessage;
use super::rule::{rules, wire_rules};
use crate::domain::segment::Segment;
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::Result;
use crate::transport::grpc::convert::{or_default, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Segment {
    type Document = Segment;

    fn read(self) -> Result<(Segment, i64)> {
        let is_id_list = self.is_id_list || !self.ids.is_empty();
        let segment = Segment {
            salt: self.salt.unwrap_or_else(|| self.key.clone()),
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            unit_type: or_default(self.unit_type, USER_ID),
            rules: rules("segment.rules", self.rules)?,
            ids: is_id_list.then_some(self.ids),
        };
        Ok((segment, self.revision))
    }

    fn sent(stored: &Stored<Segment>) -> Self {
        let segment = &stored.document;
        Self {
            key: segment.key.clone(),
            revision: stored.revision,
            description: segment.description.clone(),
            owner: segment.owner.clone(),
            tags: segment.tags.clone(),
            unit_type: segment.unit_type.clone(),
            salt: Some(segment.salt.clone()),
            rules: wire_rules(&segment.rules),
            ids: segment.ids.clone().unwrap_or_default(),
            is_id_list: segment.ids.is_some(),
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}
