//! The service as a whole: its parts built in floor order, started, and drained at the stop.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::clock::Clock;
use crate::config::ServeSettings;
use crate::database::{Database, DatabaseUrl};
use crate::error::Error;
use crate::events::{self, spool::Spool};
use crate::ingest::{Ingest, IngestSettings, Writers};
use crate::jobs::deliver::{Deliver, DeliverySettings, Form};
use crate::jobs::follow;
use crate::jobs::guard::Guard;
use crate::jobs::lead::{Lead, holder};
use crate::jobs::measure::{Measurer, MeasurerParts};
use crate::jobs::retention::Retention;
use crate::live::Live;
use crate::store::Store;
use crate::transport::grpc::json::decision_form;
use crate::transport::grpc::{self, ServeError};
use crate::transport::{Services, http};

/// Name of the database file in the data folder, where no other database is set.
pub const DATABASE_FILE: &str = "portcullis.db";
/// Name of the file in the data folder where events wait while the store is not available.
pub const SPOOL_FILE: &str = "spool.db";

/// Folder of secrets in the data folder, where no other is set.
const SECRETS_FOLDER: &str = "secrets";

/// A judgement may be acted on for this long even where ticks are short: a busy machine misses some of those.
const JUDGEMENT_AGE: Duration = Duration::from_secs(30);

/// What can keep the service from starting or from ending cleanly.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data folder is not usable.
    #[error("data folder {path}: {cause}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Another server works on the data folder.
    #[error("data folder {0}: another server is using it; stop that one or choose another --data-dir")]
    InUse(PathBuf),
    /// The address is not usable.
    #[error("listen address {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The store is not usable.
    #[error("store: {}", .0.in_full())]
    Store(#[from] Error),
    /// The gRPC server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The HTTP server failed.
    #[error("HTTP: {0}")]
    ServeHttp(std::io::Error),
}

/// A service that is running.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    http_address: SocketAddr,
    stop: CancellationToken,
    stop_lead: CancellationToken,
    stop_writers: CancellationToken,
    servers: JoinHandle<Result<(), AppError>>,
    jobs: Vec<(JoinHandle<()>, &'static str)>,
    lead: JoinHandle<()>,
    writers: Writers,
    database: Database,
    drain_timeout: Duration,
    /// Held as long as the service runs.
    _lock: File,
}

impl App {
    /// Builds all parts and starts them. Once it returns, calls are served.
    pub async fn start(settings: &ServeSettings, clock: Clock) -> Result<Self, AppError> {
        let lock = lock_data_dir(&settings.data_dir)?;
        let url = database_url(&settings.data_dir, settings.database.as_ref());
        let database = Database::open(&url).await?;
        let store = Store::new(database.relational().clone());
        let events = events::of(&database);
        let spool = Spool::open(&settings.data_dir.join(SPOOL_FILE), settings.spool_bytes).await?;
        let live = Arc::new(Live::new(store.load().await?, store.last_cursor().await?));

        let [stop, stop_lead, stop_writers] = std::array::from_fn(|_| CancellationToken::new());
        let (ingest, writers) =
            Ingest::start(Arc::clone(&events), spool, &clock, ingest_settings(settings), &stop_writers);
        let max_judgement_age_ms =
            milliseconds(settings.tick.saturating_mul(settings.stalled_after_ticks).max(JUDGEMENT_AGE));
        let (outbox, leases) = (store.clone(), store.clone());
        let retention = Retention {
            live: Arc::clone(&live),
            events: Arc::clone(&events),
            clock: clock.clone(),
            keep_ms: milliseconds(settings.retention),
        };
        let measurer = Measurer::new(MeasurerParts {
            live: Arc::clone(&live),
            store: store.clone(),
            events: Arc::clone(&events),
            ingest: ingest.clone(),
            clock: clock.clone(),
            tick: settings.tick,
            allowed_lateness_ms: milliseconds(settings.allowed_lateness),
        });
        let admin = Admin::new(
            store,
            events,
            Arc::clone(&live),
            clock.clone(),
            &settings.environment,
            max_judgement_age_ms,
        );
        let (guard_live, tick) = (Arc::clone(&live), settings.tick);
        let guard = Guard { live: guard_live, admin: admin.clone(), clock: clock.clone(), tick };

        let (form, delivery) = (Form::of(decision_form()?), delivery_settings(settings));
        let deliver = Deliver::new(Arc::clone(&live), outbox, clock.clone(), form, delivery)?;

        let (listener, address) = listen(settings.listen).await?;
        let (http_listener, http_address) = listen(settings.http_listen).await?;
        let max_event_skew_ms = milliseconds(settings.max_event_skew);
        let name = settings.name.clone().unwrap_or_else(|| address.to_string());
        let holder = holder(&settings.data_dir, name, &clock)
            .await
            .map_err(|cause| AppError::DataDir { path: settings.data_dir.clone(), cause })?;
        let lead = Lead::new(Arc::clone(&live), leases, holder, settings.lease);
        let (news, news_listener) = database.news();
        let follower = follow::run(admin.clone(), news, settings.follow_every, stop.clone());
        let watch_patience = settings.watch_patience;
        let services = Services { live, ingest, admin, clock, max_event_skew_ms, watch_patience };
        let servers = tokio::spawn(serve(services, listener, http_listener, stop.clone()));
        let lead = tokio::spawn(lead.run(stop_lead.clone()));
        let mut jobs = vec![
            (tokio::spawn(measurer.run(stop.clone())), "measurer"),
            (tokio::spawn(guard.run(stop.clone())), "guard"),
            (tokio::spawn(retention.run(stop.clone())), "retention"),
            (tokio::spawn(follower), "follower"),
            (tokio::spawn(deliver.run(stop.clone())), "webhooks"),
        ];
        jobs.extend(news_listener.map(|listener| (tokio::spawn(listener.run(stop.clone())), "listener")));
        tracing::info!(%address, %http_address, data_dir = %settings.data_dir.display(), database = %url, "serving");
        let drain_timeout = settings.drain_timeout;
        Ok(Self {
            address,
            http_address,
            stop,
            stop_lead,
            stop_writers,
            servers,
            jobs,
            lead,
            writers,
            database,
            drain_timeout,
            _lock: lock,
        })
    }

    /// Where gRPC calls are served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where HTTP calls are served.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Serves until `signal`, or until a server fails.
    pub async fn run_until(mut self, signal: impl Future<Output = ()>) -> Result<(), AppError> {
        tokio::select! {
            ended = &mut self.servers => {
                self.servers = tokio::spawn(async { Ok(()) });
                let stopped = self.stop().await;
                ended.map_err(Error::internal)??;
                stopped
            }
            () = signal => self.stop().await,
        }
    }

    /// Stops taking calls, lets those under way end, stores what is queued, and closes the store.
    pub async fn stop(self) -> Result<(), AppError> {
        tracing::info!("stopping");
        self.stop.cancel();
        let abort = self.servers.abort_handle();
        let served = tokio::time::timeout(self.drain_timeout, self.servers).await;
        if served.is_err() {
            tracing::warn!("calls were still under way at the end of the drain timeout, and are cut off");
            abort.abort();
        }
        for (job, name) in self.jobs {
            if let Err(error) = job.await {
                tracing::error!(%error, "the {name} did not end cleanly");
            }
        }
        // Once nothing acts under it any more.
        self.stop_lead.cancel();
        if let Err(error) = self.lead.await {
            tracing::error!(%error, "the lease was not handed back");
        }
        self.stop_writers.cancel();
        self.writers.drained().await;
        self.database.close().await;
        tracing::info!("stopped");
        match served {
            Ok(ended) => Ok(ended.map_err(Error::internal)??),
            Err(_) => Ok(()),
        }
    }
}

/// Serves both protocols until the stop; when one fails, the other ends with it.
async fn serve(
    services: Services,
    listener: TcpListener,
    http_listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let http = http::serve(services.clone(), http_listener, stop.clone());
    let http = async { http.await.map_err(AppError::ServeHttp) };
    let grpc = async { grpc::serve(services, listener, stop).await.map_err(AppError::Serve) };
    tokio::try_join!(grpc, http).map(|_| ())
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let listen_error = |cause| AppError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    Ok((listener, address))
}

/// Makes the data folder, and keeps other servers out of it for as long as the file lives.
fn lock_data_dir(path: &Path) -> Result<File, AppError> {
    let unusable = |cause| AppError::DataDir { path: path.to_owned(), cause };
    std::fs::create_dir_all(path).map_err(unusable)?;
    let lock = File::create(path.join("portcullis.lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(AppError::InUse(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}

/// Where everything is stored: in a file of the data folder, where no database is named.
#[must_use]
pub fn database_url(data_dir: &Path, database: Option<&DatabaseUrl>) -> DatabaseUrl {
    let file = || DatabaseUrl::sqlite(&data_dir.join(DATABASE_FILE));
    database.cloned().unwrap_or_else(file)
}

fn ingest_settings(settings: &ServeSettings) -> IngestSettings {
    let size = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    IngestSettings {
        event_queue: size(settings.event_queue),
        event_queue_bytes: usize::try_from(settings.event_queue_bytes).unwrap_or(usize::MAX),
        exposure_queue: size(settings.exposure_queue),
        exposure_memory: size(settings.exposure_memory),
    }
}

fn delivery_settings(settings: &ServeSettings) -> DeliverySettings {
    let secrets_dir = || settings.data_dir.join(SECRETS_FOLDER);
    DeliverySettings {
        attempts: settings.webhook_attempts,
        retry: settings.webhook_retry,
        timeout: settings.webhook_timeout,
        private_addresses: settings.webhook_private_addresses,
        secrets_dir: settings.secrets_dir.clone().unwrap_or_else(secrets_dir),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
