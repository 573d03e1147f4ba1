//! `portcullis serve`: runs the server until it is told to stop.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::clock::Clock;
use crate::config::ServeSettings;
use crate::telemetry;

/// Runs the server until SIGINT or SIGTERM.
pub(super) fn run(settings: &ServeSettings) -> Result<ExitCode, String> {
    telemetry::start(&settings.log, settings.log_format)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let app = App::start(settings, Clock::system()).await.map_err(|error| error.to_string())?;
        let told = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        app.run_until(told).await.map_err(|error| error.to_string())?;
        Ok(ExitCode::SUCCESS)
    })
}
