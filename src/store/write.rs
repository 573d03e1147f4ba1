//! Writing a change: all of it, or none.

use serde::Serialize;
use serde_json::json;
use sqlx::{Any, Transaction};

use super::Store;
use super::change::{Change, Write};
use super::outbox::put_notice;
use crate::database::repeated;
use crate::domain::launch::Launch;
use crate::domain::stored::{Document, Stored};
use crate::error::{Error, Result};
use crate::failpoint::reach;

impl Store {
    /// Makes a change, and says where the decisions now end. A change that was made from an older configuration, or
    /// that takes a key twice, or under a number of the lease that another server has taken over, is refused whole.
    pub async fn commit(&self, change: &Change) -> Result<i64> {
        repeated(|| self.commit_once(change)).await
    }

    async fn commit_once(&self, change: &Change) -> Result<i64> {
        let mut transaction = self.database.write().await?;
        reach("before", "revision").await;
        take_revision(&mut transaction, change).await?;
        reach("after", "revision").await;
        for write in &change.writes {
            reach("before", write.kind()).await;
            put(&mut transaction, write).await?;
            reach("after", write.kind()).await;
        }
        reach("before", "audit").await;
        add_audit(&mut transaction, change).await?;
        reach("after", "audit").await;
        let cursor: i64 = sqlx::query_scalar("select coalesce(max(cursor), 0) from decision")
            .fetch_one(&mut *transaction)
            .await?;
        self.database.notify(&mut transaction).await?;
        reach("before", "commit").await;
        self.commit_fenced(transaction, change.fence).await?;
        reach("after", "commit").await;
        Ok(cursor)
    }
}

async fn take_revision(transaction: &mut Transaction<'_, Any>, change: &Change) -> Result<()> {
    let taken = sqlx::query("update config set revision = revision + 1 where id = 1 and revision = $1")
        .bind(change.base_revision)
        .execute(&mut **transaction)
        .await?
        .rows_affected();
    if taken == 1 {
        return Ok(());
    }
    let found: i64 =
        sqlx::query_scalar("select revision from config where id = 1").fetch_one(&mut **transaction).await?;
    let (kind, key) = ("the configuration", "all".to_owned());
    Err(Error::Conflict { kind, key, given: change.base_revision, found })
}

async fn put(transaction: &mut Transaction<'_, Any>, write: &Write) -> Result<()> {
    match write {
        Write::Gate(stored) => put_document(transaction, stored).await,
        Write::Experiment(stored) => put_document(transaction, stored).await,
        Write::Holdout(stored) => put_document(transaction, stored).await,
        Write::Segment(stored) => put_document(transaction, stored).await,
        Write::Config(stored) => put_document(transaction, stored).await,
        Write::Layer(stored) => put_document(transaction, stored).await,
        Write::Metric(stored) => put_document(transaction, stored).await,
        Write::Webhook(stored) => put_document(transaction, stored).await,
        Write::Policy(stored) => put_document(transaction, stored).await,
        Write::SdkKey(stored) => put_document(transaction, stored).await,
        Write::Notice(notice) => put_notice(transaction, notice).await,
        Write::Launch(launch) => put_launch(transaction, launch).await,
        Write::Latch(latch) => {
            sqlx::query(
                "insert into latch (id, body) values ($1, $2) on conflict (id) do update set body = excluded.body",
            )
            .bind(latch.id.0.to_string())
            .bind(to_json(latch)?)
            .execute(&mut **transaction)
            .await?;
            Ok(())
        }
        Write::Decision(decision) => {
            sqlx::query(
                "insert into decision (id, launch_id, at, judged, kind, target, body) values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(decision.id.0.to_string())
            .bind(decision.launch.id.to_string())
            .bind(decision.at.0)
            .bind(i64::from(decision.judgement.is_some()))
            .bind(decision.kind.name())
            .bind(decision.launch.target.path())
            .bind(to_json(decision)?)
            .execute(&mut **transaction)
            .await?;
            Ok(())
        }
    }
}

/// The revision is part of the condition, so that two changes made from the same revision cannot both go through.
async fn put_document<T: Document>(transaction: &mut Transaction<'_, Any>, stored: &Stored<T>) -> Result<()> {
    let done = sqlx::query(
        "insert into document (kind, key, revision, archived, created_at, updated_at, body)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (kind, key) do update
         set revision = excluded.revision, archived = excluded.archived, updated_at = excluded.updated_at,
             body = excluded.body
         where document.revision = excluded.revision - 1",
    )
    .bind(T::KIND)
    .bind(stored.document.key())
    .bind(stored.revision)
    .bind(i64::from(stored.archived))
    .bind(stored.created_at.0)
    .bind(stored.updated_at.0)
    .bind(to_json(&stored.document)?)
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    let key = || stored.document.key().to_owned();
    match (done, stored.revision) {
        (1, _) => Ok(()),
        (_, 1) => Err(Error::AlreadyExists { kind: T::KIND, key: key() }),
        (_, revision) => {
            Err(Error::Conflict { kind: T::KIND, key: key(), given: revision - 1, found: revision })
        }
    }
}

async fn put_launch(transaction: &mut Transaction<'_, Any>, launch: &Launch) -> Result<()> {
    let done = sqlx::query(
        "insert into launch (id, revision, target, live, body) values ($1, $2, $3, $4, $5)
         on conflict (id) do update
         set revision = excluded.revision, live = excluded.live, body = excluded.body
         where launch.revision = excluded.revision - 1",
    )
    .bind(launch.id.to_string())
    .bind(launch.revision)
    .bind(to_json(&launch.target)?)
    .bind(i64::from(launch.is_live()))
    .bind(to_json(launch)?)
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    if done == 1 {
        return Ok(());
    }
    let key = launch.id.to_string();
    Err(Error::Conflict { kind: "launch", key, given: launch.revision - 1, found: launch.revision })
}

async fn add_audit(transaction: &mut Transaction<'_, Any>, change: &Change) -> Result<()> {
    let detail: Vec<serde_json::Value> = change.writes.iter().map(audit_entry).collect();
    sqlx::query("insert into audit (at, actor, action, config_revision, detail) values ($1, $2, $3, $4, $5)")
        .bind(change.at.0)
        .bind(&change.actor)
        .bind(&change.action)
        .bind(change.revision())
        .bind(to_json(&detail)?)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// What an audit row keeps of a write: documents whole, the rest by id, since those rows stay.
fn audit_entry(write: &Write) -> serde_json::Value {
    fn document<T: Document>(stored: &Stored<T>) -> serde_json::Value {
        json!({ "kind": T::KIND, "revision": stored.revision, "archived": stored.archived, "document": stored.document })
    }
    match write {
        Write::Gate(stored) => document(stored),
        Write::Experiment(stored) => document(stored),
        Write::Holdout(stored) => document(stored),
        Write::Segment(stored) => document(stored),
        Write::Config(stored) => document(stored),
        Write::Layer(stored) => document(stored),
        Write::Metric(stored) => document(stored),
        // Its secret is stored with it, and nowhere else.
        Write::Webhook(stored) => document(&Stored { document: stored.document.shown(), ..stored.clone() }),
        Write::Policy(stored) => document(stored),
        Write::SdkKey(stored) => document(stored),
        Write::Launch(launch) => json!({ "kind": "launch", "id": launch.id, "revision": launch.revision }),
        Write::Latch(latch) => json!({ "kind": "latch", "latch": latch }),
        Write::Decision(decision) => json!({ "kind": "decision", "id": decision.id }),
        Write::Notice(notice) => json!({ "kind": "notice", "id": notice.id, "webhook": notice.webhook }),
    }
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}
