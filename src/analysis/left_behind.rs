//! What outlives a launch that a person ends: whatever was shown against it.

use super::decision::{DecisionKind, Judgement, Reason, ReasonCode};
use super::plan::by_evidence;
use crate::domain::launch::Launch;

/// What was shown against a launch, so that it can not be shaken off by ending the launch and beginning again: harm, also where
/// it only holds, a warning, and arms that did not get their units. What is not known leaves nothing behind, and what is in
/// shadow acts on nothing.
#[must_use]
pub fn left_behind(launch: &Launch, judgement: Option<&Judgement>) -> Vec<Reason> {
    if launch.policy.policy.shadow {
        return Vec::new();
    }
    let (kind, reasons) = by_evidence(launch, judgement, None, launch.needs());
    let mut shown: Vec<Reason> = match kind {
        DecisionKind::Hold | DecisionKind::RollBack => reasons.into_iter().filter(is_shown).collect(),
        DecisionKind::Allow | DecisionKind::Block => Vec::new(),
    };
    if shown.is_empty() && (launch.warned || judgement.is_some_and(|judgement| judgement.warned)) {
        let message = "evidence of harm was past the hold level";
        shown.push(Reason::of_launch(ReasonCode::Warning, message));
    }
    shown
}

/// Where the launch is held, a limit or the shares of arms are only told of when they stand against it.
fn is_shown(reason: &Reason) -> bool {
    use ReasonCode::{Harm, HarmInSegment, Limit, SampleRatio, Warning};
    matches!(reason.code, Harm | HarmInSegment | Limit | Warning | SampleRatio)
}
