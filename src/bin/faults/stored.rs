//! What the store holds in the end, read through the event store as what measures reads it.

use std::collections::HashMap;

use portcullis::database::{Database, DatabaseUrl};
use portcullis::domain::event::{Assignment, Exposure};
use portcullis::domain::launch::LaunchId;
use portcullis::domain::time::Timestamp;
use portcullis::events::{self, Asked, Name};
use uuid::Uuid;

use crate::load::{NAME, NUMBER, users};
use crate::{Failure, Outcome};

/// Units of one page.
const PAGE: usize = 100;

/// Compares what was acknowledged with what is stored.
pub(crate) async fn compare(url: &DatabaseUrl, acknowledged: &[String]) -> Result<Outcome, Failure> {
    let stored = numbers(url).await?;
    let lost = acknowledged.iter().filter(|number| !stored.contains_key(*number)).count();
    let doubled = stored.values().filter(|times| **times > 1).count();
    Ok(Outcome { acknowledged: acknowledged.len(), stored: stored.len(), lost, doubled })
}

/// How often each event is stored, by its number.
async fn numbers(url: &DatabaseUrl) -> Result<HashMap<String, usize>, Failure> {
    let database = Database::open(url).await?;
    let store = events::of(&database);
    // Histories are of units that were exposed; so all are, to something that nobody measures.
    let launch = LaunchId(Uuid::nil());
    let exposures: Vec<Exposure> = users().map(|user_id| exposure(launch, user_id)).collect();
    store.append(&[], &exposures.iter().collect::<Vec<_>>()).await?;
    let asked = Asked {
        launch,
        unit_type: "user_id".to_owned(),
        names: vec![Name { name: NAME.to_owned(), with_properties: true, with_attributes: false }],
        days: false,
        since: Timestamp(0),
        until: None,
        from: 0,
        to: i64::MAX,
        also: Vec::new(),
    };
    let (mut stored, mut after) = (HashMap::new(), None);
    loop {
        let page = store.histories(&asked, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        after = page.last().map(|history| history.unit_id.clone());
        for mut deed in page.into_iter().flat_map(|history| history.events) {
            let number = deed.properties.remove(NUMBER).ok_or("an event without its number")?;
            *stored.entry(number).or_insert(0) += 1;
        }
        if last {
            database.close().await;
            return Ok(stored);
        }
    }
}

fn exposure(launch: LaunchId, unit_id: String) -> Exposure {
    let assignment = Assignment { launch, epoch: 1, arm: "any".to_owned(), settled: true, reverted: false };
    Exposure {
        unit_type: "user_id".to_owned(),
        unit_id,
        at: Timestamp(0),
        assignment: Some(assignment),
        attributes: std::collections::BTreeMap::new(),
    }
}
