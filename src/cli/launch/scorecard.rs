//! `portcullis launch scorecard`: what a launch changes, metric by metric.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{ScorecardArgs, unwritable};
use crate::cli::figures::{signed, signed_percent, significant};
use crate::cli::page::table;
use crate::cli::server::failure;
use crate::cli::time::shown;
use crate::transport::grpc::json::Json;
use crate::transport::grpc::wire::get_scorecard_request::Subject;
use crate::transport::grpc::wire::{
    GetScorecardRequest, GetScorecardResponse, IntervalMethod, Range, Score, ScoredMetric, ScoredSegment,
    check_launch_request,
};

const HEAD: [&str; 10] = [
    "metric",
    "group",
    "units",
    "control",
    "value",
    "effect",
    "relative",
    "one look *",
    "every look *",
    "e-value",
];
const SEGMENTS_HEAD: [&str; 9] =
    ["segment", "metric", "group", "units", "effect", "one look *", "shrunk", "differs, p", "e-value"];

/// Asks and writes the scorecard.
pub(super) async fn run(arguments: &ScorecardArgs, out: &mut impl Write) -> Result<ExitCode, String> {
    let connection = arguments.ask.server.connect().await?;
    let subject = arguments.ask.subject.request().subject.map(|subject| match subject {
        check_launch_request::Subject::LaunchId(id) => Subject::LaunchId(id),
        check_launch_request::Subject::Target(target) => Subject::Target(target),
    });
    let request = GetScorecardRequest { subject, level: Some(arguments.level / 100.0) };
    let answer = connection.metrics().get_scorecard(connection.request(request)).await;
    let found = answer.map_err(|status| failure(&status))?.into_inner();
    let json = Json::new().and_then(|json| json.of("GetScorecardResponse", &found));
    let json = json.map_err(|error| error.in_full())?;
    arguments.ask.output.write(&json, |_, out| text(&found, out), out).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

fn text(found: &GetScorecardResponse, out: &mut dyn Write) -> io::Result<()> {
    if let Some(launch) = &found.launch {
        writeln!(out, "launch {}", super::text::in_short(launch))?;
    }
    let as_of = found.as_of.as_ref().map(shown).unwrap_or_default();
    writeln!(out, "numbers {} up to {as_of}", found.number)?;
    writeln!(out)?;
    let scores = found.metrics.iter().flat_map(|metric| {
        metric.groups.iter().filter_map(move |group| Some((metric, group.score.as_ref()?)))
    });
    table(out, &with_head(&HEAD, scores.map(|(metric, score)| row(metric, score))), &[0, 1])?;
    let segments: Vec<Vec<String>> = found.metrics.iter().flat_map(rows_of_segments).collect();
    if !segments.is_empty() {
        writeln!(out)?;
        table(out, &with_head(&SEGMENTS_HEAD, segments.into_iter()), &[0, 1, 2])?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "* intervals at {} %: those of one look hold when results are looked at once, as planned.",
        significant(100.0 * found.level)
    )?;
    for metric in &found.metrics {
        if !metric.blind.is_empty() {
            writeln!(out, "{}: no verdict can rest on it: {}.", metric.metric, metric.blind)?;
        }
        for score in metric.groups.iter().filter_map(|group| group.score.as_ref()) {
            if score.one_look_method() == IntervalMethod::Newcombe {
                writeln!(out, "{}, {}: one_look is Newcombe's interval.", metric.metric, score.group)?;
            }
            for (field, why) in &score.undefined {
                writeln!(out, "{}, {}: {field} is undefined: {why}.", metric.metric, score.group)?;
            }
        }
    }
    Ok(())
}

fn row(metric: &ScoredMetric, score: &Score) -> Vec<String> {
    let mark = if metric.guardrail { " (guardrail)" } else { "" };
    vec![
        format!("{}{mark}", metric.metric),
        score.group.clone(),
        format!("{} / {}", score.control_units, score.units),
        or_dash(score.control_mean, significant),
        or_dash(score.mean, significant),
        or_dash(score.effect, signed),
        or_dash(score.relative_effect, signed_percent),
        ends(score.one_look.as_ref()),
        ends(score.every_look.as_ref()),
        significant(score.e_value),
    ]
}

fn rows_of_segments(metric: &ScoredMetric) -> Vec<Vec<String>> {
    let segments = metric.groups.iter().flat_map(|group| &group.segments);
    let row = |segment: &ScoredSegment| {
        let score = segment.score.as_ref()?;
        Some(vec![
            format!("{}={}", segment.column, segment.value),
            metric.metric.clone(),
            score.group.clone(),
            format!("{} / {}", score.control_units, score.units),
            or_dash(score.effect, signed),
            ends(score.one_look.as_ref()),
            or_dash(segment.shrunk, signed),
            or_dash(segment.interaction_p_value, significant),
            significant(score.e_value),
        ])
    };
    segments.filter_map(row).collect()
}

fn or_dash(number: Option<f64>, form: fn(f64) -> String) -> String {
    number.map_or_else(|| "-".to_owned(), form)
}

fn ends(range: Option<&Range>) -> String {
    range.map_or_else(|| "-".to_owned(), |range| format!("{} to {}", signed(range.low), signed(range.high)))
}

fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    std::iter::once(head.iter().map(|name| (*name).to_owned()).collect()).chain(rows).collect()
}
