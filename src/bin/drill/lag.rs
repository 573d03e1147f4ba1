//! How long it takes from an event to the published number that counts it, while a steady stream of them comes in.

use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::{Event, GetMeasurementRequest, MetricKind};
use tokio::time::{Instant, interval, sleep};

use crate::Outcome;
use crate::world::{Callers, World, event, guardrail, quantile};

/// The gate, and the event that is counted.
const GATE: &str = "lag";
const VIEW: &str = "view";
/// Visitors that take turns.
const VISITORS: u64 = 2_000;
/// How often events are logged.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the published numbers are read.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Events a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// How long events are logged.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// Until when so many events were logged, or counted.
type Mark = (Instant, u64);

/// False where the 95th percentile is two ticks or more.
pub(crate) async fn run(settings: ServeSettings, arguments: Arguments) -> Outcome<bool> {
    let tick = settings.tick.as_secs_f64();
    let world = World::start(settings, Clock::system()).await?;
    let mut callers = world.callers();
    let launch = prepare(&mut callers).await?;
    let counting = tokio::spawn(count(callers.clone(), launch, arguments.rate * arguments.seconds));
    let logged = log(&mut callers, arguments.rate, arguments.seconds).await?;
    let counted = counting.await??;
    world.stop().await?;

    let mut lags: Vec<f64> = lags(&logged, &counted);
    lags.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| quantile(&lags, share);
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
async fn prepare(callers: &mut Callers) -> Outcome<String> {
    callers.create_metric(guardrail(VIEW, MetricKind::Count)).await?;
    callers.create_gate(GATE, 50.0).await?;
    for number in 0..VISITORS {
        callers.exposed(GATE, &visitor(number)).await?;
    }
    let launch = callers.launches().await?.into_iter().next().ok_or("the gate has no launch")?;
    // Events of the moment of an exposure could be taken for earlier ones.
    sleep(Duration::from_secs(1)).await;
    Ok(launch.id)
}

/// Logs events evenly; gives how many were logged by when.
async fn log(callers: &mut Callers, rate: u64, seconds: u64) -> Outcome<Vec<Mark>> {
    let mut ticks = interval(PAUSE);
    let begun = Instant::now();
    let (mut logged, mut marks) = (0, Vec::new());
    while logged < rate * seconds {
        ticks.tick().await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of seconds")]
        let due = ((begun.elapsed().as_secs_f64() * rate as f64) as u64).min(rate * seconds);
        let events: Vec<Event> =
            (logged..due).map(|index| event(VIEW, &visitor(index % VISITORS), None)).collect();
        if events.is_empty() {
            continue;
        }
        marks.push((Instant::now(), due));
        callers.log(&events).await?;
        logged = due;
    }
    Ok(marks)
}

/// Reads published numbers until all events are counted, or nothing more is; gives how many were counted by when.
async fn count(mut callers: Callers, launch: String, all: u64) -> Outcome<Vec<Mark>> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut grown_at = Instant::now();
    loop {
        sleep(LOOK).await;
        let request = GetMeasurementRequest { launch_id: launch.clone(), number: 0 };
        if let Ok(found) = callers.metrics.get_measurement(request).await {
            let measurement = found.into_inner().measurement.unwrap_or_default();
            let views = measurement.metrics.iter().filter(|metric| metric.metric == VIEW);
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
            callers.log(&[event("heartbeat", &visitor(VISITORS), None)]).await?;
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

fn visitor(number: u64) -> String {
    format!("visitor-{number}")
}
