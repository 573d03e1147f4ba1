//! The service put to the test as a whole: how fresh its numbers are, how soon it protects, and how seldom it stops what does
//! no harm.
//!
//! `cargo run --release --bin drill -- --tick 1s protect` measures the time from the first harmful event to the client being
//! served the control; `cargo run --release --bin drill -- harmless` runs launches without harm in compressed time, and fails
//! where more are rolled back than alpha allows. The server takes every setting of `serve`, and works in a folder of its own.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it found")]

mod harmless;
mod lag;
mod protect;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portcullis::config::ServeSettings;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    serve: ServeSettings,
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Subcommand)]
enum Drill {
    /// How long it takes from an event to the published number that counts it; fails where the 95th percentile is two ticks.
    Lag(lag::Arguments),
    /// How long it takes from the first harmful event until the client is served the control.
    Protect(protect::Arguments),
    /// How many launches without harm are rolled back.
    Harmless(harmless::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let held = match arguments.drill {
        Drill::Lag(drill) => lag::run(arguments.serve, drill).await,
        Drill::Protect(drill) => protect::run(arguments.serve, drill).await,
        Drill::Harmless(drill) => harmless::run(arguments.serve, drill).await,
    };
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("drill: {error}");
            ExitCode::FAILURE
        }
    }
}
