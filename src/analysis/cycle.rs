//! The time that evidence must cover before it lets a launch go on.

use super::decision::{Judgement, Reason, ReasonCode};
use crate::domain::launch::{Launch, Needs};
use crate::domain::time::Timestamp;

/// What the evidence of the step in force has not covered yet; none where the step needs none, or nothing gives any.
pub(super) fn unseen_by_step(launch: &Launch, covered: Timestamp) -> Option<Reason> {
    let (step, epoch) = (launch.step()?, launch.epoch()?);
    if step.needs != Needs::Evidence || launch.guardrails().next().is_none() {
        return None;
    }
    let seen_ms = covered.ms_since(epoch.started_at).max(0);
    let whole_ms = launch.cycle().step_ms;
    if seen_ms < whole_ms {
        let message = format!("the evidence of the step covers {seen_ms} ms of a cycle of {whole_ms} ms");
        return Some(Reason::of_launch(ReasonCode::StepNotDone, message));
    }
    launch.next_step().filter(|next| next.percentage >= 100.0).and_then(|_| unseen(launch, covered))
}

/// What the evidence of a launch has not covered yet of what it must before a group of it is shipped; none where nothing gives
/// any evidence.
pub(super) fn unseen_by_ship(launch: &Launch, judgement: &Judgement) -> Option<Reason> {
    launch.guardrails().next()?;
    unseen(launch, judgement.as_of.unwrap_or(launch.started_at))
}

/// What it must cover before everyone gets the treatment.
fn unseen(launch: &Launch, covered: Timestamp) -> Option<Reason> {
    let (seen_ms, whole_ms) = (covered.ms_since(launch.started_at).max(0), launch.cycle().ship_ms);
    (seen_ms < whole_ms).then(|| {
        let message = format!(
            "the evidence of the launch covers {seen_ms} ms of a cycle of {whole_ms} ms, which everyone's getting it needs"
        );
        Reason::of_launch(ReasonCode::StepNotDone, message)
    })
}
