//! From the first harmful event to the client being served the control, in seconds and in visitors.

use std::time::Duration;

use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::transport::grpc::wire::{Metric, MetricDirection, MetricKind};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::Outcome;
use crate::world::{Callers, World, event, guardrail, progress, quantile};

/// How often visitors come.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Launches of each kind of harm.
    #[arg(long, default_value_t = 50)]
    runs: u32,
    /// Launches that are under way at the same time.
    #[arg(long, default_value_t = 5)]
    at_once: usize,
    /// Visitors of each launch a second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How long a launch may go on without being stopped.
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

/// One kind of harm.
#[derive(Clone, Copy)]
struct Harm {
    name: &'static str,
    event: &'static str,
    percentage: f64,
    control: f64,
    treatment: f64,
}

const HARMS: [Harm; 2] = [
    Harm { name: "crashes 1 % to 30 %", event: "crash", percentage: 1.0, control: 0.01, treatment: 0.3 },
    Harm { name: "conversion -20 %", event: "signup", percentage: 50.0, control: 0.1, treatment: 0.08 },
];

/// What passed until the control was served.
#[derive(Clone, Copy, Default)]
struct Passed {
    seconds: f64,
    visitors: f64,
    treated: f64,
}

/// False where a launch was not stopped in time.
pub(crate) async fn run(settings: ServeSettings, arguments: Arguments) -> Outcome<bool> {
    println!(
        "{} launches of each kind, {} visitors a second each, {} at once, tick {:?}",
        arguments.runs, arguments.rate, arguments.at_once, settings.tick
    );
    println!(
        "from the first harmful event to the control served: median (95th percentile)\n\
         {:<22}{:>8}{:>20}{:>20}{:>20}",
        "harm", "at", "seconds", "visitors", "of them treated"
    );
    let mut all_stopped = true;
    for harm in HARMS {
        let world = World::start(settings.clone(), Clock::system()).await?;
        let passed = runs(&world, harm, &arguments).await?;
        world.stop().await?;
        let of = |figure: fn(&Passed) -> f64| {
            let mut figures: Vec<f64> = passed.iter().map(figure).collect();
            figures.sort_unstable_by(f64::total_cmp);
            format!("{:.1} ({:.1})", quantile(&figures, 0.5), quantile(&figures, 0.95))
        };
        let (seconds, visitors, treated) = (of(|p| p.seconds), of(|p| p.visitors), of(|p| p.treated));
        println!("{:<22}{:>6} %{seconds:>20}{visitors:>20}{treated:>20}", harm.name, harm.percentage);
        let missed = arguments.runs as usize - passed.len();
        if missed > 0 {
            println!("  {missed} of them were not stopped within {:?}", arguments.patience);
            all_stopped = false;
        }
    }
    Ok(all_stopped)
}

/// All launches of one kind of harm, some at once.
async fn runs(world: &World, harm: Harm, arguments: &Arguments) -> Outcome<Vec<Passed>> {
    let mut callers = world.callers();
    let rare = Metric {
        direction: MetricDirection::LowerIsBetter.into(),
        rare: true,
        ..guardrail("crash", MetricKind::Conversion)
    };
    callers.create_metric(rare).await?;
    callers.create_metric(guardrail("signup", MetricKind::Conversion)).await?;
    let bar = progress(arguments.runs.into(), "launches")?;
    let (mut under_way, mut passed) = (JoinSet::new(), Vec::new());
    for number in 0..arguments.runs {
        if under_way.len() >= arguments.at_once.max(1)
            && let Some(ended) = under_way.join_next().await
        {
            passed.extend(ended??);
            bar.inc(1);
        }
        let (callers, arguments) = (callers.clone(), arguments.clone());
        under_way.spawn(async move { one(callers, harm, number, &arguments).await });
    }
    while let Some(ended) = under_way.join_next().await {
        passed.extend(ended??);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(passed)
}

/// One launch until its treatment is off; none where it stays on.
async fn one(
    mut callers: Callers,
    harm: Harm,
    number: u32,
    arguments: &Arguments,
) -> Outcome<Option<Passed>> {
    let gate = format!("{}-{number}", harm.event);
    callers.create_gate(&gate, harm.percentage).await?;
    let mut random = StdRng::seed_from_u64(number.into());
    let mut ticks = interval(PAUSE);
    let begun = Instant::now();
    let (mut came, mut passed) = (0_u32, Passed::default());
    let mut first: Option<(Instant, String)> = None;
    while begun.elapsed() < arguments.patience {
        ticks.tick().await;
        let due = begun.elapsed().as_secs_f64() * f64::from(arguments.rate);
        let (mut events, mut harmed) = (Vec::new(), None);
        while f64::from(came) < due {
            came += 1;
            let visitor = format!("{gate}-visitor-{came}");
            let treated = callers.exposed(&gate, &visitor).await?;
            if first.is_some() {
                passed.visitors += 1.0;
                passed.treated += f64::from(u8::from(treated));
            }
            if random.random_bool(if treated { harm.treatment } else { harm.control }) {
                if treated && harmed.is_none() {
                    harmed = Some(visitor.clone());
                }
                events.push(event(harm.event, &visitor, None));
            }
        }
        let sent_at = Instant::now();
        callers.log(&events).await?;
        if first.is_none() {
            first = harmed.map(|visitor| (sent_at, visitor));
        }
        if let Some((since, visitor)) = &first
            && !callers.served(&gate, visitor).await?
        {
            passed.seconds = since.elapsed().as_secs_f64();
            return Ok(Some(passed));
        }
    }
    Ok(None)
}
