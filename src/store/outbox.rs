//! The outbox: notices of decisions, from the transaction that writes them to their delivery.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use super::Store;
use super::lease::Fence;
use crate::analysis::decision::DecisionId;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// Columns of a delivery.
const COLUMNS: &str = "id, webhook, decision_id, created_at, attempts, due_at, dead_at, failure";

/// Id of a notice; the same at every attempt, so that a receiver can tell a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoticeId(pub Uuid);

/// A webhook that is to hear of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Unique id.
    pub id: NoticeId,
    /// Key of the webhook.
    pub webhook: String,
    /// The decision.
    pub decision: DecisionId,
    /// When it was written.
    pub at: Timestamp,
}

/// Where the delivery of a notice stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The notice.
    pub notice: Notice,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next one is due.
    pub due_at: Timestamp,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
    /// Why the last attempt failed; empty before.
    pub failure: String,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Only this webhook's.
    pub webhook: Option<String>,
    /// Only those that were given up.
    pub dead_only: bool,
    /// Only those after this one.
    pub after: Option<NoticeId>,
    /// At most this many.
    pub limit: i64,
}

/// The right to attempt one delivery, until it ends.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is to be delivered; this attempt is counted.
    pub delivery: Delivery,
    /// Tells it from other claims of the same.
    token: String,
    /// The number of the lease that it was made under.
    fence: Fence,
}

impl Store {
    /// Webhooks that something is due for and not claimed.
    pub async fn due_webhooks(&self, now: Timestamp) -> Result<Vec<String>> {
        let query = sqlx::query(
            "select distinct webhook from outbox where dead_at = 0 and due_at <= $1 and claimed_until <= $1",
        )
        .bind(now.0);
        let rows = self.database.all(query).await?;
        rows.iter().map(|row| Ok(row.try_get("webhook")?)).collect()
    }

    /// Claims the oldest delivery that is due for a webhook, under a number of the lease; nobody else gets it before `until`.
    /// Whatever is noted of it is refused once another server has taken the lease.
    pub async fn claim(
        &self,
        fence: Fence,
        webhook: &str,
        token: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claim>> {
        // Others may be faster with one, and then there may be another.
        loop {
            let query = format!(
                "select {COLUMNS} from outbox
                 where webhook = $1 and dead_at = 0 and due_at <= $2 and claimed_until <= $2
                 order by id limit 1"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(webhook).bind(now.0);
            let Some(row) = self.database.first(query).await? else {
                return Ok(None);
            };
            let mut delivery = delivery(&row)?;
            let query = sqlx::query(
                "update outbox set claim = $1, claimed_until = $2, attempts = attempts + 1
                 where id = $3 and attempts = $4 and dead_at = 0 and claimed_until <= $5",
            )
            .bind(token.to_string())
            .bind(until.0)
            .bind(delivery.notice.id.0.to_string())
            .bind(i64::from(delivery.attempts))
            .bind(now.0);
            if self.run_fenced(fence, query).await? == 1 {
                delivery.attempts += 1;
                return Ok(Some(Claim { delivery, token: token.to_string(), fence }));
            }
        }
    }

    /// Notes that a claimed delivery is done.
    pub async fn delivered(&self, claim: &Claim) -> Result<()> {
        let query = sqlx::query("delete from outbox where id = $1 and claim = $2");
        let query = query.bind(claim.delivery.notice.id.0.to_string()).bind(claim.token.as_str());
        self.run_fenced(claim.fence, query).await.map(|_| ())
    }

    /// Notes that an attempt has failed, and when the next one is due; none gives the delivery up at `now`.
    pub async fn failed(
        &self,
        claim: &Claim,
        failure: &str,
        now: Timestamp,
        due_at: Option<Timestamp>,
    ) -> Result<()> {
        let query = sqlx::query(
            "update outbox set claimed_until = 0, failure = $1, due_at = $2, dead_at = $3
             where id = $4 and claim = $5",
        )
        .bind(failure)
        .bind(due_at.unwrap_or(now).0)
        .bind(if due_at.is_none() { now.0 } else { 0 })
        .bind(claim.delivery.notice.id.0.to_string())
        .bind(claim.token.as_str());
        self.run_fenced(claim.fence, query).await.map(|_| ())
    }

    /// Gives a claim back; the attempt was not made.
    pub async fn release(&self, claim: &Claim) -> Result<()> {
        let query = sqlx::query(
            "update outbox set claimed_until = 0, attempts = attempts - 1 where id = $1 and claim = $2",
        );
        let query = query.bind(claim.delivery.notice.id.0.to_string()).bind(claim.token.as_str());
        self.run_fenced(claim.fence, query).await.map(|_| ())
    }

    /// Deliveries, oldest first.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>> {
        let text = format!(
            "select {COLUMNS} from outbox
             where ($1 is null or webhook = $1) and ($2 is null or id > $2) and dead_at >= $3
             order by id limit $4"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(query.webhook.as_deref())
            .bind(query.after.map(|id| id.0.to_string()))
            .bind(i64::from(query.dead_only))
            .bind(query.limit);
        self.database.all(query).await?.iter().map(delivery).collect()
    }

    /// Has deliveries that were given up begin anew, and says how many.
    pub async fn resend(&self, webhook: Option<&str>, id: Option<NoticeId>, now: Timestamp) -> Result<u64> {
        let query = sqlx::query(
            "update outbox set dead_at = 0, attempts = 0, due_at = $1, claimed_until = 0
             where dead_at > 0 and ($2 is null or webhook = $2) and ($3 is null or id = $3)",
        )
        .bind(now.0)
        .bind(webhook)
        .bind(id.map(|id| id.0.to_string()));
        self.database.run(query).await
    }
}

/// Writes a notice, with the change that its decision is part of.
pub(super) async fn put_notice(transaction: &mut Transaction<'_, Any>, notice: &Notice) -> Result<()> {
    sqlx::query(
        "insert into outbox (id, webhook, decision_id, created_at, attempts, due_at, claim, claimed_until, dead_at, failure)
         values ($1, $2, $3, $4, 0, $4, '', 0, 0, '')",
    )
    .bind(notice.id.0.to_string())
    .bind(notice.webhook.as_str())
    .bind(notice.decision.0.to_string())
    .bind(notice.at.0)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn delivery(row: &AnyRow) -> Result<Delivery> {
    let id =
        |column: &str| -> Result<Uuid> { Uuid::parse_str(row.try_get(column)?).map_err(Error::internal) };
    let dead_at: i64 = row.try_get("dead_at")?;
    Ok(Delivery {
        notice: Notice {
            id: NoticeId(id("id")?),
            webhook: row.try_get("webhook")?,
            decision: DecisionId(id("decision_id")?),
            at: Timestamp(row.try_get("created_at")?),
        },
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        due_at: Timestamp(row.try_get("due_at")?),
        dead_at: (dead_at > 0).then_some(Timestamp(dead_at)),
        failure: row.try_get("failure")?,
    })
}
