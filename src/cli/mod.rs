//! The commands.

mod analyze;
mod configure;
mod demo;
mod evaluate;
mod figures;
mod import;
mod metrics;
mod number;
mod output;
mod page;
mod plan;
mod serve;

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
    Serve(ServeSettings),
    /// Shows the guard at work: a real server, simulated visitors, a harmless launch and a harmful one.
    Demo(demo::DemoSettings),
    /// Judges a table with one row a unit, or published moments look by look, by the guard's own engine.
    Analyze(analyze::AnalyzeArgs),
    /// Writes the whole configuration of a server as YAML.
    Export(configure::ExportArgs),
    /// Makes the configuration of a server that of a file, after saying what would change.
    Apply(configure::ApplyArgs),
    /// Takes over the configuration of another system, or brings in events and exposures from files.
    Import(import::ImportArgs),
    /// Says what users get from a configuration, and why, without a server.
    Evaluate(evaluate::EvaluateArgs),
    /// Tells how many units, and how long, it takes to find harm and to show safety.
    Plan(plan::PlanArgs),
    /// Works on what is measured, directly on the database.
    Metrics(metrics::MetricsArgs),
}

impl Cli {
    /// Runs the command. Errors are written to standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Serve(settings) => serve::run(&settings),
            Command::Demo(settings) => demo::run(&settings),
            Command::Analyze(arguments) => analyze::run(&arguments, &mut stdout().lock())
                .map(|()| ExitCode::SUCCESS)
                .map_err(|error| error.to_string()),
            Command::Export(arguments) => configure::export(&arguments, &mut stdout().lock()),
            Command::Apply(arguments) => configure::apply(&arguments, &mut stdout().lock()),
            Command::Import(arguments) => import::run(&arguments, &mut stdout().lock()),
            Command::Evaluate(arguments) => {
                let answered = evaluate::run(&arguments, &mut stdout().lock());
                answered.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
            }
            Command::Metrics(arguments) => metrics::run(&arguments, &mut stdout().lock()),
            Command::Plan(arguments) => plan::run(&arguments, &mut stdout().lock())
                .map(|()| ExitCode::SUCCESS)
                .map_err(|error| error.to_string()),
        };
        outcome.unwrap_or_else(|message| {
            #[expect(clippy::print_stderr, reason = "this is where a command reports its failure")]
            {
                eprintln!("portcullis: {message}");
            }
            ExitCode::FAILURE
        })
    }
}
