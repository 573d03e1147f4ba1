//! `portcullis launch watch`: the decisions about a launch as they come.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status, Streaming};

use super::{WatchArgs, check, exit_code, text, unwritable};
use crate::cli::output::Format;
use crate::cli::server::{Connection, failure};
use crate::transport::grpc::json::Json;
use crate::transport::grpc::wire::{
    CheckLaunchResponse, Decision, DecisionKind, Launch, LaunchState, WatchDecisionsRequest,
    WatchDecisionsResponse,
};

/// How long a lost connection is left alone before the next try.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a lost connection is tried again, without an answer in between.
const TRIES: usize = 30;
/// A wait that no program lives to see, where none is set.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// Watches until it is settled what becomes of the launch, or the time is over.
pub(super) async fn run(watch: &WatchArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let connection = watch.ask.server.connect().await?;
    let deadline = Instant::now() + watch.timeout.unwrap_or(FOREVER);
    let mut answer = check::answer(&connection, &watch.ask).await?;
    let Some(launch_id) = answer.launch.as_ref().map(|launch| launch.id.clone()) else {
        check::write(&watch.ask, &answer, out)?;
        return Ok(exit_code(answer.decision()));
    };
    let request =
        WatchDecisionsRequest { launch_id, after_cursor: Some(0), ..WatchDecisionsRequest::default() };
    let mut following = Following { connection: &connection, request, stream: None, told: Told::new(watch)? };
    while !is_settled(&answer) {
        // What the guard says can change without a decision of its own, so that each heartbeat is a reason to ask.
        match timeout_at(deadline, following.next(out)).await {
            Ok(heard) => heard?,
            Err(_) => break,
        }
        answer = check::answer(&connection, &watch.ask).await?;
    }
    check::write(&watch.ask, &answer, out)?;
    Ok(exit_code(answer.decision()))
}

/// Whether there is nothing to wait for: it may go on, a person has to act, or it has ended.
fn is_settled(answer: &CheckLaunchResponse) -> bool {
    let is_live = |launch: &Launch| {
        !matches!(launch.state(), LaunchState::Completed | LaunchState::RolledBack | LaunchState::Cancelled)
    };
    answer.decision() != DecisionKind::Hold || !answer.launch.as_ref().is_some_and(is_live)
}

/// The stream of decisions, taken up again where it breaks off.
struct Following<'c> {
    connection: &'c Connection,
    request: WatchDecisionsRequest,
    stream: Option<Streaming<WatchDecisionsResponse>>,
    told: Told,
}

/// How decisions are written.
struct Told {
    json: Option<Json>,
}

impl Following<'_> {
    /// Writes what has come, until there was a decision or a heartbeat.
    async fn next(&mut self, out: &mut impl Write) -> Result<(), String> {
        let mut failed = 0;
        loop {
            match self.hear(out).await {
                Ok(()) => return Ok(()),
                Err(Heard::Unwritten(message)) => return Err(message),
                Err(Heard::Broken(status)) if is_passing(&status) && failed < TRIES => failed += 1,
                Err(Heard::Broken(status)) => return Err(failure(&status)),
            }
            sleep(PAUSE).await;
        }
    }

    async fn hear(&mut self, out: &mut impl Write) -> Result<(), Heard> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let request = self.connection.request(self.request.clone());
            self.connection.guard().watch_decisions(request).await?.into_inner()
        };
        let message = stream.message().await?;
        let ended = || Heard::Broken(Status::unavailable("the stream of decisions ended"));
        let message = message.ok_or_else(ended)?;
        self.request.after_cursor = Some(message.cursor);
        if let Some(decision) = &message.decision {
            self.told.tell(decision, out).map_err(Heard::Unwritten)?;
        }
        self.stream = Some(stream);
        Ok(())
    }
}

/// Why nothing was heard.
enum Heard {
    Broken(Status),
    Unwritten(String),
}

impl From<Status> for Heard {
    fn from(status: Status) -> Self {
        Self::Broken(status)
    }
}

fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Unknown)
}

impl Told {
    fn new(watch: &WatchArgs) -> Result<Self, String> {
        let output = watch.ask.output;
        let wanted = output.json || output.format == Format::Json;
        let json = wanted.then(Json::new).transpose().map_err(|error| error.in_full())?;
        Ok(Self { json })
    }

    /// Writes a decision as soon as it is known: one line of JSON, or a text.
    fn tell(&self, decision: &Decision, out: &mut impl Write) -> Result<(), String> {
        let written = match &self.json {
            Some(json) => {
                let json = json.of("Decision", decision).map_err(|error| error.in_full())?;
                writeln!(out, "{json}")
            }
            None => text::decision(decision, out),
        };
        written.and_then(|()| out.flush()).map_err(unwritable)
    }
}
