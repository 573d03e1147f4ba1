//! Webhooks.

use super::DocumentMessage;
use crate::domain::stored::Stored;
use crate::domain::webhook::{Secret, SecretText, Webhook};
use crate::error::{Error, Result};
use crate::transport::grpc::convert::{decision_kinds, wire_time};
use crate::transport::grpc::{records, wire};

impl DocumentMessage for wire::Webhook {
    type Document = Webhook;

    fn read(self) -> Result<(Webhook, i64)> {
        let secret = match (self.secret.is_empty(), self.secret_file.is_empty()) {
            (true, true) => None,
            (false, true) => Some(Secret::Text { text: SecretText(self.secret) }),
            (true, false) => Some(Secret::File { name: self.secret_file }),
            (false, false) => {
                return Err(Error::field("webhook.secret_file", "must be left out where a secret is given"));
            }
        };
        let target = |(index, target): (usize, &String)| {
            target
                .parse()
                .map_err(|message: String| Error::field(format!("webhook.targets[{index}]"), message))
        };
        let webhook = Webhook {
            key: self.key,
            description: self.description,
            owner: self.owner,
            tags: self.tags,
            url: self.url,
            secret,
            kinds: decision_kinds("webhook.kinds", &self.kinds)?,
            targets: self.targets.iter().enumerate().map(target).collect::<Result<_>>()?,
            active: self.active.unwrap_or(true),
        };
        Ok((webhook, self.revision))
    }

    fn sent(stored: &Stored<Webhook>) -> Self {
        let webhook = stored.document.shown();
        let (secret_file, secret_sha256) = match webhook.secret {
            Some(Secret::File { name }) => (name, String::new()),
            Some(Secret::Stored { sha256 }) => (String::new(), sha256.to_string()),
            Some(Secret::Text { .. }) | None => (String::new(), String::new()),
        };
        Self {
            key: webhook.key,
            revision: stored.revision,
            description: webhook.description,
            owner: webhook.owner,
            tags: webhook.tags,
            url: webhook.url,
            secret: String::new(),
            secret_file,
            secret_sha256,
            kinds: webhook.kinds.iter().map(|kind| records::kind(*kind).into()).collect(),
            targets: webhook.targets.iter().map(ToString::to_string).collect(),
            active: Some(webhook.active),
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}
