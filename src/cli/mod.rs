//! The commands.

mod analyze;
mod configure;
mod decision;
mod delivery;
mod demo;
mod evaluate;
mod figures;
mod launch;
mod metrics;
mod number;
mod output;
mod page;
mod plan;
mod serve;
mod server;
mod time;

use std::io::stdout;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ServeSettings;

/// Feature gates and experiments whose launches are rolled back when a guardrail metric falls.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Box<ServeSettings>),
    /// Shows the guard at work: a real server, simulated visitors, a harmless launch and a harmful one.
    Demo(demo::DemoSettings),
    /// Judges a table with one row a unit, or published moments look by look, by the guard's own engine.
    Analyze(analyze::AnalyzeArgs),
    /// Writes the whole configuration of a server as YAML.
    Export(configure::ExportArgs),
    /// Makes the configuration of a server that of a file, after saying what would change.
    Apply(configure::ApplyArgs),
    /// Takes over the configuration of another system.
    Import(configure::ImportArgs),
    /// Tries policies on the past.
    Policy(configure::PolicyArgs),
    /// Says what users get from a configuration, and why, without a server.
    Evaluate(evaluate::EvaluateArgs),
    /// Asks the guard about a launch, or says something to it.
    Launch(launch::LaunchArgs),
    /// Shows what was decided, and makes it again from the record alone.
    Decision(decision::DecisionArgs),
    /// Shows what webhooks are still to get, and has it sent again.
    Delivery(delivery::DeliveryArgs),
    /// Tells how many units, and how long, it takes to find harm and to show safety.
    Plan(plan::PlanArgs),
    /// Works on what is measured, directly on the database.
    Metrics(metrics::MetricsArgs),
}

impl Cli {
    /// Reads the command line and runs the command.
    #[must_use]
    pub fn main() -> ExitCode {
        Self::try_parse().map_or_else(|error| told(&error), Self::run)
    }

    /// Runs the command. Errors are written to standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let on_error = match &self.command {
            Command::Launch(_) | Command::Decision(_) => ExitCode::from(launch::ERROR),
            _ => ExitCode::FAILURE,
        };
        let outcome = match self.command {
            Command::Serve(settings) => serve::run(&settings),
            Command::Demo(settings) => demo::run(&settings),
            Command::Analyze(arguments) => analyze::run(&arguments, &mut stdout().lock())
                .map(|()| ExitCode::SUCCESS)
                .map_err(|error| error.to_string()),
            Command::Export(arguments) => configure::export(&arguments, &mut stdout().lock()),
            Command::Apply(arguments) => configure::apply(&arguments, &mut stdout().lock()),
            Command::Import(arguments) => configure::import(&arguments, &mut stdout().lock()),
            Command::Policy(arguments) => configure::policy(&arguments, &mut stdout().lock()),
            Command::Evaluate(arguments) => {
                let answered = evaluate::run(&arguments, &mut stdout().lock());
                answered.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
            }
            Command::Metrics(arguments) => metrics::run(&arguments, &mut stdout().lock()),
            Command::Launch(arguments) => launch::run(&arguments, &mut stdout()),
            Command::Decision(arguments) => decision::run(&arguments, &mut stdout().lock()),
            Command::Delivery(arguments) => delivery::run(&arguments, &mut stdout().lock()),
            Command::Plan(arguments) => plan::run(&arguments, &mut stdout().lock())
                .map(|()| ExitCode::SUCCESS)
                .map_err(|error| error.to_string()),
        };
        outcome.unwrap_or_else(|message| {
            #[expect(clippy::print_stderr, reason = "this is where a command reports its failure")]
            {
                eprintln!("portcullis: {message}");
            }
            on_error
        })
    }
}

/// Writes what is wrong with the command line, or the help that was asked for. The codes 1 and 2 have a meaning of their own
/// where the guard is asked, and a slip of the pen is no answer of the guard.
fn told(error: &clap::Error) -> ExitCode {
    // Where even that can not be written, the exit code says it.
    let _ = error.print();
    let asks_the_guard =
        std::env::args_os().nth(1).is_some_and(|first| first == "launch" || first == "decision");
    match (error.use_stderr(), asks_the_guard) {
        (false, _) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(launch::ERROR),
        (true, false) => ExitCode::from(2),
    }
}
