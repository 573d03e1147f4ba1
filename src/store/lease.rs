//! The lease of the guard: one server acts at a time, under a number by which what an earlier one writes late is refused.

use std::time::Duration;

use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use uuid::Uuid;

use super::{Statement, Store};
use crate::database::bounded;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// The fencing number of whoever holds the lease; it grows with each that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub i64);

/// A server that may hold the lease.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Nobody else's.
    pub id: Uuid,
    /// What people know it by.
    pub name: String,
}

/// The lease as it stands, by the database's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The number of the latest holder.
    pub fence: Fence,
    /// Its id; empty before the first one.
    pub holder: String,
    /// Its name; empty before the first one.
    pub name: String,
    /// Since when it has held the lease.
    pub since: Timestamp,
    /// How long it still runs; zero where nobody holds it.
    pub left: Duration,
}

impl Store {
    /// Takes the lease if it is free or has run out, under a new number; with `own` as well where this holder has it already.
    /// Says whether it was taken.
    pub async fn take_lease(&self, holder: &Holder, length: Duration, own: bool) -> Result<bool> {
        let now = self.database.now();
        let text = format!(
            "update lease
             set fence = fence + 1, holder = $1, name = $2, since = {now}, expires_at = {now} + $3
             where id = 1 and (expires_at <= {now} or (holder = $1 and $4 = 1))"
        );
        let query = sqlx::query(AssertSqlSafe(text))
            .bind(holder.id.to_string())
            .bind(holder.name.as_str())
            .bind(milliseconds(length))
            .bind(i64::from(own));
        Ok(self.database.run(query).await? == 1)
    }

    /// Holds the lease for its full length from now on; false where somebody else has taken it.
    pub async fn renew_lease(&self, holder: &Holder, fence: Fence, length: Duration) -> Result<bool> {
        let text = format!(
            "update lease set expires_at = {} + $3 where id = 1 and holder = $1 and fence = $2",
            self.database.now()
        );
        let query = sqlx::query(AssertSqlSafe(text))
            .bind(holder.id.to_string())
            .bind(fence.0)
            .bind(milliseconds(length));
        Ok(self.database.run(query).await? == 1)
    }

    /// Hands the lease back, so that another one need not wait until it has run out.
    pub async fn release_lease(&self, holder: &Holder, fence: Fence) -> Result<()> {
        let query =
            sqlx::query("update lease set expires_at = 0 where id = 1 and holder = $1 and fence = $2");
        let query = query.bind(holder.id.to_string()).bind(fence.0);
        self.database.run(query).await.map(|_| ())
    }

    /// The lease as it stands.
    pub async fn lease(&self) -> Result<Lease> {
        let text = format!(
            "select fence, holder, name, since, expires_at - {} as left_ms from lease where id = 1",
            self.database.now()
        );
        let row = self.database.first(sqlx::query(AssertSqlSafe(text))).await?;
        let row = row.ok_or_else(|| Error::internal("the lease has no row"))?;
        let left_ms: i64 = row.try_get("left_ms")?;
        Ok(Lease {
            fence: Fence(row.try_get("fence")?),
            holder: row.try_get("holder")?,
            name: row.try_get("name")?,
            since: Timestamp(row.try_get("since")?),
            left: Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)),
        })
    }

    /// Runs a statement that only the holder of the lease may, and says how many rows it has changed.
    pub(super) async fn run_fenced(&self, fence: Fence, statement: Statement<'_>) -> Result<u64> {
        bounded(async {
            let mut transaction = self.database.write().await?;
            let changed = statement.execute(&mut *transaction).await?.rows_affected();
            self.commit_fenced(transaction, Some(fence)).await?;
            Ok(changed)
        })
        .await
    }

    /// Commits, unless it was written under a number that is no longer that of the lease. Until the commit nobody else takes
    /// it. It is the last that a transaction asks for, so that the lease is held up no longer than a commit takes.
    pub(super) async fn commit_fenced(
        &self,
        mut transaction: Transaction<'_, Any>,
        fence: Option<Fence>,
    ) -> Result<()> {
        if let Some(Fence(given)) = fence {
            let text = format!("select fence from lease where id = 1{}", self.database.shared_lock());
            let found: i64 = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut *transaction).await?;
            if found != given {
                transaction.rollback().await?;
                return Err(Error::WrongState(format!(
                    "another server acts by now: the fencing number is {found}, and this was written under {given}"
                )));
            }
        }
        Ok(transaction.commit().await?)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
