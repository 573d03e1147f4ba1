//! What the database says of a failure, in terms a caller can act on.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::error::Error;

/// SQLSTATE of a transaction that could not be put in order with the others, and of one that was chosen to end a deadlock.
const IN_THE_WAY: [&str; 2] = ["40001", "40P01"];
/// The constraint that is broken where two writers bring the same event at once. Done again, the later one finds it stored.
const SAME_EVENT: &str = "event_id_key";
/// SQLSTATEs, or their classes, of a server that cannot do it now: connections lost, resources short, a lock not had, a
/// statement cancelled, a server that stops, starts or is a standby.
const LATER: [&str; 8] = ["08", "53", "55P03", "57014", "57P01", "57P02", "57P03", "25006"];
/// Result codes of SQLite: busy, locked.
const BUSY: [u32; 2] = [5, 6];
/// Result code of SQLite: the disk is full.
const FULL: u32 = 13;

/// What callers are told where somebody else was first.
const BUSY_MESSAGE: &str = "the store is busy";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // A connection that breaks off says so in any of these ways, as far as it got.
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(format!("the store is not available: {error}")),
            sqlx::Error::Database(cause) => match passing(cause.as_ref()) {
                Some(message) => Self::Unavailable(message),
                None => Self::internal(error),
            },
            _ => Self::internal(error),
        }
    }
}

/// Whether the database undid the work because others got in its way; then the cause is still at hand.
pub(super) fn is_in_the_way(error: &Error) -> bool {
    let Error::Internal(cause) = error else {
        return false;
    };
    let cause = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    cause.is_some_and(|cause| {
        let code = cause.code().unwrap_or_default();
        IN_THE_WAY.contains(&code.as_ref()) || cause.constraint() == Some(SAME_EVENT)
    })
}

/// What is told when that goes on.
pub(super) fn busy(error: Error) -> Error {
    if is_in_the_way(&error) { Error::Unavailable(BUSY_MESSAGE.to_owned()) } else { error }
}

/// What to tell of a failure that passes.
fn passing(cause: &dyn DatabaseError) -> Option<String> {
    let code = cause.code()?;
    if cause.try_downcast_ref::<PgDatabaseError>().is_some() {
        let later = LATER.iter().any(|class| code.starts_with(class));
        return later.then(|| format!("the store is not available: {}", cause.message()));
    }
    // The low byte is the primary code.
    match code.parse::<u32>().ok()? & 0xff {
        code if BUSY.contains(&code) => Some(BUSY_MESSAGE.to_owned()),
        FULL => Some("the store is not available: its disk is full".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_lost_connection_passes_however_it_shows() {
        for lost in [
            sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()),
            sqlx::Error::Tls("close_notify is missing".into()),
            sqlx::Error::Protocol("expected ReadyForQuery, got 0".to_owned()),
            sqlx::Error::WorkerCrashed,
            sqlx::Error::BeginFailed,
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
        ] {
            let told = lost.to_string();
            assert!(matches!(lost.into(), Error::Unavailable(_)), "{told}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_statement_does_not_pass() {
        for wrong in [
            sqlx::Error::RowNotFound,
            sqlx::Error::ColumnNotFound("revision".to_owned()),
            sqlx::Error::Decode("no number".into()),
        ] {
            let told = wrong.to_string();
            assert!(matches!(wrong.into(), Error::Internal(_)), "{told}");
        }
    }
}
