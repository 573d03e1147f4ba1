//! `portcullis launch check`: what the guard says now.

use std::io::Write;
use std::process::ExitCode;

use super::{AskArgs, exit_code, text, unwritable};
use crate::cli::server::{Connection, failure};
use crate::transport::grpc::json::Json;
use crate::transport::grpc::wire::{CheckLaunchResponse, DecisionKind};

/// Asks, writes the answer, and exits by it.
pub(super) async fn run(ask: &AskArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let connection = ask.server.connect().await?;
    let answer = answer(&connection, ask).await?;
    write(ask, &answer, out)?;
    Ok(exit_code(answer.decision()))
}

/// What the guard says.
pub(super) async fn answer(connection: &Connection, ask: &AskArgs) -> Result<CheckLaunchResponse, String> {
    let request = connection.request(ask.subject.request());
    let answer = connection.guard().check_launch(request).await.map_err(|status| failure(&status))?;
    let answer = answer.into_inner();
    if answer.decision() == DecisionKind::Unspecified {
        return Err("the server answers with a decision that this program does not know".to_owned());
    }
    Ok(answer)
}

/// Writes an answer.
pub(super) fn write(ask: &AskArgs, answer: &CheckLaunchResponse, out: &mut impl Write) -> Result<(), String> {
    let json = Json::new().and_then(|json| json.of("CheckLaunchResponse", answer));
    let json = json.map_err(|error| error.in_full())?;
    ask.output.write(&json, |_, out| text::answer(answer, out), out).map_err(unwritable)
}
