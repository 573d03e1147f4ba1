//! A server with a database of its own, and the calls that visitors and operators make.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use portcullis::app::App;
use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::admin_service_client::AdminServiceClient;
use portcullis::transport::grpc::wire::evaluation_service_client::EvaluationServiceClient;
use portcullis::transport::grpc::wire::event_service_client::EventServiceClient;
use portcullis::transport::grpc::wire::guard_service_client::GuardServiceClient;
use portcullis::transport::grpc::wire::metric_service_client::MetricServiceClient;
use portcullis::transport::grpc::wire::{
    CheckGateRequest, CreateGateRequest, CreateMetricRequest, Event, Gate, GateRule, Launch,
    ListLaunchesRequest, LogEventsRequest, Metric, MetricKind, User,
};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::Outcome;

/// Most events of one batch.
const BATCH: usize = 1_000;
/// Bytes of the largest answer that is taken.
const LARGEST: usize = 64 * 1024 * 1024;
/// Most launches of one page.
const PAGE: i32 = 1_000;

/// A server that runs in this process.
pub(crate) struct World {
    app: App,
    channel: Channel,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start(mut settings: ServeSettings, clock: Clock) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        settings.data_dir = folder.path().to_owned();
        settings.listen.set_port(0);
        settings.http_listen.set_port(0);
        let app = App::start(&settings, clock).await?;
        let channel = Endpoint::from_shared(format!("http://{}", app.address()))?.connect().await?;
        Ok(Self { app, channel, _folder: folder })
    }

    pub(crate) async fn stop(self) -> Outcome<()> {
        Ok(self.app.stop().await?)
    }

    pub(crate) fn callers(&self) -> Callers {
        let channel = || self.channel.clone();
        Callers {
            admin: AdminServiceClient::new(channel()),
            evaluation: EvaluationServiceClient::new(channel()),
            events: EventServiceClient::new(channel()),
            guard: GuardServiceClient::new(channel()).max_decoding_message_size(LARGEST),
            metrics: MetricServiceClient::new(channel()).max_decoding_message_size(LARGEST),
        }
    }
}

/// One caller of each service.
#[derive(Clone)]
pub(crate) struct Callers {
    pub(crate) admin: AdminServiceClient<Channel>,
    pub(crate) evaluation: EvaluationServiceClient<Channel>,
    pub(crate) events: EventServiceClient<Channel>,
    pub(crate) guard: GuardServiceClient<Channel>,
    pub(crate) metrics: MetricServiceClient<Channel>,
}

impl Callers {
    pub(crate) async fn create_metric(&mut self, metric: Metric) -> Outcome<()> {
        self.admin.create_metric(CreateMetricRequest { metric: Some(metric) }).await?;
        Ok(())
    }

    /// A gate with one rule for everyone. Above 0 percent it is a launch.
    pub(crate) async fn create_gate(&mut self, key: &str, percentage: f64) -> Outcome<()> {
        let rule = GateRule { id: "everyone".to_owned(), percentage, ..GateRule::default() };
        let gate = Gate { key: key.to_owned(), rules: vec![rule], ..Gate::default() };
        self.admin.create_gate(CreateGateRequest { gate: Some(gate) }).await?;
        Ok(())
    }

    /// Whether a visitor passes, as their exposure.
    pub(crate) async fn exposed(&mut self, gate: &str, visitor: &str) -> Outcome<bool> {
        self.check(gate, visitor, false).await
    }

    /// Whether a visitor passes, without a trace.
    pub(crate) async fn served(&mut self, gate: &str, visitor: &str) -> Outcome<bool> {
        self.check(gate, visitor, true).await
    }

    async fn check(&mut self, gate: &str, visitor: &str, disable_exposure: bool) -> Outcome<bool> {
        let request = CheckGateRequest { user: Some(user(visitor)), gate: gate.to_owned(), disable_exposure };
        Ok(self.evaluation.check_gate(request).await?.into_inner().pass)
    }

    pub(crate) async fn log(&mut self, events: &[Event]) -> Outcome<()> {
        for batch in events.chunks(BATCH) {
            self.events.log_events(LogEventsRequest { events: batch.to_vec() }).await?;
        }
        Ok(())
    }

    /// Every launch there was.
    pub(crate) async fn launches(&mut self) -> Outcome<Vec<Launch>> {
        let mut launches = Vec::new();
        let mut request = ListLaunchesRequest { page_size: PAGE, ..ListLaunchesRequest::default() };
        loop {
            let page = self.guard.list_launches(request.clone()).await?.into_inner();
            launches.extend(page.launches);
            if page.next_page_token.is_empty() {
                return Ok(launches);
            }
            request.page_token = page.next_page_token;
        }
    }
}

/// A guardrail of an event.
pub(crate) fn guardrail(key: &str, kind: MetricKind) -> Metric {
    Metric {
        key: key.to_owned(),
        kind: kind.into(),
        event: key.to_owned(),
        tags: vec!["guardrail".to_owned()],
        ..Metric::default()
    }
}

/// What a visitor does now. Its time is that of the server when it arrives.
pub(crate) fn event(name: &str, visitor: &str, value: Option<f64>) -> Event {
    Event { name: name.to_owned(), user: Some(user(visitor)), value, ..Event::default() }
}

fn user(visitor: &str) -> User {
    User { user_id: visitor.to_owned(), ..User::default() }
}

/// The value that so large a share of them does not exceed; infinite where there is none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let place = (share * sorted.len().saturating_sub(1) as f64).ceil() as usize;
    sorted.get(place).copied().unwrap_or(f64::INFINITY)
}

/// A bar that says how far a drill is.
pub(crate) fn progress(length: u64, of: &str) -> Outcome<ProgressBar> {
    let bar = ProgressBar::new(length);
    let template = format!("{{wide_bar}} {{pos}} of {{len}} {of}, {{eta}} left, {{msg}}");
    bar.set_style(ProgressStyle::with_template(&template)?);
    bar.enable_steady_tick(Duration::from_secs(1));
    Ok(bar)
}
