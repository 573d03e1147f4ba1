//! `portcullis metrics`: work on what is measured, directly on the database.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::app::database_url;
use crate::config::DatabaseSettings;
use crate::database::Database;
use crate::domain::launch::LaunchId;
use crate::error::{Error, Result};
use crate::events::{self, EventStore};
use crate::jobs::measure::{Rebuilt, rebuild};
use crate::store::{LaunchQuery, Store};

/// Most launches that are rebuilt without being named.
const MAX_LAUNCHES: i64 = 10_000;

/// What is done with what is measured.
#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    #[command(subcommand)]
    command: MetricsCommand,
}

#[derive(Debug, Subcommand)]
enum MetricsCommand {
    /// Computes the sums of every launch anew from all stored events. It is safe while a server runs.
    Rebuild(RebuildArgs),
}

#[derive(Debug, Args)]
struct RebuildArgs {
    #[command(flatten)]
    settings: DatabaseSettings,
    /// Only compares with the sums that are there, and fails where they differ by more than 1e-9 of themselves.
    #[arg(long)]
    verify: bool,
    /// Only this launch; without it every live one.
    #[arg(long)]
    launch: Option<Uuid>,
}

/// Runs the command. The exit code is 1 where sums differ.
pub(super) fn run(arguments: &MetricsArgs, out: &mut impl Write) -> std::result::Result<ExitCode, String> {
    let MetricsCommand::Rebuild(arguments) = &arguments.command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(rebuild_all(arguments, out)).map_err(|error| error.in_full())?;
    Ok(if outcome { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says whether all is as it should be.
async fn rebuild_all(arguments: &RebuildArgs, out: &mut impl Write) -> Result<bool> {
    let database = Database::open_as_it_is(&database_url(
        &arguments.settings.data_dir,
        arguments.settings.database.as_ref(),
    ))
    .await?;
    let store = Store::new(database.relational().clone());
    let events: Arc<dyn EventStore> = events::of(&database);
    let launches: Vec<LaunchId> = if let Some(id) = arguments.launch {
        vec![LaunchId(id)]
    } else {
        let query = LaunchQuery { live_only: true, limit: MAX_LAUNCHES, ..LaunchQuery::default() };
        store.launches(&query).await?.iter().map(|launch| launch.id).collect()
    };
    let mut all_same = true;
    for id in launches {
        let rebuilt = rebuild(&store, events.as_ref(), id, !arguments.verify).await?;
        if let Some(rebuilt) = &rebuilt {
            all_same &= !arguments.verify || rebuilt.different.is_empty();
        }
        tell(id, rebuilt.as_ref(), arguments.verify, out).map_err(Error::internal)?;
    }
    database.close().await;
    Ok(all_same)
}

fn tell(id: LaunchId, rebuilt: Option<&Rebuilt>, verify: bool, out: &mut impl Write) -> std::io::Result<()> {
    let Some(rebuilt) = rebuilt else {
        return writeln!(out, "launch {id}: not measured yet");
    };
    let (cells, arrival, distance) = (rebuilt.cells, rebuilt.arrival, rebuilt.distance);
    let done = if verify { "verified" } else { "rebuilt" };
    writeln!(
        out,
        "launch {id}: {done}, {cells} cells up to write {arrival}, largest difference {distance:.1e}"
    )?;
    for key in &rebuilt.different {
        let (metric, arm, epoch, week) = (&key.metric, &key.arm, key.epoch, key.week);
        let (segment, bucket) = (&key.segment, key.bucket.0);
        writeln!(
            out,
            "  differs: metric {metric:?}, arm {arm:?}, epoch {epoch}, week {week}, segment {segment:?}, bucket {bucket}"
        )?;
    }
    Ok(())
}
