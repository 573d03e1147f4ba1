//! `portcullis export`, `apply` and `import`: whole configurations as files.

mod import;
mod plan;
mod policy;
mod server;

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::server::{self as connection, Connection, ServerArgs};
use crate::transport::grpc::wire;
pub(super) use import::{ImportArgs, run as import};
pub(super) use policy::{PolicyArgs, run as policy};
use server::Refusal;

/// Exit code of a check that finds something to change.
const WOULD_CHANGE: u8 = 2;
/// How often a change is asked for while revisions move.
const MAX_ATTEMPTS: usize = 5;

/// Writes the whole configuration of a server as YAML. Exits 1 when the server can not be reached.
#[derive(Clone, Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Where to write; without it standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Makes the configuration of a server that of a file. First it says what would change, and asks; then all changes are made
/// in one, or none. Every raise passes the guard. Exits 0 when everything is as the file says, 1 when that is not possible.
#[derive(Clone, Debug, Args)]
pub(super) struct ApplyArgs {
    /// The wanted configuration, as `portcullis export` writes it; `-` reads standard input.
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    mode: Mode,
    /// Also archive what is not in the file; without it such documents stay as they are.
    #[arg(long)]
    prune: bool,
}

/// Whether changes are made.
#[derive(Clone, Copy, Debug, Args)]
struct Mode {
    /// Only say what would change; exits 2 when something would, 0 when nothing.
    #[arg(long, conflicts_with = "yes")]
    check: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Writes a server's configuration.
pub(super) fn export(arguments: &ExportArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let yaml = connection::run(async {
        let connection = arguments.server.connect().await?;
        connection.export().await
    })?;
    write_text(arguments.out.as_deref(), &yaml, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Applies a file.
pub(super) fn apply(arguments: &ApplyArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let yaml = read_text(&arguments.file)?;
    let name = arguments.file.display().to_string();
    let wanted = Wanted { yaml: &yaml, name: &name, prune: arguments.prune };
    connection::run(make_so(&arguments.server, wanted, arguments.mode, out))
}

/// A configuration that is to be in force.
#[derive(Clone, Copy, Debug)]
struct Wanted<'w> {
    yaml: &'w str,
    /// What it was read from.
    name: &'w str,
    prune: bool,
}

/// Says what would change, asks, and has it changed.
async fn make_so(
    server: &ServerArgs,
    wanted: Wanted<'_>,
    mode: Mode,
    out: &mut impl Write,
) -> Result<ExitCode, String> {
    let connection = server.connect().await?;
    let plan = connection.plan(wanted).await?;
    plan::write(&plan, out).map_err(unwritable)?;
    if plan.changes.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if mode.check {
        return Ok(ExitCode::from(WOULD_CHANGE));
    }
    let refused = plan.changes.iter().filter(|change| !change.refusal.is_empty()).count();
    if refused > 0 {
        return Err(format!("{refused} of the changes can not be made now, and so none is"));
    }
    if !mode.yes && !confirmed(plan.changes.len(), wanted.name, out)? {
        return Err("nothing was changed".to_owned());
    }
    let revision = apply_as_shown(&connection, wanted, plan).await?;
    writeln!(out, "done; the configuration is at revision {revision}").map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

/// Has the changes of a plan made. What the guard notes down makes a new revision too: as long as the changes are the ones
/// that were shown, they are asked for again.
async fn apply_as_shown(
    connection: &Connection,
    wanted: Wanted<'_>,
    mut plan: wire::PlanConfigurationResponse,
) -> Result<i64, String> {
    for _ in 0..MAX_ATTEMPTS {
        match connection.apply(wanted, plan.revision).await {
            Err(Refusal::Moved) => {}
            Err(Refusal::Other(message)) => return Err(message),
            Ok(applied) => return Ok(applied.revision),
        }
        let again = connection.plan(wanted).await?;
        if again.changes != plan.changes {
            return Err(
                "the configuration was changed meanwhile, and nothing was applied; try again".to_owned()
            );
        }
        plan = again;
    }
    Err("the configuration keeps changing, and nothing was applied; try again".to_owned())
}

/// Asks a person.
fn confirmed(count: usize, name: &str, out: &mut impl Write) -> Result<bool, String> {
    if name == "-" || !io::stdin().is_terminal() {
        return Err("nobody can be asked here; give --yes to apply without being asked".to_owned());
    }
    write!(out, "Apply these {count} changes? [y/N] ").and_then(|()| out.flush()).map_err(unwritable)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The text of a file, or of standard input.
fn read_text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text)
}

/// Writes a text to a file, or to standard output.
fn write_text(path: Option<&Path>, text: &str, out: &mut impl Write) -> Result<(), String> {
    match path {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
        }
        None => out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(unwritable),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn unwritable(error: io::Error) -> String {
    format!("cannot write the result: {error}")
}
