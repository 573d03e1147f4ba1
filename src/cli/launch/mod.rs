//! `portcullis launch`: what the guard says of a launch, as an exit code for pipelines, and what people say to it.

mod acts;
mod check;
mod scorecard;
mod subject;
pub(super) mod text;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::configure::unwritable;
use super::output::Output;
use super::server::{self, ServerArgs};
use crate::transport::grpc::wire::DecisionKind;
use subject::SubjectArgs;

/// Exit code where nothing can be said. Other codes are those of [`exit_code`].
pub(super) const ERROR: u8 = 3;

/// Asks the guard about a launch, or says something to it.
#[derive(Clone, Debug, Args)]
pub(super) struct LaunchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Says whether more units may get the treatment now. Exits 0 on allow, 2 on hold, 1 on block or roll_back, and 3 where the
    /// guard can not be asked.
    Check(AskArgs),
    /// Shows what a launch changes: every metric, guardrail or not, by group and by segment, with intervals.
    Scorecard(ScorecardArgs),
    /// Writes the decisions about a launch as they come, until it is allowed to go on, blocked, or has ended; then exits as
    /// `check` does.
    Watch(WatchArgs),
    /// Opens the closed latches of a target for a time.
    Resolve(OpenArgs),
    /// Approves the step in force, where it waits for that.
    Approve(ActArgs),
    /// Keeps a launch from taking further steps.
    Pause(ActArgs),
    /// Lets a paused launch take steps again.
    Resume(ActArgs),
    /// Ends a launch and takes its treatment back.
    Cancel(ActArgs),
    /// Lets a held or blocked launch pass for a time.
    Override(OpenArgs),
}

#[derive(Clone, Debug, Args)]
struct AskArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
struct ScorecardArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Level of the intervals in percent, for example 80, 90 or 95.
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0)]
    level: f64,
}

#[derive(Clone, Debug, Args)]
struct WatchArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Give up after this time, for example 30m, and exit as `check` does then.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<std::time::Duration>,
}

#[derive(Clone, Debug, Args)]
struct ActArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Why; it is on record.
    #[arg(long)]
    reason: String,
}

#[derive(Clone, Debug, Args)]
struct OpenArgs {
    #[command(flatten)]
    act: ActArgs,
    /// For how long, for example 2h.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    lasting: std::time::Duration,
}

/// Runs the command.
pub(super) fn run(arguments: &LaunchArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    server::run(async {
        match &arguments.what {
            What::Check(ask) => check::run(ask, out).await,
            What::Scorecard(scorecard) => scorecard::run(scorecard, out).await,
            What::Watch(watch) => watch::run(watch, out).await,
            What::Resolve(open) => acts::resolve(open, out).await,
            What::Approve(act) => acts::approve(act, out).await,
            What::Pause(act) => acts::pause(act, out).await,
            What::Resume(act) => acts::resume(act, out).await,
            What::Cancel(act) => acts::cancel(act, out).await,
            What::Override(open) => acts::override_launch(open, out).await,
        }
    })
}

/// The exit code of what the guard says.
fn exit_code(kind: DecisionKind) -> ExitCode {
    match kind {
        DecisionKind::Allow => ExitCode::SUCCESS,
        DecisionKind::Block | DecisionKind::RollBack => ExitCode::from(1),
        DecisionKind::Hold => ExitCode::from(2),
        DecisionKind::Unspecified => ExitCode::from(ERROR),
    }
}
