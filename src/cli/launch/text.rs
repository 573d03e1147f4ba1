//! What the guard says, for people.

use std::io::{self, Write};

use crate::cli::time::shown;
use crate::transport::grpc::wire::{CheckLaunchResponse, Decision, Latch, Launch, Reason, Recovery, Target};

/// Writes an answer: the decision, the launch, and why.
pub(super) fn answer(answer: &CheckLaunchResponse, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", name(answer.decision().as_str_name()))?;
    for reason in &answer.reasons {
        writeln!(out, "  {}", in_words(reason))?;
    }
    if let Some(launch) = &answer.launch {
        writeln!(out, "launch {}", in_short(launch))?;
    }
    if let Some(as_of) = &answer.as_of {
        writeln!(out, "numbers up to {}, e-value {:.4}", shown(as_of), answer.e_value)?;
    }
    answer.latches.iter().try_for_each(|latch| writeln!(out, "{}", latch_in_words(latch)))?;
    answer.recoveries.iter().try_for_each(|recovery| writeln!(out, "{}", recovery_in_words(recovery)))
}

/// What became of a harmed guardrail, in one line.
fn recovery_in_words(recovery: &Recovery) -> String {
    let Recovery { metric, arm, harm_before, .. } = recovery;
    let since = match (recovery.harm_since_low, recovery.harm_since_high) {
        (Some(low), Some(high)) => {
            format!("{:.1} % to {:.1} % worse than the control since", 100.0 * low, 100.0 * high)
        }
        _ => "nothing to compare since".to_owned(),
    };
    let state = name(recovery.state().as_str_name());
    format!(
        "{metric} of {arm} is {state} after it was turned off: {:.1} % worse then, {since}",
        100.0 * harm_before
    )
}

/// Writes a decision as it comes in.
pub(in crate::cli) fn decision(decision: &Decision, out: &mut dyn Write) -> io::Result<()> {
    let time = decision.time.as_ref().map(shown).unwrap_or_default();
    let (kind, action) = (name(decision.kind().as_str_name()), name(decision.action().as_str_name()));
    let reasons: Vec<String> = decision.reasons.iter().map(in_words).collect();
    let arm = if decision.arm.is_empty() { String::new() } else { format!(" of {}", decision.arm) };
    writeln!(
        out,
        "{time}  {kind}, {action}{arm}, {} % by {}: {}",
        decision.percentage,
        decision.actor,
        reasons.join("; ")
    )
}

/// The launch in one line.
pub(super) fn in_short(launch: &Launch) -> String {
    let step = launch.current_step + 1;
    let share = launch.epochs.last().map_or(0.0, |epoch| epoch.percentage);
    format!(
        "{} of {}: {}, step {step} of {}, {share} %",
        launch.id,
        target(launch.target.as_ref()),
        name(launch.state().as_str_name()),
        launch.steps.len()
    )
}

/// A latch in one line.
pub(super) fn latch_in_words(latch: &Latch) -> String {
    let stands = if latch.closed {
        format!("closed since {}", latch.close_time.as_ref().map(shown).unwrap_or_default())
    } else {
        let until = latch.expire_time.as_ref().map(shown).unwrap_or_default();
        format!("opened by {} until {until}: {}", latch.resolved_by, latch.resolve_reason)
    };
    format!("latch {} is {stands} ({})", latch.id, latch.cause)
}

/// A target in words.
pub(in crate::cli) fn target(target: Option<&Target>) -> String {
    let Some(target) = target else { return String::new() };
    let kind = name(target.kind().as_str_name());
    let rule = if target.rule_id.is_empty() { String::new() } else { format!("/{}", target.rule_id) };
    format!("{kind} {}{rule}", target.key)
}

fn in_words(reason: &Reason) -> String {
    format!("{}: {}", name(reason.code().as_str_name()), reason.message)
}

/// A value's name without its enum's, for example `roll_back`.
pub(in crate::cli) fn name(full: &str) -> String {
    let enums = [
        "RECOVERY_STATE_",
        "TARGET_KIND_",
        "DECISION_KIND_",
        "DECISION_ACTION_",
        "LAUNCH_STATE_",
        "REASON_CODE_",
        "VERDICT_",
    ];
    let own = enums.iter().find_map(|prefix| full.strip_prefix(prefix)).unwrap_or(full);
    own.to_lowercase()
}
