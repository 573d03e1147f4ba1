//! Once a day, events are dropped that are older than they are kept.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::catalogue::Catalogue;
use crate::domain::launch::{Launch, PinnedMetric};
use crate::domain::metric::BASELINE_MS;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::events::EventStore;
use crate::live::Live;

/// How often it looks.
const PERIOD: Duration = Duration::from_hours(24);
/// How soon after the start it looks first: not while everything else begins.
const FIRST: Duration = Duration::from_mins(5);

/// The job with all it works on.
#[derive(Debug)]
pub struct Retention {
    /// What is in force.
    pub live: Arc<Live>,
    /// What it drops from.
    pub events: Arc<dyn EventStore>,
    /// Tells the time.
    pub clock: Clock,
    /// How long events are kept, in milliseconds.
    pub keep_ms: i64,
}

impl Retention {
    /// Looks until the stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = FIRST;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = PERIOD;
            let before = self.before();
            match self.events.drop_before(before).await {
                Ok(dropped) => tracing::info!(
                    rows = dropped.rows,
                    partitions = dropped.partitions,
                    before_day = before.day(),
                    "old events were dropped"
                ),
                Err(error) => tracing::error!(
                    error = error.in_full(),
                    "old events were not dropped; tried again tomorrow"
                ),
            }
        }
    }

    fn before(&self) -> Timestamp {
        kept_since(&self.live.in_force().catalogue, self.clock.now().plus_ms(-self.keep_ms))
    }
}

/// What is older may go, where it is older than what is kept anyway. What a live launch is measured on stays, since new
/// events of a unit are counted beside all that it did before.
fn kept_since(catalogue: &Catalogue, kept: Timestamp) -> Timestamp {
    let live = catalogue.launches.values().filter(|launch| launch.is_live());
    live.map(|launch| launch.started_at.plus_ms(-looked_back_ms(launch))).fold(kept, Timestamp::min)
}

/// How long before a launch lies what it is measured on, with the day in which that begins.
fn looked_back_ms(launch: &Launch) -> i64 {
    let of_metric = |pinned: &PinnedMetric| {
        let baseline = if pinned.metric.needs_baseline() { BASELINE_MS } else { 0 };
        pinned.metric.reach_back_ms().max(baseline)
    };
    launch.metrics.iter().map(of_metric).max().unwrap_or(0).saturating_add(DAY_MS)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::launch::{CONTROL, LaunchId, LaunchPlan, LaunchState, Step, TREATMENT, Target};
    use crate::domain::metric::kind::{Activity, Of, Side, StateChange, Tail};
    use crate::domain::metric::{Metric, MetricKind};

    const NOW: Timestamp = Timestamp(20_500 * DAY_MS);

    /// A launch that began so many days ago.
    fn launch(days: i64, metrics: Vec<Metric>) -> Launch {
        let pin = |metric| PinnedMetric { metric, revision: 1, scale: None };
        let plan = LaunchPlan {
            id: LaunchId(Uuid::from_u128(u128::try_from(days).unwrap())),
            target: Target::GateRule { gate: format!("gate {days}"), rule: "rule".to_owned() },
            unit_type: "user_id".to_owned(),
            steps: vec![Step::at_once(50.0)],
            arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
            metrics: metrics.into_iter().map(pin).collect(),
            rollback_percentage: 0.0,
            principal: "test".to_owned(),
        };
        Launch::begin(plan, NOW.plus_ms(-days * DAY_MS))
    }

    /// Days for which everything is kept, where it is kept for 30 anyway.
    fn kept(launches: Vec<Launch>) -> i64 {
        let mut catalogue = Catalogue::default();
        for launch in launches {
            catalogue.put_launch(launch);
        }
        NOW.ms_since(kept_since(&catalogue, NOW.plus_ms(-30 * DAY_MS))) / DAY_MS
    }

    #[test]
    fn what_a_live_launch_is_measured_on_stays_with_all_that_its_metrics_look_back_on() {
        let plain = Metric::of("buys", MetricKind::Count, "buy");
        let adjusted = Metric { covariate_ms: Some(200 * DAY_MS), ..plain.clone() };
        let churned = StateChange { to: Activity::Churned, days: 7 };
        let state = Metric { state: Some(churned), ..Metric::of("churned", MetricKind::StateChange, "") };
        let tail = Tail { quantile: 0.9, threshold: None, side: Side::Above, of: Of::Events };
        let slow = Metric { tail: Some(tail), ..Metric::of("slow", MetricKind::Quantile, "loaded") };
        assert_eq!(kept(Vec::new()), 30);
        assert_eq!(kept(vec![launch(3, vec![plain.clone()])]), 30);
        assert_eq!(kept(vec![launch(50, vec![plain.clone()])]), 51);
        assert_eq!(kept(vec![launch(50, vec![plain.clone(), slow])]), 50 + 28 + 1);
        assert_eq!(kept(vec![launch(50, vec![plain.clone(), adjusted.clone()])]), 50 + 200 + 1);
        assert_eq!(kept(vec![launch(50, vec![adjusted.clone()]), launch(3, vec![state])]), 3 + 365 + 1);
        let mut ended = launch(50, vec![adjusted]);
        ended.end(LaunchState::Completed, NOW);
        assert_eq!(kept(vec![ended, launch(40, vec![plain])]), 41);
    }
}
