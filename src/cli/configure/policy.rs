//! `portcullis policy`: policies tried on the past.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{read_text, unwritable};
use crate::cli::server::{self, ServerArgs};
use crate::transport::grpc::wire;

/// Policies.
#[derive(Clone, Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum PolicyCommand {
    /// Shows what a policy would have done with the launches on record.
    Replay(ReplayArgs),
}

/// Judges the numbers of each look on record again under a policy. Nothing changes.
#[derive(Clone, Debug, Args)]
struct ReplayArgs {
    /// A configuration as YAML with one policy; `-` reads standard input.
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Replays.
pub(crate) fn run(arguments: &PolicyArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let PolicyCommand::Replay(arguments) = &arguments.command;
    let name = arguments.file.display().to_string();
    let yaml = read_text(&arguments.file)?;
    server::run(async {
        let answer = arguments.server.connect().await?.replay_policy(&yaml, &name).await?;
        let launches = answer.launches;
        let changed = launches.iter().filter(|launch| tell(launch).is_some()).count();
        for (launch, lines) in launches.iter().filter_map(|launch| Some((launch, tell(launch)?))) {
            let target = launch.target.clone().unwrap_or_default();
            let rule =
                if target.rule_id.is_empty() { String::new() } else { format!(", rule {}", target.rule_id) };
            writeln!(out, "launch {} of {}{rule}", launch.launch_id, target.key).map_err(unwritable)?;
            for line in lines {
                writeln!(out, "  {line}").map_err(unwritable)?;
            }
        }
        let (all, looks) = (launches.len(), answer.look_count);
        writeln!(
            out,
            "{changed} of {all} launches would have gone otherwise, by {looks} looks on record; looks that changed nothing are \
             not on record"
        )
        .map_err(unwritable)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// What would have gone otherwise; none where nothing would.
fn tell(launch: &wire::ReplayedLaunch) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    if !launch.refusal.is_empty() {
        lines.push(format!("would not have begun: {}", launch.refusal));
    }
    for (what, found) in [("stricter", &launch.stricter), ("looser", &launch.looser)] {
        lines.extend(found.as_ref().map(|found| {
            let word = |kind: wire::DecisionKind| {
                kind.as_str_name().trim_start_matches("DECISION_KIND_").to_lowercase()
            };
            let time = found.time.as_ref().map(ToString::to_string).unwrap_or_default();
            let why = found.reasons.first().map(|reason| reason.message.as_str()).unwrap_or_default();
            format!("{what} from {time} on: {} in place of {}: {why}", word(found.would()), word(found.was()))
        }));
    }
    (!lines.is_empty()).then_some(lines)
}
