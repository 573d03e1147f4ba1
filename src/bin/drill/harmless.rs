//! Launches without harm through the real service, in compressed time: how many of them it rolls back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::domain::policy::Policy;
use portcullis::domain::time::Timestamp;
use portcullis::transport::grpc::wire::check_launch_request::Subject;
use portcullis::transport::grpc::wire::{
    CheckLaunchRequest, DecisionKind, Event, Launch, LaunchState, Metric, MetricDirection, MetricKind, Ramp,
    RampStep, SetRolloutRequest, set_rollout_request::Rollout,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Outcome;
use crate::world::{Callers, World, event, guardrail, progress};

/// Tasks that call for visitors at the same time.
const TASKS: usize = 8;
/// Percentages of the ramp that every launch goes through.
const RAMP: [f64; 3] = [20.0, 35.0, 50.0];
/// How much less of everything is done at the end than at the beginning, by all alike.
const DRIFT: f64 = 0.1;
/// Mean delay in ticks from a visit to what the visitor does.
const DELAY: f64 = 5.0;
/// How long a look may take before it counts as missed.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Launches.
    #[arg(long, default_value_t = 200)]
    launches: u32,
    /// Ticks, at each of which every launch is looked at.
    #[arg(long, default_value_t = 150)]
    ticks: u32,
    /// Visitors of each launch a tick.
    #[arg(long, default_value_t = 40)]
    visitors: u32,
}

/// Time that goes on when it is told to.
#[derive(Clone)]
struct Told(Arc<AtomicI64>);

impl Told {
    fn starting_now() -> Self {
        Self(Arc::new(AtomicI64::new(Clock::system().now().0)))
    }

    fn clock(&self) -> Clock {
        let own = self.clone();
        Clock::of(move || own.now())
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn go_on(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }
}

/// False where more launches were rolled back than alpha allows.
pub(crate) async fn run(settings: ServeSettings, arguments: Arguments) -> Outcome<bool> {
    let told = Told::starting_now();
    let world = World::start(settings.clone(), told.clock()).await?;
    let mut callers = world.callers();
    create_guardrails(&mut callers).await?;
    let tick = settings.tick;
    let step = prost_types::Duration::try_from(tick * arguments.ticks / 4)?;
    for number in 0..arguments.launches {
        callers.create_gate(&gate(number), 0.0).await?;
        begin(&mut callers, &gate(number), step).await?;
    }
    let begun = Instant::now();
    let looks = pass(&mut callers, &told, &settings, &arguments).await?;
    let launches = callers.launches().await?;
    let mut held = 0;
    for launch in &launches {
        let answer = callers.guard.check_launch(check(launch)).await?.into_inner();
        held += u32::from(answer.decision() != DecisionKind::Allow);
    }
    world.stop().await?;

    let alpha = Policy::built_in(&settings.environment).alpha;
    let in_state = |state| launches.iter().filter(|launch| launch.state() == state).count();
    let rolled_back = in_state(LaunchState::RolledBack);
    let share = rolled_back as f64 / launches.len() as f64;
    println!(
        "{} harmless launches, {} guardrails each, {looks} looks at each, {} visitors each, {} of event time in {}: \
         {rolled_back} rolled back ({:.1} %, at most {:.0} %), {} at their last step, {held} held or blocked at the end",
        launches.len(),
        launches.first().map_or(0, |launch| launch.metrics.iter().filter(|metric| metric.guardrail).count()),
        arguments.visitors * arguments.ticks,
        humantime::format_duration(tick * arguments.ticks),
        humantime::format_duration(Duration::from_secs(begun.elapsed().as_secs())),
        100.0 * share,
        100.0 * alpha,
        in_state(LaunchState::Steady),
    );
    Ok(share <= alpha)
}

/// A share, a skewed sum, and a rare event that should not be.
async fn create_guardrails(callers: &mut Callers) -> Outcome<()> {
    callers.create_metric(guardrail("signup", MetricKind::Conversion)).await?;
    callers.create_metric(guardrail("purchase", MetricKind::Sum)).await?;
    let direction = MetricDirection::LowerIsBetter.into();
    let crash = Metric { direction, rare: true, ..guardrail("crash", MetricKind::Conversion) };
    callers.create_metric(crash).await
}

async fn begin(callers: &mut Callers, gate: &str, step: prost_types::Duration) -> Outcome<()> {
    let step = |percentage: f64| RampStep { percentage, min_duration: Some(step), ..RampStep::default() };
    let rollout = Some(Rollout::Ramp(Ramp { steps: RAMP.map(step).to_vec() }));
    let request = SetRolloutRequest { gate: gate.to_owned(), rollout, ..SetRolloutRequest::default() };
    callers.admin.set_rollout(request).await?;
    Ok(())
}

/// Lets time pass, tick by tick; gives how often the launches were looked at with new numbers.
async fn pass(
    callers: &mut Callers,
    told: &Told,
    settings: &ServeSettings,
    arguments: &Arguments,
) -> Outcome<u32> {
    let tick_ms = i64::try_from(settings.tick.as_millis())?;
    let lateness_ms = i64::try_from(settings.allowed_lateness.as_millis())?;
    let mut latest = callers.launches().await?;
    latest.sort_by(|one, other| one.id.cmp(&other.id));
    let latest = latest.last().ok_or("no launch has begun")?.clone();
    let bar = progress(arguments.ticks.into(), "ticks")?;
    let mut random = StdRng::seed_from_u64(1);
    let mut to_come: Vec<Vec<Event>> = vec![Vec::new(); arguments.ticks as usize];
    let mut looks = 0;
    for tick in 0..arguments.ticks {
        // Nobody does anything at the very moment of the exposure.
        told.go_on(tick_ms / 2);
        let visitors = visit(callers, tick, arguments).await?;
        told.go_on(tick_ms - tick_ms / 2);
        let much = 1.0 - DRIFT * f64::from(tick) / f64::from(arguments.ticks);
        for visitor in &visitors {
            act(&mut random, visitor, much, tick as usize, &mut to_come)?;
        }
        // A heartbeat at the end tells how far event time is.
        let mut events = to_come.get_mut(tick as usize).map(std::mem::take).unwrap_or_default();
        events.extend(["signup", "purchase"].map(|name| event(name, "nobody", Some(0.0))));
        callers.log(&events).await?;
        let complete = Timestamp((told.now().0 - lateness_ms).div_euclid(tick_ms) * tick_ms);
        looks += u32::from(is_looked_at(callers, &latest, complete).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(looks)
}

/// New visitors come to every launch.
async fn visit(callers: &Callers, tick: u32, arguments: &Arguments) -> Outcome<Vec<String>> {
    let numbers: Vec<u32> = (0..arguments.launches).collect();
    let visitors = arguments.visitors;
    let mut tasks = JoinSet::new();
    for share in numbers.chunks(numbers.len().div_ceil(TASKS).max(1)) {
        let (share, mut callers) = (share.to_vec(), callers.clone());
        tasks.spawn(async move {
            let mut came = Vec::new();
            for number in share {
                for visitor in 0..visitors {
                    let visitor = format!("visitor-{number}-{tick}-{visitor}");
                    callers.exposed(&gate(number), &visitor).await?;
                    came.push(visitor);
                }
            }
            Outcome::Ok(came)
        });
    }
    let mut all = Vec::new();
    while let Some(came) = tasks.join_next().await {
        all.extend(came??);
    }
    // In the same order on every run, whichever task was faster.
    all.sort_unstable();
    Ok(all)
}

/// What a visitor does, whatever they were served, and when.
fn act(random: &mut StdRng, visitor: &str, much: f64, now: usize, to_come: &mut [Vec<Event>]) -> Outcome<()> {
    let spent = LogNormal::new(3.0, 1.0)?;
    let delay = Exp::new(1.0 / DELAY)?;
    for (name, share) in [("signup", 0.1), ("purchase", 0.05), ("crash", 0.02)] {
        if !random.random_bool(share * much) {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of ticks")]
        let later = delay.sample(random) as usize;
        let value = (name == "purchase").then(|| spent.sample(random));
        if let Some(events) = to_come.get_mut(now + later) {
            events.push(event(name, visitor, value));
        }
    }
    Ok(())
}

/// Waits until the launch that is looked at last has numbers up to a time. False where that takes too long.
async fn is_looked_at(callers: &mut Callers, launch: &Launch, complete: Timestamp) -> Outcome<bool> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let answer = callers.guard.check_launch(check(launch)).await?.into_inner();
        let as_of = answer.as_of.map_or(i64::MIN, |at| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000);
        if as_of >= complete.0 {
            return Ok(true);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(false)
}

fn check(launch: &Launch) -> CheckLaunchRequest {
    CheckLaunchRequest { subject: Some(Subject::LaunchId(launch.id.clone())) }
}

fn gate(number: u32) -> String {
    format!("harmless-{number:04}")
}
