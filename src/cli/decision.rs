//! `portcullis decision`: what was decided, and whether it comes out the same again.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::configure::unwritable;
use super::launch::text;
use super::output::Output;
use super::server::{self, ServerArgs, failure};
use super::time::shown;
use crate::analysis::again::{Again, again};
use crate::analysis::decision::Decision;
use crate::domain::target_filter::TargetFilter;
use crate::transport::grpc::json::Json;
use crate::transport::grpc::wire::{
    self, DecisionKind, EpochMoments, GetDecisionRequest, GetDecisionResponse, ListDecisionsRequest,
    ListDecisionsResponse, MetricVerdict, Target, TargetKind,
};

/// Shows what was decided, and makes it again from the record alone.
#[derive(Clone, Debug, Args)]
pub(super) struct DecisionArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Lists decisions, oldest first.
    List(ListArgs),
    /// Shows one decision with all that it rests on.
    Show(ShowArgs),
    /// Makes a decision again from its record alone. Exits 0 when it comes out the same, and 1 when it does not.
    Replay(ReplayArgs),
}

#[derive(Clone, Debug, Args)]
struct ListArgs {
    /// Only those about this launch.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    launch: String,
    /// Only those about this target: gate:KEY, gate:KEY/RULE, config:KEY, config:KEY/RULE, experiment:KEY, shipment:KEY or
    /// holdout:KEY.
    #[arg(long)]
    target: Option<TargetFilter>,
    /// Only those of this kind: allow, hold, block or roll_back. Give it again for more.
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<DecisionKind>,
    /// Only those after this cursor.
    #[arg(long, value_name = "CURSOR", default_value_t = 0)]
    after: i64,
    /// At most this many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    limit: i32,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
struct ShowArgs {
    /// Id of the decision.
    id: String,
    /// Write the whole record, as `replay --file` reads it.
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
#[group(id = "source", required = true, multiple = false, args = ["id", "file"])]
struct ReplayArgs {
    /// Id of the decision.
    id: Option<String>,
    /// A record, as `show --record` writes it; `-` reads standard input. No server is asked.
    #[arg(long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: Output,
}

/// Runs the command.
pub(super) fn run(arguments: &DecisionArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    match &arguments.what {
        What::List(list) => self::list(list, out).map(|()| ExitCode::SUCCESS),
        What::Show(show) => self::show(show, out).map(|()| ExitCode::SUCCESS),
        What::Replay(replay) => self::replay(replay, out),
    }
}

fn list(arguments: &ListArgs, out: &mut impl Write) -> Result<(), String> {
    let request = ListDecisionsRequest {
        launch_id: arguments.launch.clone(),
        page_size: arguments.limit,
        after_cursor: arguments.after,
        target: arguments.target.as_ref().map(target),
        kinds: arguments.kinds.iter().map(|kind| (*kind).into()).collect(),
    };
    let page = server::run(async {
        let connection = arguments.server.connect().await?;
        let answer = connection.guard().list_decisions(connection.request(request)).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(&status))
    })?;
    let json = Json::new().and_then(|json| json.of("ListDecisionsResponse", &page));
    let json = json.map_err(|error| error.in_full())?;
    arguments.output.write(&json, |_, out| lines(&page, out), out).map_err(unwritable)
}

fn lines(page: &ListDecisionsResponse, out: &mut dyn Write) -> io::Result<()> {
    for decision in &page.decisions {
        write!(out, "{}  {}  ", decision.id, text::target(decision.target.as_ref()))?;
        text::decision(decision, out)?;
    }
    if page.next_cursor == 0 { Ok(()) } else { writeln!(out, "more with --after {}", page.next_cursor) }
}

fn show(arguments: &ShowArgs, out: &mut impl Write) -> Result<(), String> {
    let GetDecisionResponse { decision, record } = fetch(&arguments.server, &arguments.id)?;
    if arguments.record {
        return writeln!(out, "{record}").map_err(unwritable);
    }
    let decision = decision.unwrap_or_default();
    let json = Json::new().and_then(|json| json.of("Decision", &decision));
    let json = json.map_err(|error| error.in_full())?;
    arguments.output.write(&json, |_, out| whole(&decision, out), out).map_err(unwritable)
}

fn whole(decision: &wire::Decision, out: &mut dyn Write) -> io::Result<()> {
    text::decision(decision, out)?;
    writeln!(out, "target {}, launch {}", text::target(decision.target.as_ref()), decision.launch_id)?;
    if let (Some(as_of), Some(watermark)) = (&decision.as_of, &decision.watermark) {
        writeln!(out, "numbers up to {}, data up to {}", shown(as_of), shown(watermark))?;
    }
    let level = 1.0 / decision.alpha;
    writeln!(
        out,
        "e-value {:.4}, harm from {level}; configuration {}",
        decision.e_value, decision.config_revision
    )?;
    let metrics: Vec<String> = decision
        .metrics
        .iter()
        .map(|metric| format!("{} at revision {}", metric.key, metric.revision))
        .collect();
    writeln!(out, "metrics: {}", if metrics.is_empty() { "none".to_owned() } else { metrics.join(", ") })?;
    decision.verdicts.iter().try_for_each(|verdict| verdict_line(verdict, out))
}

fn verdict_line(verdict: &MetricVerdict, out: &mut dyn Write) -> io::Result<()> {
    let sum = |of: fn(&EpochMoments) -> Option<wire::Moments>| {
        let moments = verdict.epochs.iter().filter_map(of);
        let (n, sum) = moments.fold((0, 0.0), |(n, sum), moments| (n + moments.n, sum + moments.sum));
        format!("{sum} on {n} units")
    };
    writeln!(
        out,
        "  {} of {}: {}, e-value {:.4} for harm and {:.4} for safety, alpha {:.4}; {} against {} of control",
        verdict.metric,
        verdict.arm,
        text::name(verdict.verdict().as_str_name()),
        verdict.e_value,
        verdict.e_value_safe,
        verdict.alpha_spent,
        sum(|epoch| epoch.treatment),
        sum(|epoch| epoch.control),
    )
}

fn replay(arguments: &ReplayArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let (record, name) = match (&arguments.id, &arguments.file) {
        (Some(id), _) => (fetch(&arguments.server, id)?.record, id.clone()),
        (None, Some(path)) => (read(path)?, path.display().to_string()),
        (None, None) => return Err("give the id of a decision, or a record with --file".to_owned()),
    };
    let decision: Decision = serde_json::from_str(&record)
        .map_err(|error| format!("{name}: this is not the record of a decision: {error}"))?;
    let outcome = again(&decision);
    let differs = match &outcome {
        Again::Differs(found) => found.as_slice(),
        Again::Agrees | Again::Nothing => &[],
    };
    let result = json!({
        "id": decision.id,
        "kind": decision.kind,
        "action": decision.action,
        "agrees": differs.is_empty(),
        "judged": outcome != Again::Nothing,
        "differences": differs
            .iter()
            .map(|it| json!({ "path": it.path, "recorded": it.recorded, "again": it.again }))
            .collect::<Vec<_>>(),
    });
    let said = |out: &mut dyn Write| match &outcome {
        Again::Agrees => {
            writeln!(out, "the same again: {}, {} things judged", decision.kind, judged(&decision))
        }
        Again::Nothing => writeln!(out, "{} decided before any look of the guard", decision.actor),
        Again::Differs(found) => found.iter().try_for_each(|it| {
            writeln!(out, "{}: recorded {}, comes out {}", it.path, it.recorded, it.again)
        }),
    };
    arguments.output.write(&result, |_, out| said(out), out).map_err(unwritable)?;
    Ok(if differs.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How many verdicts a decision rests on.
fn judged(decision: &Decision) -> usize {
    decision.judgement.as_ref().map_or(0, |judgement| judgement.verdicts.len())
}

fn fetch(server: &ServerArgs, id: &str) -> Result<GetDecisionResponse, String> {
    server::run(async {
        let connection = server.connect().await?;
        let request = connection.request(GetDecisionRequest { id: id.to_owned() });
        let answer = connection.guard().get_decision(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(&status))
    })
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text)
}

fn kind(text: &str) -> Result<DecisionKind, String> {
    let full = format!("DECISION_KIND_{}", text.to_uppercase());
    let known = DecisionKind::from_str_name(&full).filter(|kind| *kind != DecisionKind::Unspecified);
    known.ok_or_else(|| "must be allow, hold, block or roll_back".to_owned())
}

/// The target of a path such as `gate:KEY/RULE`.
fn target(filter: &TargetFilter) -> Target {
    let (kind, rest) = filter.path().split_once(':').unwrap_or_default();
    let (key, rule_id) = rest.split_once('/').unwrap_or((rest, ""));
    let kind = match kind {
        "config" => TargetKind::ConfigRule,
        "experiment" => TargetKind::Experiment,
        "shipment" => TargetKind::Shipment,
        "holdout" => TargetKind::Holdout,
        _ => TargetKind::GateRule,
    };
    Target { kind: kind.into(), key: key.to_owned(), rule_id: rule_id.to_owned() }
}
