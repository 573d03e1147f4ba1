//! Follows the store: what another server on the same database changes is in force here at once where the database tells, and
//! else within a second or so.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::database::News;

/// How often it asks where nobody tells.
const PERIOD: Duration = Duration::from_secs(1);

/// Follows until the stop; where the database tells of changes, it asks for them only every so often besides. A store that does
/// not answer is said once, and once more when it does again.
pub async fn run(admin: Admin, mut news: News, seldom: Duration, stop: CancellationToken) {
    let mut answers = true;
    while !stop.is_cancelled() {
        let followed = admin.catch_up().await;
        match &followed {
            Ok(()) if !answers => tracing::info!("the store answers again"),
            Err(error) if answers => {
                tracing::error!(error = error.in_full(), "the store could not be asked for changes");
            }
            _ => {}
        }
        answers = followed.is_ok();
        let period = if news.is_listening() && answers { seldom } else { PERIOD };
        tokio::select! {
            () = news.heard() => {}
            () = tokio::time::sleep(period) => {}
            () = stop.cancelled() => {}
        }
    }
}
