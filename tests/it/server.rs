//! A server for one test: a real one, on a free port, with a data folder of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use portcullis::analysis::again::{Again, again};
use portcullis::app::{App, AppError};
use portcullis::clock::Clock;
use portcullis::config::{LogFormat, ServeSettings};
use portcullis::database::Database;
use portcullis::domain::time::Timestamp;
use portcullis::store::{DecisionQuery, Recorded, Store};
use portcullis::transport::grpc::wire::admin_service_client::AdminServiceClient;
use portcullis::transport::grpc::wire::configuration_service_client::ConfigurationServiceClient;
use portcullis::transport::grpc::wire::evaluation_service_client::EvaluationServiceClient;
use portcullis::transport::grpc::wire::event_service_client::EventServiceClient;
use portcullis::transport::grpc::wire::guard_service_client::GuardServiceClient;
use portcullis::transport::grpc::wire::{
    self, CheckLaunchRequest, CheckLaunchResponse, CreateGateRequest, Decision, DecisionKind,
    ListDecisionsRequest, Target, TargetKind,
};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::apart::Apart;
use crate::home::Home;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often it looks whether it has happened.
const PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of a message that a test sends or takes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A running server.
pub(crate) struct Server {
    running: Running,
    home: Arc<Home>,
    channel: Channel,
    /// Where it keeps its files, where that is not the home.
    _folder: Option<TempDir>,
    /// Dropped last.
    _proof: Replayed,
}

/// Where a server runs.
enum Running {
    /// In the test's own process.
    Here(App),
    /// In one of its own.
    Apart(Apart),
}

impl Server {
    /// A new server that reads the system's clock.
    pub(crate) async fn start() -> Self {
        Self::start_in(Home::new().await, Clock::system()).await
    }

    /// A new server that reads the test's clock.
    pub(crate) async fn start_with(clock: &TestClock) -> Self {
        Self::start_in(Home::new().await, clock.clock()).await
    }

    /// A server on what another one may have left.
    pub(crate) async fn start_in(home: Arc<Home>, clock: Clock) -> Self {
        let settings = settings(&home);
        Self::start_as(home, settings, clock).await
    }

    /// A new server where one batch of events may wait.
    pub(crate) async fn start_narrow() -> Self {
        let home = Home::new().await;
        let settings = ServeSettings { event_queue: 1, ..settings(&home) };
        Self::start_as(home, settings, Clock::system()).await
    }

    /// A server that is set otherwise.
    pub(crate) async fn start_as(home: Arc<Home>, settings: ServeSettings, clock: Clock) -> Self {
        let app = App::start(&settings, clock).await.expect("the server starts");
        Self::of(Running::Here(app), home, None).await
    }

    /// Another server on the same database, with a folder of its own.
    pub(crate) async fn beside(&self, change: impl FnOnce(&mut ServeSettings)) -> Self {
        self.beside_at(Clock::system(), change).await
    }

    /// The same by a clock of its own.
    pub(crate) async fn beside_at(&self, clock: Clock, change: impl FnOnce(&mut ServeSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = ServeSettings { data_dir: folder.path().to_owned(), ..settings(&self.home) };
        change(&mut settings);
        let app = App::start(&settings, clock).await.expect("the server starts");
        Self::of(Running::Here(app), Arc::clone(&self.home), Some(folder)).await
    }

    /// A server in a process of its own, with the home's folder.
    pub(crate) async fn apart(home: Arc<Home>, failpoint: Option<&str>) -> Self {
        let apart = Apart::start(&home, failpoint).await;
        Self::of(Running::Apart(apart), home, None).await
    }

    async fn of(running: Running, home: Arc<Home>, folder: Option<TempDir>) -> Self {
        let channel = match &running {
            Running::Here(app) => connect(app.address()).await,
            // It may have ended already.
            Running::Apart(apart) => endpoint(apart.address).connect_lazy(),
        };
        Self { running, channel, _folder: folder, _proof: Replayed(Arc::clone(&home)), home }
    }

    /// Waits until the process of its own has ended by itself, and says by which signal.
    pub(crate) async fn ended(&self) -> Option<i32> {
        let Running::Apart(apart) = &self.running else { panic!("it has no process of its own") };
        apart.ended().await
    }

    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(self) -> Arc<Home> {
        let Running::Apart(apart) = &self.running else { panic!("it has no process of its own") };
        apart.kill();
        self.home
    }

    /// Stops the server as SIGTERM does, and leaves what it has stored.
    pub(crate) async fn stop(self) -> Arc<Home> {
        drop(self.channel);
        let Running::Here(app) = self.running else { panic!("it is killed, and not stopped") };
        app.stop().await.expect("the server stops");
        self.home
    }

    /// What comes of a second server on the same data folder.
    pub(crate) async fn start_second(&self) -> Result<App, AppError> {
        App::start(&settings(&self.home), Clock::system()).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.running {
            Running::Here(app) => app.address(),
            Running::Apart(apart) => apart.address,
        }
    }

    pub(crate) fn http_address(&self) -> SocketAddr {
        match &self.running {
            Running::Here(app) => app.http_address(),
            Running::Apart(apart) => apart.http_address,
        }
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn evaluation(&self) -> EvaluationServiceClient<Channel> {
        EvaluationServiceClient::new(self.channel()).max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel()).max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel()).max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn configuration(&self) -> ConfigurationServiceClient<Channel> {
        ConfigurationServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn guard(&self) -> GuardServiceClient<Channel> {
        GuardServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// What the guard says of a target now.
    pub(crate) async fn check(&self, target: &Target) -> CheckLaunchResponse {
        let subject = wire::check_launch_request::Subject::Target(target.clone());
        let request = CheckLaunchRequest { subject: Some(subject) };
        self.guard().check_launch(request).await.expect("an answer about the target").into_inner()
    }

    /// Waits until the guard's answer about a target is as wanted. Time goes on for the guard meanwhile: events of
    /// somebody else come in.
    pub(crate) async fn check_until(
        &self,
        target: &Target,
        what: &str,
        wanted: impl Fn(&CheckLaunchResponse) -> bool,
    ) -> CheckLaunchResponse {
        eventually(what, async || {
            crate::visitors::heartbeat(self).await;
            let answer = self.check(target).await;
            if wanted(&answer) { Ok(answer) } else { Err(format!("{answer:#?}")) }
        })
        .await
    }

    /// Waits until the guard lets a target have more.
    pub(crate) async fn check_until_allowed(&self, target: &Target) -> CheckLaunchResponse {
        self.check_until(target, "the guard allows", |answer| answer.decision() == DecisionKind::Allow).await
    }

    /// Waits until the guard has looked at everything since: it has judged a launch that began after the call, and, in a
    /// later look, another one.
    pub(crate) async fn until_looked(&self) {
        static NEXT: AtomicI64 = AtomicI64::new(0);
        for _ in 0..2 {
            let key = format!("looked-{}", NEXT.fetch_add(1, Ordering::SeqCst));
            // Others may be making changes.
            eventually("a gate is made", async || {
                let request = CreateGateRequest { gate: Some(crate::documents::gate(&key, 1.0)) };
                self.admin().create_gate(request).await.map_err(|status| status.to_string())
            })
            .await;
            eventually("the guard has looked", async || {
                let answer = self.check(&gate_target(&key)).await;
                answer.judge_time.map(|_| ()).ok_or_else(|| format!("{answer:?}"))
            })
            .await;
        }
    }

    /// All decisions about a launch, or about all of them.
    pub(crate) async fn decisions(&self, launch_id: &str) -> Vec<Decision> {
        let request = ListDecisionsRequest {
            launch_id: launch_id.to_owned(),
            page_size: 1_000,
            ..ListDecisionsRequest::default()
        };
        self.guard().list_decisions(request).await.expect("decisions").into_inner().decisions
    }
}

/// Proves, when a server goes, that each of its decisions comes out the same when it is made again from its record.
struct Replayed(Arc<Home>);

impl Drop for Replayed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let url = self.0.url();
        // The test's own runtime is in use, or gone.
        let proof = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(prove(&url));
        });
        proof.join().expect("every decision comes out the same again");
    }
}

async fn prove(url: &str) {
    let database = Database::open(&url.parse().expect("the address of a database")).await;
    let database = database.expect("the database opens");
    let store = Store::new(database.relational().clone());
    let mut query = DecisionQuery { limit: 100, ..DecisionQuery::default() };
    loop {
        let recorded = store.decisions(&query).await.expect("decisions");
        let Some(last) = recorded.last() else { break };
        query.after = last.cursor;
        for Recorded { decision, .. } in &recorded {
            if let Again::Differs(found) = again(decision) {
                panic!("{found:#?} of decision {:?} of {:?}", decision.id, decision.launch.target);
            }
        }
    }
    database.close().await;
}

/// Settings of a server that looks often and waits for no late events.
pub(crate) fn settings(home: &Home) -> ServeSettings {
    ServeSettings {
        data_dir: home.path().to_owned(),
        database: Some(home.url().parse().expect("the address of a database")),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        http_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        environment: "production".to_owned(),
        tick: Duration::from_millis(50),
        stalled_after_ticks: 3,
        lease: Duration::from_secs(5),
        name: None,
        follow_every: Duration::from_secs(15),
        allowed_lateness: Duration::ZERO,
        max_event_skew: Duration::from_mins(5),
        event_queue: 256,
        event_queue_bytes: 64 << 20,
        spool_bytes: 1 << 30,
        retention: Duration::from_hours(24 * 400),
        exposure_queue: 65_536,
        exposure_memory: 1_000_000,
        webhook_attempts: 16,
        webhook_retry: Duration::from_millis(50),
        webhook_timeout: Duration::from_secs(10),
        webhook_private_addresses: true,
        secrets_dir: None,
        watch_patience: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(5),
        log: "off".to_owned(),
        log_format: LogFormat::Text,
    }
}

/// A connection, once the server takes it.
pub(crate) async fn connect(address: SocketAddr) -> Channel {
    let endpoint = endpoint(address);
    eventually("the server takes connections", async || {
        endpoint.connect().await.map_err(|error| error.to_string())
    })
    .await
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).expect("an address")
}

/// Waits for what must happen; the error says what was seen last.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => {
                assert!(begun.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}; last seen: {seen}");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A clock that the test moves; it stands still otherwise, or goes on like the system's.
#[derive(Clone)]
pub(crate) struct TestClock {
    /// Milliseconds, added to the system's clock where there is one.
    ms: Arc<AtomicI64>,
    system: Option<Clock>,
}

impl TestClock {
    /// Stands still at noon of a day in March.
    pub(crate) fn new() -> Self {
        Self { ms: Arc::new(AtomicI64::new(1_772_452_800_000)), system: None }
    }

    /// Goes on like the system's clock.
    pub(crate) fn running() -> Self {
        Self { ms: Arc::new(AtomicI64::new(0)), system: Some(Clock::system()) }
    }

    pub(crate) fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::of(move || Timestamp(clock.now_ms()))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.ms.load(Ordering::SeqCst) + self.system.as_ref().map_or(0, |clock| clock.now().0)
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ms.fetch_add(i64::try_from(by.as_millis()).expect("a duration"), Ordering::SeqCst);
    }
}

/// The target of a gate that has one rule.
pub(crate) fn gate_target(key: &str) -> Target {
    Target { kind: TargetKind::GateRule.into(), key: key.to_owned(), rule_id: String::new() }
}

/// The target of an experiment.
pub(crate) fn experiment_target(key: &str) -> Target {
    Target { kind: TargetKind::Experiment.into(), key: key.to_owned(), rule_id: String::new() }
}

/// A request in the name of a person.
pub(crate) fn by<T>(principal: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("portcullis-principal", principal.parse().expect("a name"));
    request
}

/// A point in time as it is sent.
pub(crate) fn wire_time(ms: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1_000) * 1_000_000).expect("below a second");
    prost_types::Timestamp { seconds: ms.div_euclid(1_000), nanos }
}

/// Milliseconds of a point in time.
pub(crate) fn ms_of(time: &prost_types::Timestamp) -> i64 {
    time.seconds * 1_000 + i64::from(time.nanos / 1_000_000)
}

/// A length of time as it is sent.
pub(crate) fn wire_duration(ms: i64) -> prost_types::Duration {
    let nanos = i32::try_from(ms % 1_000 * 1_000_000).expect("below a second");
    prost_types::Duration { seconds: ms / 1_000, nanos }
}

/// Paths of the fields that a refusal names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request().map(|details| details.field_violations);
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}
