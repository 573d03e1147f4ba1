//! Every setting, read once from flags and environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::domain::policy::DEFAULT_ENVIRONMENT;

/// Settings of the server.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Folder of the database; made when it is not there.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = "portcullis-data")]
    pub data_dir: PathBuf,
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
    /// How long after its time an event is waited for before numbers count as complete.
    #[arg(long, env = "PORTCULLIS_ALLOWED_LATENESS", default_value = "2s", value_parser = humantime::parse_duration)]
    pub allowed_lateness: Duration,
    /// How far in the future an event's time may lie.
    #[arg(long, env = "PORTCULLIS_MAX_EVENT_SKEW", default_value = "5m", value_parser = humantime::parse_duration)]
    pub max_event_skew: Duration,
    /// Batches of events that may wait to be stored; over it callers get UNAVAILABLE.
    #[arg(long, env = "PORTCULLIS_EVENT_QUEUE", default_value_t = 64, value_parser = size())]
    pub event_queue: u32,
    /// Exposures that may wait to be stored; over it they are dropped and the log says how many.
    #[arg(long, env = "PORTCULLIS_EXPOSURE_QUEUE", default_value_t = 65_536, value_parser = size())]
    pub exposure_queue: u32,
    /// Exposures that are remembered so that repeats need no write.
    #[arg(long, env = "PORTCULLIS_EXPOSURE_MEMORY", default_value_t = 1_000_000, value_parser = size())]
    pub exposure_memory: u32,
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

fn size() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100_000_000)
}
