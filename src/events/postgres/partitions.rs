//! Partitions of events by their time, made before the first event of a stretch comes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::domain::event::Event;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::error::Result;

/// Length of a partition in milliseconds: 28 days. Reading a unit looks into each partition of its time, and dropping takes
/// whole ones.
pub(super) const STRETCH_MS: i64 = 28 * DAY_MS;
/// What names of partitions begin with; the number of the stretch since 1970 follows.
pub(super) const PREFIX: &str = "event_p";
/// Partitions are made so many stretches back from the arrival, two years; what is older is kept apart.
const BACK: i64 = 27;
/// Whoever makes or drops partitions holds this advisory lock.
pub(super) const LOCK: i64 = 0x706f_7274_6576;

/// SQLSTATE where rows of a stretch are in the partition for all others already.
const ROWS_ELSEWHERE: &str = "23514";

/// The partitions that are known to be there.
#[derive(Debug, Default)]
pub(super) struct Partitions(Mutex<BTreeSet<i64>>);

/// The stretch that a time is in.
pub(super) fn stretch(at: Timestamp) -> i64 {
    at.0.div_euclid(STRETCH_MS)
}

impl Partitions {
    /// Makes the partitions for events, and one ahead of each that has just begun.
    pub(super) async fn make_for(&self, connection: &mut PgConnection, events: &[&Event]) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for event in events {
            let (now, own) = (stretch(event.received_at), stretch(event.at));
            wanted.extend([now, now + 1]);
            wanted.extend((now - BACK..=now + 1).contains(&own).then_some(own));
        }
        let missing: Vec<i64> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.difference(&known).copied().collect()
        };
        for number in missing {
            make(connection, number).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
        Ok(())
    }

    /// Forgets a partition that was dropped.
    pub(super) fn forget(&self, number: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

async fn make(connection: &mut PgConnection, number: i64) -> Result<()> {
    let (from, to) = (number * STRETCH_MS, (number + 1) * STRETCH_MS);
    let statement = format!(
        "create table if not exists {PREFIX}{number} partition of event for values from ({from}) to ({to})"
    );
    let mut making = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *making).await?;
    // Whoever reads events keeps a table from being made; better to try again than to make everyone wait.
    sqlx::query("set local lock_timeout = '5s'").execute(&mut *making).await?;
    match sqlx::query(AssertSqlSafe(statement)).execute(&mut *making).await {
        Ok(_) => Ok(making.commit().await?),
        Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(ROWS_ELSEWHERE) => {
            Ok(making.rollback().await?)
        }
        Err(error) => Err(error.into()),
    }
}
