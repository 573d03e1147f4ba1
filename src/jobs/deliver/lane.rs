//! What one webhook is still to get, sent one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Shared;
use super::post::Message;
use crate::clock::new_id;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Secret, SecretText, Webhook};
use crate::error::{Error, Result};
use crate::failpoint::reach;
use crate::store::lease::Fence;
use crate::store::outbox::Claim;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The deliveries of one webhook.
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) webhook: String,
    /// The number of the lease that it sends under.
    pub(super) fence: Fence,
}

impl Lane {
    /// Sends all that is due.
    pub(super) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.deliver_next(&stop).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let error = error.in_full();
                    tracing::error!(
                        error,
                        webhook = self.webhook,
                        "a delivery could not be noted; it is made again"
                    );
                    return;
                }
            }
        }
    }

    /// Attempts one delivery; says whether there was one.
    async fn deliver_next(&self, stop: &CancellationToken) -> Result<bool> {
        let store = &self.shared.store;
        let now = self.shared.clock.now();
        // Nobody else tries before this attempt can have ended.
        let until = now.plus_ms(milliseconds(self.shared.settings.timeout.saturating_mul(3)));
        reach("before", "claim").await;
        let Some(claim) = store.claim(self.fence, &self.webhook, new_id(now), now, until).await? else {
            return Ok(false);
        };
        reach("after", "claim").await;
        let attempt = tokio::select! {
            attempt = self.attempt(&claim) => attempt,
            () = stop.cancelled() => return store.release(&claim).await.map(|()| false),
        };
        reach("after", "send").await;
        let (webhook, id) = (self.webhook.as_str(), claim.delivery.notice.id.0);
        let attempts = claim.delivery.attempts;
        match attempt {
            Ok(()) => {
                tracing::debug!(webhook, %id, attempts, "delivered");
                store.delivered(&claim).await?;
                reach("after", "mark").await;
            }
            Err(failure) => {
                let now = self.shared.clock.now();
                let next = if self.is_archived() { None } else { self.next_attempt(&claim, now) };
                if next.is_none() {
                    tracing::error!(webhook, %id, attempts, failure, "a delivery was given up; it can be sent again");
                } else {
                    tracing::warn!(webhook, %id, attempts, failure, "a delivery failed, and is tried again");
                }
                store.failed(&claim, &failure, now, next).await?;
            }
        }
        Ok(true)
    }

    /// Whether nothing is ever sent to it again.
    fn is_archived(&self) -> bool {
        let in_force = self.shared.live.in_force();
        in_force.catalogue.webhooks.get(&self.webhook).is_none_or(|stored| stored.archived)
    }

    /// Sends a notice once; else says why not, in words for operators.
    async fn attempt(&self, claim: &Claim) -> std::result::Result<(), String> {
        let notice = &claim.delivery.notice;
        let in_force = self.shared.live.in_force();
        let stored = in_force.catalogue.webhooks.get(&self.webhook).filter(|stored| !stored.archived);
        let webhook = &stored.ok_or("the webhook is archived")?.document;
        let secret = self.secret(webhook).await?;
        let recorded =
            self.shared.store.decision(notice.decision).await.map_err(|error| error.to_string())?;
        let recorded = recorded.ok_or("the decision is not stored")?;
        let body = self.shared.form.write(&recorded).map_err(|error| error.to_string())?;
        let (id, at) = (notice.id.0.to_string(), self.shared.clock.now());
        self.shared.post.send(&webhook.url, Message { id: &id, at, secret: &secret, body }).await
    }

    /// The bytes to sign with.
    async fn secret(&self, webhook: &Webhook) -> std::result::Result<Vec<u8>, String> {
        let text = match &webhook.secret {
            Some(Secret::Text { text }) => text.clone(),
            Some(Secret::File { name }) => {
                let path = self.shared.settings.secrets_dir.join(name);
                let read = tokio::fs::read_to_string(&path).await;
                let text = read.map_err(|error| format!("the secret `{name}` can not be read: {error}"))?;
                SecretText(text.trim().to_owned())
            }
            Some(Secret::Stored { .. }) | None => return Err("the webhook has no secret".to_owned()),
        };
        text.bytes().ok_or_else(|| "the secret is not of the form `whsec_` and base64".to_owned())
    }

    /// When a failed delivery is tried again; none when it is given up.
    fn next_attempt(&self, claim: &Claim, now: Timestamp) -> Option<Timestamp> {
        let attempts = claim.delivery.attempts;
        if attempts >= self.shared.settings.attempts {
            return None;
        }
        let wait = wait(self.shared.settings.retry, attempts, random_share().unwrap_or(1.0));
        Some(now.plus_ms(milliseconds(wait).max(1)))
    }
}

/// How long to wait after so many attempts: twice as long after each, from half of that to all of it by a share from 0 to 1, so that
/// what failed together does not come back together.
fn wait(retry: Duration, attempts: u32, share: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    retry.saturating_mul(doubled).min(LONGEST_WAIT).mul_f64(share / 2.0 + 0.5)
}

/// A number from 0 to 1.
fn random_share() -> Result<f64> {
    let number = getrandom::u32().map_err(|error| Error::internal(error.to_string()))?;
    Ok(f64::from(number) / f64::from(u32::MAX))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_the_longest() {
        let retry = Duration::from_secs(10);
        let waits: Vec<u64> = (1..5).map(|attempts| wait(retry, attempts, 1.0).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80]);
        for attempts in [15, 16, 31, 32, 33, u32::MAX] {
            assert_eq!(wait(retry, attempts, 1.0), LONGEST_WAIT, "after {attempts}");
        }
        assert_eq!(wait(Duration::MAX, 40, 1.0), LONGEST_WAIT);
    }

    #[test]
    fn what_failed_together_comes_back_from_half_of_the_wait_on() {
        let retry = Duration::from_secs(10);
        assert_eq!(wait(retry, 2, 0.0), Duration::from_secs(10));
        let mut waits: Vec<Duration> = (0..200).map(|_| wait(retry, 2, random_share().unwrap())).collect();
        assert!(waits.iter().all(|wait| (10.0..=20.0).contains(&wait.as_secs_f64())), "{waits:?}");
        waits.sort();
        let (least, most) = (waits[0].as_secs_f64(), waits[199].as_secs_f64());
        assert!(most - least > 5.0, "they are spread from {least} to {most} seconds");
        waits.dedup();
        assert!(waits.len() > 150, "{} different ones", waits.len());
    }
}
