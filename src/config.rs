//! Every setting, read once from flags and environment.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, ValueEnum};

use crate::database::{DatabaseUrl, InvalidDatabaseUrl};

use crate::domain::policy::DEFAULT_ENVIRONMENT;

/// How long a lease may be.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
/// The least that is kept of events.
const DAY: Duration = Duration::from_hours(24);

/// Settings of the server.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Folder of the server's own files; made when it is not there.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = "portcullis-data")]
    pub data_dir: PathBuf,
    /// Where everything is stored: postgres://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:PATH; if it is not given, an SQLite
    /// file in the data folder.
    #[arg(long, env = "PORTCULLIS_DATABASE", value_name = "URL", hide_env_values = true, value_parser = DatabaseUrlParser)]
    pub database: Option<DatabaseUrl>,
    /// Address and port of the gRPC server; port 0 takes a free one.
    #[arg(long, env = "PORTCULLIS_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Address and port of the HTTP server for SDKs and health; port 0 takes a free one.
    #[arg(long, env = "PORTCULLIS_HTTP_LISTEN", default_value = "127.0.0.1:8080")]
    pub http_listen: SocketAddr,
    /// Which environment this server is; launches are under the policy of this key.
    #[arg(long, env = "PORTCULLIS_ENVIRONMENT", default_value = DEFAULT_ENVIRONMENT)]
    pub environment: String,
    /// The longest time between two looks of the guard; it looks sooner when there are new events.
    #[arg(long, env = "PORTCULLIS_TICK", default_value = "10s", value_parser = positive_duration)]
    pub tick: Duration,
    /// After how many ticks without a look of the guard its word is none: nothing is raised then, and health says so.
    #[arg(long, env = "PORTCULLIS_STALLED_AFTER_TICKS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub stalled_after_ticks: u32,
    /// How long the right to act for the guard lasts unless it is renewed: as long after a server died another one acts.
    #[arg(long, env = "PORTCULLIS_LEASE", default_value = "15s", value_parser = lease)]
    pub lease: Duration,
    /// What this server is called among those on one database; if it is not given, its gRPC address.
    #[arg(long, env = "PORTCULLIS_NAME")]
    pub name: Option<String>,
    /// How often a server asks PostgreSQL for what others have changed, besides being told of it; where it is not told, it asks
    /// every second.
    #[arg(long, env = "PORTCULLIS_FOLLOW_EVERY", default_value = "15s", value_parser = positive_duration)]
    pub follow_every: Duration,
    /// How long after its time an event is waited for before numbers count as complete.
    #[arg(long, env = "PORTCULLIS_ALLOWED_LATENESS", default_value = "2s", value_parser = humantime::parse_duration)]
    pub allowed_lateness: Duration,
    /// How far in the future an event's time may lie.
    #[arg(long, env = "PORTCULLIS_MAX_EVENT_SKEW", default_value = "5m", value_parser = humantime::parse_duration)]
    pub max_event_skew: Duration,
    /// Batches of events that may wait to be stored; over it callers get UNAVAILABLE.
    #[arg(long, env = "PORTCULLIS_EVENT_QUEUE", default_value_t = 64, value_parser = size())]
    pub event_queue: u32,
    /// Their bytes, in all: a number with a unit, such as 64MiB.
    #[arg(long, env = "PORTCULLIS_EVENT_QUEUE_BYTES", default_value = "64MiB", value_parser = bytes)]
    pub event_queue_bytes: u64,
    /// Bytes of events and exposures that may wait on the local disk while the store is not available; over it callers get
    /// UNAVAILABLE.
    #[arg(long, env = "PORTCULLIS_SPOOL_BYTES", default_value = "1GiB", value_parser = bytes)]
    pub spool_bytes: u64,
    /// How long events are kept; what a live launch is measured on stays.
    #[arg(long, env = "PORTCULLIS_RETENTION", default_value = "400d", value_parser = days)]
    pub retention: Duration,
    /// Exposures that may wait to be stored; over it they are dropped and the log says how many.
    #[arg(long, env = "PORTCULLIS_EXPOSURE_QUEUE", default_value_t = 65_536, value_parser = size())]
    pub exposure_queue: u32,
    /// Exposures that are remembered so that repeats need no write.
    #[arg(long, env = "PORTCULLIS_EXPOSURE_MEMORY", default_value_t = 1_000_000, value_parser = size())]
    pub exposure_memory: u32,
    /// How long a watcher of decisions may leave them untaken before its stream is ended.
    #[arg(long, env = "PORTCULLIS_WATCH_PATIENCE", default_value = "30s", value_parser = positive_duration)]
    pub watch_patience: Duration,
    /// How often a decision is sent to a webhook that does not take it before it is given up.
    #[arg(long, env = "PORTCULLIS_WEBHOOK_ATTEMPTS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub webhook_attempts: u32,
    /// How long the second attempt waits; each wait after it is twice as long, and a day at most.
    #[arg(long, env = "PORTCULLIS_WEBHOOK_RETRY", default_value = "5s", value_parser = positive_duration)]
    pub webhook_retry: Duration,
    /// How long a webhook may take to answer.
    #[arg(long, env = "PORTCULLIS_WEBHOOK_TIMEOUT", default_value = "10s", value_parser = positive_duration)]
    pub webhook_timeout: Duration,
    /// Whether decisions may be sent to private, loopback and link-local addresses.
    #[arg(long, env = "PORTCULLIS_WEBHOOK_PRIVATE_ADDRESSES")]
    pub webhook_private_addresses: bool,
    /// Folder of the secrets that webhooks name, one a file; if it is not given, `secrets` in the data folder.
    #[arg(long, env = "PORTCULLIS_SECRETS_DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// How long calls under way may go on after a stop.
    #[arg(long, env = "PORTCULLIS_DRAIN_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,
    /// What is logged: a level, or levels by module.
    #[arg(long, env = "PORTCULLIS_LOG", default_value = "info")]
    pub log: String,
    /// How log lines are written.
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// Which database a command works on: that of a server with the same settings.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// Folder of the server's own files; made when it is not there.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = "portcullis-data")]
    pub data_dir: PathBuf,
    /// Where everything is stored: postgres://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:PATH; if it is not given, an SQLite
    /// file in the data folder.
    #[arg(long, env = "PORTCULLIS_DATABASE", value_name = "URL", hide_env_values = true, value_parser = DatabaseUrlParser)]
    pub database: Option<DatabaseUrl>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(duration) }
}

/// Long enough to be renewed in time, and short enough for a number of milliseconds.
fn lease(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if LEASES.contains(&duration) { Ok(duration) } else { Err("must be from 1s to 1h".to_owned()) }
}

/// A number of bytes, with a unit or without.
fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("must be a whole number of B, KiB, MiB or GiB".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "must begin with a whole number".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "is too large".to_owned())
}

fn days(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < DAY { Err("must be at least 1d".to_owned()) } else { Ok(duration) }
}

fn size() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100_000_000)
}

/// Says what is wrong without repeating the value, since there may be a password in it.
#[derive(Clone)]
struct DatabaseUrlParser;

impl TypedValueParser for DatabaseUrlParser {
    type Value = DatabaseUrl;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let refused = |message: String| {
            let message = format!("--database {message}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| refused("must be UTF-8".to_owned()))?;
        text.parse().map_err(|error: InvalidDatabaseUrl| refused(error.to_string()))
    }
}
