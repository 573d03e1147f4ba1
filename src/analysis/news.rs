//! What is news: whether the guard says something else than it said last.

use super::decision::{Decision, GUARD, Reason, ReasonCode};
use super::plan::Plan;

/// Whether a plan says again what was decided last. Progress within a step is not news; what a shadow would do is.
#[must_use]
pub fn says_same(last: &Decision, plan: &Plan) -> bool {
    fn news(reasons: &[Reason]) -> impl Iterator<Item = (ReasonCode, [&Option<String>; 3], Option<&str>)> {
        let news = reasons.iter().filter(|reason| reason.code != ReasonCode::StepNotDone);
        news.map(|reason| {
            let words = (reason.code == ReasonCode::Shadow).then_some(reason.message.as_str());
            (reason.code, [&reason.metric, &reason.arm, &reason.segment], words)
        })
    }
    last.actor == GUARD && last.kind == plan.kind && news(&last.reasons).eq(news(&plan.reasons))
}
