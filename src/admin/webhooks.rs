//! Webhooks: made with a secret, changed, archived; and what they are still to get.

use std::sync::Arc;

use super::documents::Administered;
use super::edit::Edit;
use super::{Admin, Page, Principal};
use crate::domain::stored::Stored;
use crate::domain::webhook::{Secret, SecretText, Webhook};
use crate::error::{Error, Result};
use crate::store::outbox::{Delivery, DeliveryQuery, NoticeId};

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A secret that is not given again stays.
impl Administered for Webhook {
    fn settle(&mut self, _: &Edit, before: Option<&Self>) -> Result<()> {
        *self = self.clone().with_secret_of(before);
        Ok(())
    }

    fn made(&self, _: &mut Edit) -> Result<()> {
        require_secret(self)
    }

    fn changed(&self, _: &mut Edit, _: &Self) -> Result<()> {
        require_secret(self)
    }
}

fn require_secret(webhook: &Webhook) -> Result<()> {
    match &webhook.secret {
        Some(Secret::Text { .. } | Secret::File { .. }) => Ok(()),
        Some(Secret::Stored { .. }) => {
            let message =
                "is the hash of a secret that is not stored here; give its text, or the name of a file";
            Err(Error::field("webhook.secret", message))
        }
        None => Err(Error::field("webhook.secret", "must be given, as a text or as the name of a file")),
    }
}

impl Admin {
    /// Makes a webhook. Where no secret is given it gets a new one, which is told this once.
    pub async fn create_webhook(
        &self,
        actor: &Principal,
        mut webhook: Webhook,
    ) -> Result<(Arc<Stored<Webhook>>, Option<SecretText>)> {
        let mut new = None;
        if webhook.secret.is_none() {
            let text = new_secret()?;
            webhook.secret = Some(Secret::Text { text: text.clone() });
            new = Some(text);
        }
        Ok((self.create(actor, webhook).await?, new))
    }

    /// What webhooks are still to get, oldest first.
    pub async fn deliveries(&self, mut query: DeliveryQuery) -> Result<Page<Delivery>> {
        let size = usize::try_from(query.limit).unwrap_or_default();
        query.limit += 1;
        let mut entries = self.store.deliveries(&query).await?;
        let more = entries.len() > size;
        entries.truncate(size);
        let next = entries.last().filter(|_| more).map(|delivery| delivery.notice.id.0.to_string());
        Ok(Page { entries, next })
    }

    /// Has what was given up tried again from the start, and says how much that is: one notice, or all of a webhook.
    pub async fn resend(&self, webhook: Option<&str>, id: Option<NoticeId>) -> Result<u64> {
        if let Some(webhook) = webhook {
            self.get::<Webhook>(webhook)?;
        }
        let resent = self.store.resend(webhook, id, self.clock.now()).await?;
        match id {
            Some(id) if resent == 0 => {
                Err(Error::WrongState(format!("there is no delivery `{}` that was given up", id.0)))
            }
            _ => Ok(resent),
        }
    }
}

fn new_secret() -> Result<SecretText> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(SecretText::of(&bytes))
}
