//! `portcullis delivery`: what webhooks are still to get.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::configure::unwritable;
use super::output::Output;
use super::server::{self, ServerArgs, failure};
use super::time::shown;
use crate::transport::grpc::json::Json;
use crate::transport::grpc::wire::resend_deliveries_request::Which;
use crate::transport::grpc::wire::{
    Delivery, ListDeliveriesRequest, ListDeliveriesResponse, ResendDeliveriesRequest,
};

/// Shows what webhooks are still to get, and has it sent again.
#[derive(Clone, Debug, Args)]
pub(super) struct DeliveryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Lists deliveries that are waiting or were given up, oldest first. What was delivered is not kept.
    List(ListArgs),
    /// Has deliveries that were given up attempted again.
    Resend(ResendArgs),
}

#[derive(Clone, Debug, Args)]
struct ListArgs {
    /// Only those of this webhook.
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    webhook: String,
    /// Only those that were given up.
    #[arg(long)]
    dead: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false, args = ["ids", "webhook"])]
struct ResendArgs {
    /// Ids of deliveries.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All of this webhook that were given up.
    #[arg(long, value_name = "KEY")]
    webhook: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(arguments: &DeliveryArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    server::run(async {
        match &arguments.what {
            What::List(list) => self::list(list, out).await,
            What::Resend(resend) => self::resend(resend, out).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(arguments: &ListArgs, out: &mut impl Write) -> Result<(), String> {
    let connection = arguments.server.connect().await?;
    let mut deliveries = Vec::new();
    let mut page_token = String::new();
    loop {
        let (webhook, dead_only) = (arguments.webhook.clone(), arguments.dead);
        let request = ListDeliveriesRequest { webhook, dead_only, page_size: 1_000, page_token };
        let answer = connection.webhooks().list_deliveries(connection.request(request)).await;
        let answer = answer.map_err(|status| failure(&status))?.into_inner();
        deliveries.extend(answer.deliveries);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let all = ListDeliveriesResponse { deliveries, next_page_token: String::new() };
    let json = Json::new().and_then(|json| json.of("ListDeliveriesResponse", &all));
    let json = json.map_err(|error| error.in_full())?;
    let text = |out: &mut dyn Write| all.deliveries.iter().try_for_each(|delivery| line(delivery, out));
    arguments.output.write(&json, |_, out| text(out), out).map_err(unwritable)
}

async fn resend(arguments: &ResendArgs, out: &mut impl Write) -> Result<(), String> {
    let connection = arguments.server.connect().await?;
    let webhook = arguments.webhook.clone().map(Which::Webhook);
    let which = webhook.into_iter().chain(arguments.ids.iter().cloned().map(Which::Id));
    let mut count = 0;
    for which in which {
        let request = ResendDeliveriesRequest { which: Some(which) };
        let answer = connection.webhooks().resend_deliveries(connection.request(request)).await;
        count += answer.map_err(|status| failure(&status))?.into_inner().count;
    }
    writeln!(out, "{count} to be sent again").map_err(unwritable)
}

fn line(delivery: &Delivery, out: &mut dyn Write) -> io::Result<()> {
    let stands = match (&delivery.dead_time, &delivery.due_time) {
        (Some(dead), _) => format!("given up {}", shown(dead)),
        (None, Some(due)) => format!("due {}", shown(due)),
        (None, None) => String::new(),
    };
    let failure = if delivery.failure.is_empty() { "not tried yet" } else { delivery.failure.as_str() };
    writeln!(
        out,
        "{}  {}  decision {}  {stands}  attempts {}: {failure}",
        delivery.id, delivery.webhook, delivery.decision_id, delivery.attempts
    )
}
