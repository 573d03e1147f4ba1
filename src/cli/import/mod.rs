//! `portcullis import`: configurations of other systems, and history from files.

mod event;
mod exposure;
mod journal;
mod mapping;
mod record;
mod send;
mod table;
mod tally;
mod upload;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::configure::{statsig, unwritable};
use super::server::{self, Address};
use event::Events;
use exposure::Exposures;
use mapping::{Mapping, TimeUnit};
use record::Kind;
use send::Sender;
use table::Format;
use upload::Upload;

/// Takes over the configuration of another system, or brings in events and exposures from files.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// A Statsig project.
    Statsig(statsig::StatsigArgs),
    /// Events from CSV, lines of JSON or Parquet.
    Events(EventsArgs),
    /// What units were served, from CSV, lines of JSON or Parquet.
    Exposures(FilesArgs),
}

/// Brings in events, one a row. Fields: id, name, time, value, user_id, custom_ids.TYPE, country, locale, app_version,
/// custom.NAME. A row without an id gets one that follows from the file's name, the row's number and its content, so that
/// the same file brought in again doubles nothing.
#[derive(Clone, Debug, Args)]
struct EventsArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// Columns that are kept as properties of the events.
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    properties: Vec<String>,
}

/// What is read, and what it means. For exposures the fields are: gate, pass and, where it is known, rule_id; or experiment
/// and group; and time, user_id, custom_ids.TYPE, country, locale, app_version, custom.NAME.
#[derive(Clone, Debug, Args)]
struct FilesArgs {
    /// Files with one row each event or exposure; CSV and lines of JSON may be packed by gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    address: Address,
    /// What the files are; without it that follows from their names: .csv, .jsonl, .ndjson, each also with .gz, .parquet.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Which column a field is read from. Without it a field is read from the column of its own name, where there is one.
    #[arg(long = "map", value_name = "FIELD=COLUMN")]
    maps: Vec<String>,
    /// A field that is the same in every row.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    sets: Vec<String>,
    /// Only rows that have this in a column; the others are skipped. Of several, all must hold.
    #[arg(long, value_name = "COLUMN=VALUE")]
    only: Vec<String>,
    /// What times count that are numbers; without it they are RFC 3339, as in 2026-03-01T12:00:00Z.
    #[arg(long, value_enum)]
    time_unit: Option<TimeUnit>,
    /// How long a server that is not available is tried again before the import stops; it goes on with the next run.
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    retry_for: Duration,
    /// Exits 0 even where rows were refused.
    #[arg(long)]
    allow_refused: bool,
}

/// Imports.
pub(super) fn run(arguments: &ImportArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    match &arguments.what {
        What::Statsig(arguments) => statsig::run(arguments, out),
        What::Events(arguments) => {
            let kind = Events::new(&arguments.properties);
            server::run(import(&kind, &arguments.files, &arguments.properties, out))
        }
        What::Exposures(arguments) => server::run(import(&Exposures, arguments, &[], out)),
    }
}

/// Brings in all files, one after the other.
async fn import<K: Kind>(
    kind: &K,
    arguments: &FilesArgs,
    properties: &[String],
    out: &mut impl Write,
) -> Result<ExitCode, String> {
    let FilesArgs { files, address, format, maps, sets, only, time_unit, retry_for, allow_refused } =
        arguments;
    let mapping = Mapping::new(K::FIELDS, maps, sets, only, properties)?;
    let tables = files.iter().map(|file| {
        let table = table::describe(file, *format)?;
        let chosen =
            mapping.choose(&table.columns).map_err(|error| format!("{}: {error}", file.display()))?;
        kind.check(&chosen)?;
        Ok((table, chosen))
    });
    // What is wrong with the last file is said before the first one is brought in.
    let tables = tables.collect::<Result<Vec<_>, String>>()?;
    let sender = Sender { channel: address.channel().await?, retry_for: *retry_for };
    let mut refused = 0;
    for (table, chosen) in &tables {
        let upload = Upload { kind, table, chosen, time_unit: *time_unit, server: &address.server };
        let tally = upload.run(&sender).await?;
        tally.write(&table.path, out).map_err(unwritable)?;
        refused += tally.refused();
    }
    Ok(if refused == 0 || *allow_refused { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
