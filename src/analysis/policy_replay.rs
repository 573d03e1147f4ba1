//! What a policy would have said at a look that is on record: the same numbers, judged again under it.

use super::decision::{Decision, DecisionKind};
use super::judge::judge;
use super::plan::{Plan, plan};
use crate::domain::launch::Launch;
use crate::domain::policy::{PinnedPolicy, Policy};

/// What the guard would have said and done under a policy, out of shadow and without overrides; none where the decision rests
/// on no look, or was no answer of the guard.
#[must_use]
pub fn replay(policy: &Policy, decision: &Decision) -> Option<Plan> {
    let judgement = decision.judgement.as_ref()?;
    let launch = under(policy, &decision.launch);
    let judged = judge(&launch, judgement.measurement(&launch).as_ref(), judgement.at);
    Some(plan(&launch, &judged, None, judgement.at))
}

/// Whether one answer lets less through than another.
#[must_use]
pub fn is_stricter(would: DecisionKind, was: DecisionKind) -> bool {
    let rank = |kind| match kind {
        DecisionKind::Allow => 0,
        DecisionKind::Hold => 1,
        DecisionKind::Block => 2,
        DecisionKind::RollBack => 3,
    };
    rank(would) > rank(was)
}

/// The launch as if it had begun under a policy. Scales stay what they were frozen at.
fn under(policy: &Policy, launch: &Launch) -> Launch {
    let cycle = Some(policy.cycle.unwrap_or_default());
    let policy = Policy { shadow: false, cycle, ..policy.clone() };
    let mut launch = launch.clone();
    for pinned in &mut launch.metrics {
        pinned.metric.min_units = pinned.metric.min_units.max(policy.min_units);
    }
    (launch.alpha, launch.alpha_hold) = (policy.alpha, policy.alpha_hold);
    launch.policy = PinnedPolicy { policy, revision: 0 };
    launch.overridden = None;
    launch
}
