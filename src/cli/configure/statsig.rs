//! `portcullis import statsig`: the configuration of a Statsig project.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Mode, Wanted, make_so, read_text, unwritable, write_text};
use crate::cli::server::{self, ServerArgs};
use crate::engine::lift::{Lifted, Source, lift};
use crate::transport::http::statsig::read::{ReadProject, read};

/// Takes over a Statsig project, so that every user keeps the same gates and groups. What can not be kept as it is, is named.
/// Then it does as `portcullis apply`: it says what would change, and asks.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct StatsigArgs {
    /// The rules as server SDKs download them (`download_config_specs`, version 1 or 2); `-` reads standard input.
    file: PathBuf,
    /// The ids of an id list, one a line; the rules name the lists alone. Give it again for more.
    #[arg(long, value_name = "NAME=FILE")]
    id_list: Vec<String>,
    /// Only write the configuration as YAML; no server is asked.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "yes"])]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    mode: Mode,
}

/// Imports.
pub(in crate::cli) fn run(arguments: &StatsigArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let name = arguments.file.display().to_string();
    let project = read(&read_text(&arguments.file)?).map_err(|error| format!("{name}: {error}"))?;
    let ids = arguments.id_list.iter().map(|list| ids(list)).collect::<Result<_, _>>()?;
    let Lifted { configuration, notes } = report(project, ids, out)?;
    let yaml = configuration.to_yaml().map_err(|error| error.to_string())?;
    writeln!(out, "{} notes, {} documents", notes.len(), configuration.len()).map_err(unwritable)?;
    if arguments.out.is_some() {
        write_text(arguments.out.as_deref(), &yaml, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = Wanted { yaml: &yaml, name: &name, prune: false };
    server::run(make_so(&arguments.server, wanted, arguments.mode, out))
}

/// Lifts a project, and writes what was not kept as it was.
fn report(
    project: ReadProject,
    ids: BTreeMap<String, Vec<String>>,
    out: &mut impl Write,
) -> Result<Lifted, String> {
    let ReadProject { ruleset, id_lists, rule_names, problems, reshaped } = project;
    let unknown = ids.keys().find(|name| !id_lists.contains(name));
    if let Some(name) = unknown {
        return Err(format!(
            "--id-list {name}: the project has no such list; it has: {}",
            id_lists.join(", ")
        ));
    }
    let lifted = lift(&Source { ruleset, rule_names, id_lists, ids });
    for problem in problems {
        writeln!(out, "`{}` is left out: {}", problem.name, problem.message).map_err(unwritable)?;
    }
    for problem in reshaped {
        writeln!(out, "`{}` is kept in another form: {}", problem.name, problem.message)
            .map_err(unwritable)?;
    }
    for note in &lifted.notes {
        writeln!(out, "{note}").map_err(unwritable)?;
    }
    Ok(lifted)
}

/// The name of a list and its ids.
fn ids(list: &str) -> Result<(String, Vec<String>), String> {
    let (name, file) = list.split_once('=').ok_or_else(|| format!("--id-list {list}: must be NAME=FILE"))?;
    let text = read_text(file.as_ref())?;
    let ids = text.lines().map(str::trim).filter(|id| !id.is_empty());
    Ok((name.to_owned(), ids.map(str::to_owned).collect()))
}
