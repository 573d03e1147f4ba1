//! What the database says of a failure, in terms a caller can act on.

use std::borrow::Cow;
use std::num::TryFromIntError;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::error::Error;

/// SQLSTATE of a transaction that could not be put in order with the others, and of one that was chosen to end a deadlock.
const IN_THE_WAY: [&str; 2] = ["40001", "40P01"];
/// The constraint that is broken where two writers bring the same event at once. Done again, the later one finds it stored.
const SAME_EVENT: &str = "event_id_key";
/// SQLSTATEs, or their classes, of a server that cannot do it now: connections lost or not let in, a database that is not
/// there, resources short, a lock not had, a statement cancelled, a server that stops, starts or is a standby, a disk or a
/// server that fails.
const LATER: [&str; 10] = ["08", "25006", "28", "3D", "53", "55", "57014", "57P", "58", "XX"];
/// Classes of SQLSTATE for which what was to be stored is the cause: values, constraints, what is too large.
const OF_THE_DATA: [&str; 3] = ["22", "23", "54"];
/// Result codes of SQLite: busy, locked.
const BUSY: [u32; 2] = [5, 6];
/// Result codes of SQLite for a disk that fails, may not be written, is full, or for a file that is out of reach.
const FILE_FAILS: [(u32, &str); 4] = [
    (8, "its file may not be written"),
    (10, "its disk fails"),
    (13, "its disk is full"),
    (14, "its file can not be opened"),
];
/// Result codes of SQLite for which what was to be stored is the cause: too large, constraints, types.
const OF_THE_DATA_IN_FILE: [u32; 3] = [18, 19, 20];

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

/// Whether what was to be stored caused the failure, so that trying it again is of no use. Whatever else fails may pass.
#[must_use]
pub fn is_of_the_data(error: &Error) -> bool {
    let Error::Internal(cause) = error else {
        return false;
    };
    match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(cause)) => match code(cause.as_ref()) {
            Some(Code::Server(state)) => OF_THE_DATA.iter().any(|class| state.starts_with(class)),
            Some(Code::File(code)) => OF_THE_DATA_IN_FILE.contains(&code),
            None => false,
        },
        Some(error) => matches!(error, sqlx::Error::Encode(_)),
        None => cause.is::<TryFromIntError>() || cause.is::<serde_json::Error>(),
    }
}

/// What a database calls a failure.
enum Code<'c> {
    /// SQLSTATE.
    Server(Cow<'c, str>),
    /// The primary result code of SQLite.
    File(u32),
}

fn code(cause: &dyn DatabaseError) -> Option<Code<'_>> {
    let code = cause.code()?;
    if cause.try_downcast_ref::<PgDatabaseError>().is_some() {
        return Some(Code::Server(code));
    }
    // The low byte is the primary code.
    code.parse::<u32>().ok().map(|code| Code::File(code & 0xff))
}

/// What to tell of a failure that passes.
fn passing(cause: &dyn DatabaseError) -> Option<String> {
    match code(cause)? {
        Code::Server(state) => {
            let later = LATER.iter().any(|class| state.starts_with(class));
            later.then(|| format!("the store is not available: {}", cause.message()))
        }
        Code::File(code) if BUSY.contains(&code) => Some(BUSY_MESSAGE.to_owned()),
        Code::File(code) => {
            let (_, why) = FILE_FAILS.iter().find(|(fails, _)| *fails == code)?;
            Some(format!("the store is not available: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as Cause;
    use std::{fmt, io};

    use sqlx::error::ErrorKind;

    use super::*;

    /// What SQLite says, by its result code.
    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Cause for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Cause + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Cause + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Cause + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn said(code: &'static str) -> Error {
        sqlx::Error::Database(Box::new(Said(code))).into()
    }

    #[test]
    fn a_file_that_fails_passes_and_data_that_do_not_fit_are_told_apart() {
        // Extended codes have the primary one in their low byte: 778 is a write that failed, 1811 a trigger's refusal.
        for later in ["5", "6", "8", "10", "778", "13", "14"] {
            let error = said(later);
            assert!(matches!(error, Error::Unavailable(_)) && !is_of_the_data(&error), "{later}: {error:?}");
        }
        for data in ["18", "19", "1811", "20"] {
            assert!(is_of_the_data(&said(data)), "{data}");
        }
        for neither in ["1", "11", "21", "26"] {
            let error = said(neither);
            assert!(matches!(error, Error::Internal(_)) && !is_of_the_data(&error), "{neither}: {error:?}");
        }
        assert!(is_of_the_data(&Error::internal(u8::try_from(256).unwrap_err())));
        assert!(!is_of_the_data(&Error::internal("something else")));
    }

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
