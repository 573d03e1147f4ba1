//! What came in of each event's name, read again only every so often.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::analysis::audit;
use crate::domain::metric::Metric;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::error::Result;
use crate::events::{EventStore, Intake};

/// How long what was read is good for.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// What came in, by name.
#[derive(Debug, Default)]
pub(super) struct Intakes {
    by_name: Mutex<HashMap<String, (Instant, Vec<audit::Intake>)>>,
}

impl Intakes {
    /// What came in of a metric's events in the last day, oldest first.
    pub(super) async fn of(
        &self,
        events: &dyn EventStore,
        metric: &Metric,
        now: Timestamp,
    ) -> Result<Vec<audit::Intake>> {
        let mut by_name = self.by_name.lock().await;
        let mut all = Vec::new();
        for name in metric.events() {
            let fresh = by_name.get(name).filter(|(read_at, _)| read_at.elapsed() < GOOD_FOR);
            if let Some((_, known)) = fresh {
                all.extend_from_slice(known);
                continue;
            }
            let read: Vec<audit::Intake> =
                events.intake(name, now.plus_ms(-DAY_MS)).await?.iter().map(converted).collect();
            all.extend_from_slice(&read);
            by_name.insert(name.to_owned(), (Instant::now(), read));
        }
        all.sort_by_key(|intake| intake.minute);
        Ok(all)
    }
}

fn converted(intake: &Intake) -> audit::Intake {
    audit::Intake {
        minute: intake.minute,
        events: intake.events,
        duplicates: intake.duplicates,
        without_value: intake.without_value,
        without_unit: intake.without_user_id,
        early: intake.early,
        least: intake.least,
        greatest: intake.greatest,
    }
}
