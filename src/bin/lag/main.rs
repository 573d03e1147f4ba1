//! How long it takes from an event to the published number that counts it: a real server, visitors and a steady stream.
//!
//! `cargo run --release --bin lag -- --rate 2000 --seconds 120` prints the lags and fails where the 95th percentile is two
//! ticks or more. The server takes every setting of `serve`; without `--data-dir` it works in a folder of its own.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it found")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use portcullis::app::App;
use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::admin_service_client::AdminServiceClient;
use portcullis::transport::grpc::wire::evaluation_service_client::EvaluationServiceClient;
use portcullis::transport::grpc::wire::event_service_client::EventServiceClient;
use portcullis::transport::grpc::wire::guard_service_client::GuardServiceClient;
use portcullis::transport::grpc::wire::metric_service_client::MetricServiceClient;
use portcullis::transport::grpc::wire::{
    CheckGateRequest, CreateGateRequest, CreateMetricRequest, Event, Gate, GateRule, GetMeasurementRequest,
    ListLaunchesRequest, LogEventsRequest, Metric, MetricKind, User,
};
use tokio::time::{Instant, interval, sleep};
use tonic::transport::{Channel, Endpoint};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Visitors that take turns.
const VISITORS: u64 = 2_000;
/// How often events are logged.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the published numbers are read.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    serve: ServeSettings,
    /// Events a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// How long events are logged.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// Until when so many events were logged, or counted.
type Mark = (Instant, u64);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lag: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Outcome<bool> {
    let folder = tempfile::tempdir()?;
    let mut settings = arguments.serve;
    settings.data_dir = folder.path().to_owned();
    settings.listen.set_port(0);
    settings.http_listen.set_port(0);
    let app = App::start(&settings, Clock::system()).await?;
    let channel = Endpoint::from_shared(format!("http://{}", app.address()))?.connect().await?;
    let launch = prepare(&channel).await?;
    let counting = tokio::spawn(count(channel.clone(), launch, arguments.rate * arguments.seconds));
    let logged = log(&channel, arguments.rate, arguments.seconds).await?;
    let counted = counting.await??;
    app.stop().await?;

    let mut lags: Vec<f64> = lags(&logged, &counted);
    lags.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place within the list"
        )]
        let place = (share * lags.len().saturating_sub(1) as f64) as usize;
        lags.get(place).copied().unwrap_or(f64::INFINITY)
    };
    let tick = settings.tick.as_secs_f64();
    println!(
        "{} events at {} a second, tick {tick} s: from event to published number p50 {:.1} s, p95 {:.1} s, most {:.1} s",
        lags.len(),
        arguments.rate,
        at(0.5),
        at(0.95),
        at(1.0)
    );
    Ok(at(0.95) < 2.0 * tick)
}

/// Makes a metric and a gate, and lets every visitor ask it; gives the launch.
async fn prepare(channel: &Channel) -> Outcome<String> {
    let mut admin = AdminServiceClient::new(channel.clone());
    let metric = Metric {
        key: "views".to_owned(),
        kind: MetricKind::Count.into(),
        event: "view".to_owned(),
        tags: vec!["guardrail".to_owned()],
        ..Metric::default()
    };
    admin.create_metric(CreateMetricRequest { metric: Some(metric) }).await?;
    let rule = GateRule { id: "all".to_owned(), percentage: 50.0, ..GateRule::default() };
    let gate = Gate { key: "lag".to_owned(), rules: vec![rule], ..Gate::default() };
    admin.create_gate(CreateGateRequest { gate: Some(gate) }).await?;
    let mut evaluation = EvaluationServiceClient::new(channel.clone());
    for visitor in 0..VISITORS {
        let request =
            CheckGateRequest { user: Some(user(visitor)), gate: "lag".to_owned(), disable_exposure: false };
        evaluation.check_gate(request).await?;
    }
    let mut guard = GuardServiceClient::new(channel.clone());
    let launches = guard.list_launches(ListLaunchesRequest::default()).await?.into_inner().launches;
    let launch = launches.into_iter().next().ok_or("the gate has no launch")?;
    // Events of the moment of an exposure could be taken for earlier ones.
    sleep(Duration::from_secs(1)).await;
    Ok(launch.id)
}

/// Logs events evenly; gives how many were logged by when.
async fn log(channel: &Channel, rate: u64, seconds: u64) -> Outcome<Vec<Mark>> {
    let mut client = EventServiceClient::new(channel.clone());
    let mut ticks = interval(PAUSE);
    let begun = Instant::now();
    let (mut logged, mut marks) = (0, Vec::new());
    while logged < rate * seconds {
        ticks.tick().await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of seconds")]
        let due = ((begun.elapsed().as_secs_f64() * rate as f64) as u64).min(rate * seconds);
        // Their time is that of the server when they arrive.
        let events = (logged..due).map(|index| Event {
            name: "view".to_owned(),
            user: Some(user(index % VISITORS)),
            ..Event::default()
        });
        let events: Vec<Event> = events.collect();
        if events.is_empty() {
            continue;
        }
        marks.push((Instant::now(), due));
        for chunk in events.chunks(1_000) {
            client.log_events(LogEventsRequest { events: chunk.to_vec() }).await?;
        }
        logged = due;
    }
    Ok(marks)
}

/// Reads published numbers until all events are counted, or nothing more is; gives how many were counted by when.
async fn count(channel: Channel, launch: String, all: u64) -> Outcome<Vec<Mark>> {
    let mut client = MetricServiceClient::new(channel.clone()).max_decoding_message_size(64 * 1024 * 1024);
    let mut events = EventServiceClient::new(channel);
    let mut marks: Vec<Mark> = Vec::new();
    let mut grown_at = Instant::now();
    loop {
        sleep(LOOK).await;
        let request = GetMeasurementRequest { launch_id: launch.clone(), number: 0 };
        if let Ok(found) = client.get_measurement(request).await {
            let measurement = found.into_inner().measurement.unwrap_or_default();
            let views = measurement.metrics.iter().filter(|metric| metric.metric == "views");
            let sum: f64 =
                views.flat_map(|metric| &metric.arms).filter_map(|arm| arm.within).map(|arm| arm.sum).sum();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of events")]
            let sum = sum as u64;
            if marks.last().is_none_or(|(_, counted)| sum > *counted) {
                grown_at = Instant::now();
                marks.push((grown_at, sum));
            }
            if sum >= all {
                return Ok(marks);
            }
        }
        // Once the stream has ended, something else must tell that event time goes on.
        if grown_at.elapsed() > Duration::from_secs(2) {
            let heartbeat =
                Event { name: "heartbeat".to_owned(), user: Some(user(VISITORS)), ..Event::default() };
            events.log_events(LogEventsRequest { events: vec![heartbeat] }).await?;
        }
        if grown_at.elapsed() > Duration::from_mins(5) {
            return Err(
                format!("only {:?} of {all} events were counted", marks.last().map(|mark| mark.1)).into()
            );
        }
    }
}

/// Seconds from each event to the first number that counts it.
fn lags(logged: &[Mark], counted: &[Mark]) -> Vec<f64> {
    let mut lags = Vec::new();
    let mut before = 0;
    for (at, due) in logged {
        for index in before..*due {
            if let Some((counted_at, _)) = counted.iter().find(|(_, count)| *count > index) {
                lags.push(counted_at.saturating_duration_since(*at).as_secs_f64());
            }
        }
        before = *due;
    }
    lags
}

fn user(index: u64) -> User {
    User { user_id: format!("visitor-{index}"), ..User::default() }
}
