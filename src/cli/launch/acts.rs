//! What people say to a launch: each is recorded under their name with a reason.

use std::io::Write;
use std::process::ExitCode;

use super::check;
use super::text::{in_short, latch_in_words};
use super::{ActArgs, OpenArgs, unwritable};
use crate::cli::server::{Connection, failure};
use crate::cli::time::after;
use crate::error::Result as JsonResult;
use crate::transport::grpc::json::Json;
use crate::transport::grpc::wire::{
    ApproveStepRequest, CancelLaunchRequest, Latch, Launch, OverrideLaunchRequest, PauseLaunchRequest,
    ResolveLatchRequest, ResumeLaunchRequest,
};

/// Opens all closed latches.
pub(super) async fn resolve(open: &OpenArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let ask = &open.act.ask;
    let connection = ask.server.connect().await?;
    let answer = check::answer(&connection, ask).await?;
    let closed: Vec<&Latch> = answer.latches.iter().filter(|latch| latch.closed).collect();
    if closed.is_empty() {
        return Err("no latch is closed there".to_owned());
    }
    for latch in closed {
        let request = ResolveLatchRequest {
            latch_id: latch.id.clone(),
            reason: open.act.reason.clone(),
            expire_time: Some(after(open.lasting)),
        };
        let answer = connection.guard().resolve_latch(connection.request(request)).await;
        let latch = answer.map_err(|status| failure(&status))?.into_inner().latch.unwrap_or_default();
        let json = Json::new().and_then(|json| json.of("Latch", &latch));
        write(&open.act, json, &latch_in_words(&latch), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Approves the step in force.
pub(super) async fn approve(act: &ActArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let (connection, launch) = live(act).await?;
    let (launch_id, reason) = (launch.id, act.reason.clone());
    let request = ApproveStepRequest { launch_id, step: launch.current_step, reason };
    let answer = connection.guard().approve_step(connection.request(request)).await;
    said(act, answer.map(|answer| answer.into_inner().launch), out)
}

/// Pauses a launch.
pub(super) async fn pause(act: &ActArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let (connection, launch) = live(act).await?;
    let request = PauseLaunchRequest { launch_id: launch.id, reason: act.reason.clone() };
    let answer = connection.guard().pause_launch(connection.request(request)).await;
    said(act, answer.map(|answer| answer.into_inner().launch), out)
}

/// Lets a paused launch go on.
pub(super) async fn resume(act: &ActArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let (connection, launch) = live(act).await?;
    let request = ResumeLaunchRequest { launch_id: launch.id, reason: act.reason.clone() };
    let answer = connection.guard().resume_launch(connection.request(request)).await;
    said(act, answer.map(|answer| answer.into_inner().launch), out)
}

/// Ends a launch.
pub(super) async fn cancel(act: &ActArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let (connection, launch) = live(act).await?;
    let request = CancelLaunchRequest { launch_id: launch.id, reason: act.reason.clone() };
    let answer = connection.guard().cancel_launch(connection.request(request)).await;
    said(act, answer.map(|answer| answer.into_inner().launch), out)
}

/// Lets a held or blocked launch pass.
pub(super) async fn override_launch(open: &OpenArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let (connection, launch) = live(&open.act).await?;
    let request = OverrideLaunchRequest {
        launch_id: launch.id,
        reason: open.act.reason.clone(),
        expire_time: Some(after(open.lasting)),
    };
    let answer = connection.guard().override_launch(connection.request(request)).await;
    said(&open.act, answer.map(|answer| answer.into_inner().launch), out)
}

/// The launch that is meant. Whether it is live, and may be changed so, is for the server to say.
async fn live(act: &ActArgs) -> Result<(Connection, Launch), String> {
    let connection = act.ask.server.connect().await?;
    let answer = check::answer(&connection, &act.ask).await?;
    let launch = answer.launch.ok_or("the target has never been launched")?;
    Ok((connection, launch))
}

fn said(
    act: &ActArgs,
    answer: Result<Option<Launch>, tonic::Status>,
    out: &mut impl Write,
) -> Result<ExitCode, String> {
    let launch = answer.map_err(|status| failure(&status))?.unwrap_or_default();
    let json = Json::new().and_then(|json| json.of("Launch", &launch));
    write(act, json, &format!("launch {}", in_short(&launch)), out)?;
    Ok(ExitCode::SUCCESS)
}

fn write(
    act: &ActArgs,
    json: JsonResult<serde_json::Value>,
    text: &str,
    out: &mut impl Write,
) -> Result<(), String> {
    let json = json.map_err(|error| error.in_full())?;
    act.ask.output.write(&json, |_, out| writeln!(out, "{text}"), out).map_err(unwritable)
}
