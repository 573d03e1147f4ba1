//! Where the database is, as it is set. The password is never shown.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// What may follow the `?`.
const PARAMETERS: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// An SQLite file, or a database of a PostgreSQL server. It is shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(super) Place);

/// Where it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(Url),
}

/// A text that tells no database. What it says is safe to show: nothing of the text is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:PATH`; {0}")]
pub struct InvalidDatabaseUrl(String);

impl DatabaseUrl {
    /// The file at a path.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self(Place::Sqlite(path.to_owned()))
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite(path.strip_prefix("//").unwrap_or(path));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text);
        }
        Err(InvalidDatabaseUrl("it begins with neither".to_owned()))
    }
}

fn sqlite(path: &str) -> Result<DatabaseUrl, InvalidDatabaseUrl> {
    if path.is_empty() {
        return Err(InvalidDatabaseUrl("the path is missing".to_owned()));
    }
    if path.starts_with(":memory:") {
        return Err(InvalidDatabaseUrl("what is in memory is lost at the stop".to_owned()));
    }
    Ok(DatabaseUrl::sqlite(Path::new(path)))
}

fn postgres(text: &str) -> Result<DatabaseUrl, InvalidDatabaseUrl> {
    let url = Url::parse(text).map_err(|cause| {
        InvalidDatabaseUrl(format!(
            "{cause} (in a user or password, `/ : @ ? # %` are written as %2F and so on)"
        ))
    })?;
    let mut parameters = url.query_pairs();
    let named =
        !url.path().trim_start_matches('/').is_empty() || parameters.any(|(name, _)| name == "dbname");
    if !named {
        return Err(InvalidDatabaseUrl("the database is missing".to_owned()));
    }
    if url.query_pairs().any(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
        let known = PARAMETERS.join(", ");
        return Err(InvalidDatabaseUrl(format!("it has a parameter that is none of {known}")));
    }
    // What is wrong with a value would be told with the value.
    if PgConnectOptions::from_str(text).is_err() {
        let message = "a parameter has a value that is not possible (sslmode is one of disable, allow, prefer, \
                       require, verify-ca, verify-full; port a number; hostaddr an IP address)";
        return Err(InvalidDatabaseUrl(message.to_owned()));
    }
    Ok(DatabaseUrl(Place::Postgres(url)))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(url) => {
                f.write_str("postgres://")?;
                if !url.username().is_empty() {
                    write!(f, "{}@", url.username())?;
                }
                f.write_str(url.host_str().unwrap_or_default())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<DatabaseUrl>().expect_err(text).to_string()
    }

    #[test]
    fn files_and_servers_are_told_apart() {
        for text in ["sqlite:here/it.db", "sqlite:/var/lib/it.db"] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().to_string(), text);
        }
        assert_eq!("sqlite:///var/it.db".parse::<DatabaseUrl>(), "sqlite:/var/it.db".parse());
        for text in ["postgres://guard@db:5433/flags", "postgresql://guard@db:5433/flags?sslmode=require"] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().to_string(), "postgres://guard@db:5433/flags");
        }
        for text in ["postgres://%2Frun%2Fpostgresql/flags", "postgres:///?host=/run/postgresql&dbname=flags"]
        {
            assert!(text.parse::<DatabaseUrl>().is_ok(), "{text}");
        }
    }

    #[test]
    fn the_password_is_shown_nowhere() {
        for text in ["postgres://guard:hunter2@db/flags", "postgres://guard@db/flags?password=hunter2"] {
            let url: DatabaseUrl = text.parse().unwrap();
            for shown in [url.to_string(), format!("{url:?}")] {
                assert!(shown.contains("guard@db/flags") && !shown.contains("hunter2"), "{shown}");
            }
        }
        for text in [
            "mysql://guard:hunter2@db/flags",
            "guard:hunter2@db/flags",
            "postgres://guard:hunter2@db:many/flags",
            "postgres://guard:hunter2/x@db/flags",
            "postgres://guard:12?hunter2@db/flags",
            "postgres://guard:hunter2@db",
            "postgres://guard@db/flags?pasword=hunter2",
            "postgres://guard@db/flags?sslmode=hunter2",
        ] {
            let shown = refusal(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(
                shown.starts_with("must be `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:PATH`;")
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(refusal("flags.db").ends_with("it begins with neither"));
        assert!(refusal("sqlite:").ends_with("the path is missing"));
        assert!(refusal("sqlite::memory:").ends_with("what is in memory is lost at the stop"));
        assert!(refusal("postgres://guard@db").ends_with("the database is missing"));
        assert!(refusal("postgres://guard@db:many/flags").contains("invalid port number"));
        assert!(refusal("postgres://guard@db/flags?ssl=on").contains("none of application_name, dbname"));
        assert!(refusal("postgres://guard@db/flags?sslmode=on").contains("sslmode is one of disable"));
    }
}
