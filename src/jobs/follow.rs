//! Follows the store: what another server on the same database changes is in force here within a second or so.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::admin::Admin;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Follows until the stop. A store that does not answer is said once, and once more when it does again.
pub async fn run(admin: Admin, stop: CancellationToken) {
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
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
}
