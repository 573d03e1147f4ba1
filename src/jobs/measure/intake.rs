//! What came in of each event's name: the day is read only every so often, its last minutes whenever something came in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::analysis::audit;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::error::Result;
use crate::events::{EventStore, Intake};

/// How long the minutes of a day are good for. What waited on the local disk goes to the minute in which it was taken.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// How far back of the last reading is read again, for servers whose clocks differ.
const AGAIN_MS: i64 = 60_000;

/// What came in, by name. Who reads one name keeps nobody from reading another one.
#[derive(Debug, Default)]
pub(super) struct Intakes {
    by_name: Mutex<HashMap<String, Arc<Mutex<Option<Known>>>>>,
}

/// What is known of a name.
#[derive(Debug)]
struct Known {
    /// When its whole day was read.
    whole_at: Instant,
    /// When something of it was read last.
    read_at: Timestamp,
    /// The write up to which everything is counted, at least.
    arrival: i64,
    /// Oldest first.
    minutes: Vec<audit::Intake>,
}

impl Intakes {
    /// What came in of a name in the last day, up to a write at least, oldest first: an audit is of the very numbers that
    /// are published with it.
    pub(super) async fn of(
        &self,
        events: &dyn EventStore,
        name: &str,
        arrival: i64,
        now: Timestamp,
    ) -> Result<Vec<audit::Intake>> {
        let own = Arc::clone(self.by_name.lock().await.entry(name.to_owned()).or_default());
        let mut of_name = own.lock().await;
        let known = of_name.take().filter(|known| known.whole_at.elapsed() < GOOD_FOR);
        let known = match known {
            Some(known) if known.arrival >= arrival => known,
            Some(known) => known.with_newest(events, name, arrival, now).await?,
            None => {
                let minutes = read(events, name, now.plus_ms(-DAY_MS)).await?;
                Known { whole_at: Instant::now(), read_at: now, arrival, minutes }
            }
        };
        let minutes = known.minutes.clone();
        *of_name = Some(known);
        Ok(minutes)
    }
}

impl Known {
    /// The same with the minutes since the last reading as they are now.
    async fn with_newest(
        mut self,
        events: &dyn EventStore,
        name: &str,
        arrival: i64,
        now: Timestamp,
    ) -> Result<Self> {
        let newest = read(events, name, self.read_at.min(now).plus_ms(-AGAIN_MS)).await?;
        if let Some(first) = newest.first() {
            self.minutes.retain(|intake| intake.minute < first.minute);
        }
        self.minutes.extend(newest);
        Ok(Self { read_at: now, arrival, ..self })
    }
}

async fn read(events: &dyn EventStore, name: &str, since: Timestamp) -> Result<Vec<audit::Intake>> {
    Ok(events.intake(name, since).await?.iter().map(converted).collect())
}

fn converted(intake: &Intake) -> audit::Intake {
    audit::Intake {
        minute: intake.minute,
        events: intake.events,
        duplicates: intake.duplicates,
        without_value: intake.without_value,
        without_unit: intake.without_user_id,
        late: intake.late,
        early: intake.early,
        least: intake.least,
        greatest: intake.greatest,
    }
}
