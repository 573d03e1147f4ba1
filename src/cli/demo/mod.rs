//! `portcullis demo`: a real server, simulated visitors, and the guard at work, seen through the API only.

mod attempts;
mod checklist;
mod clients;
mod timeline;
mod visitors;
mod watch;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{LogFormat, ServeSettings};
use crate::domain::policy::DEFAULT_ENVIRONMENT;
use checklist::{Checklist, PROMISES};
use clients::Clients;
use timeline::Timeline;

/// The demo gives up after this long; it takes less than a minute where the machine is not busy with something else.
const DEADLINE: Duration = Duration::from_mins(3);

/// Settings of the demo.
#[derive(Args, Debug)]
pub(super) struct DemoSettings {
    /// Keep the data folder, to look into it or to serve it afterwards.
    #[arg(long)]
    keep: bool,
    /// Seed of the simulated visitors.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the demo; succeeds only when everything it promises was observed.
pub(super) fn run(settings: &DemoSettings) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    let folder = tempfile::Builder::new().prefix("portcullis-demo-").tempdir();
    let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
    let outcome = runtime.block_on(demo(settings, folder.path()));
    // Dropping the folder removes it, whatever became of the demo.
    if settings.keep {
        let path = folder.keep();
        Timeline::after(&format!("data kept: portcullis serve --data-dir {}", path.display()));
    }
    outcome
}

async fn demo(settings: &DemoSettings, folder: &Path) -> Result<ExitCode, String> {
    let app =
        App::start(&server_settings(folder), Clock::system()).await.map_err(|error| error.to_string())?;
    let timeline = Timeline::start(PROMISES.len() as u64);
    timeline.line(&format!(
        "a server listens on {}; everything below is seen through its gRPC API",
        app.address()
    ));
    let stop = CancellationToken::new();
    let mut checklist = Checklist::default();
    let told = tokio::select! {
        // Past the deadline, the checklist says what is missing.
        told = tokio::time::timeout(DEADLINE, tell(settings, app.address(), &timeline, &stop, &mut checklist)) => {
            told.unwrap_or(Ok(()))
        }
        _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    stop.cancel();
    timeline.finish();
    let stopped = app.stop().await.map_err(|error| error.to_string());
    told?;
    stopped?;
    let missing = checklist.missing();
    if missing.is_empty() {
        Timeline::after("everything was observed through the API");
        Ok(ExitCode::SUCCESS)
    } else {
        Err(format!("not observed within {} s: {}", DEADLINE.as_secs(), missing.join("; ")))
    }
}

/// The users' world is set up, visitors arrive, two launches begin, and what becomes of them is watched.
async fn tell(
    settings: &DemoSettings,
    address: SocketAddr,
    timeline: &Timeline,
    stop: &CancellationToken,
    checklist: &mut Checklist,
) -> Result<(), String> {
    let mut clients = Clients::connect(address).await?;
    let world = world::build(&mut clients, timeline).await?;
    let visitors = visitors::start(&clients, settings.seed, stop);
    timeline.line("visitors arrive; 30 % of them sign up, and with the new signup form a quarter fewer");
    watch::watch(&mut clients, &world, &visitors, timeline, checklist).await
}

fn server_settings(folder: &Path) -> ServeSettings {
    ServeSettings {
        data_dir: folder.to_owned(),
        database: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        http_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        environment: DEFAULT_ENVIRONMENT.to_owned(),
        tick: Duration::from_millis(200),
        stalled_after_ticks: 3,
        lease: Duration::from_secs(15),
        name: None,
        follow_every: Duration::from_secs(15),
        allowed_lateness: Duration::from_millis(200),
        max_event_skew: Duration::from_mins(5),
        event_queue: 256,
        event_queue_bytes: 64 << 20,
        spool_bytes: 1 << 30,
        retention: Duration::from_hours(24 * 400),
        exposure_queue: 65_536,
        exposure_memory: 1_000_000,
        webhook_attempts: 16,
        webhook_retry: Duration::from_secs(5),
        webhook_timeout: Duration::from_secs(10),
        webhook_private_addresses: false,
        secrets_dir: None,
        watch_patience: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(5),
        log: String::new(),
        log_format: LogFormat::Text,
    }
}
