//! A policy replayed over past launches: what it would have blocked.

use std::collections::BTreeMap;

use super::Admin;
use super::policies::check_guardrails;
use crate::analysis::decision::{Decision, DecisionAction, DecisionKind, GUARD, Reason};
use crate::analysis::policy_replay::{is_stricter, replay};
use crate::domain::launch::{Launch, LaunchId};
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::DecisionQuery;

/// Decisions that are read at a time.
const BATCH: i64 = 200;

/// What a policy would have done with one launch.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayedLaunch {
    /// The launch as it began.
    pub launch: Launch,
    /// How many of the guard's decisions about it were made again.
    pub decisions: usize,
    /// Why it would not have begun; none where it would.
    pub refusal: Option<String>,
    /// The first answer that lets less through than the one on record.
    pub stricter: Option<ReplayedDecision>,
    /// The first answer that lets more through.
    pub looser: Option<ReplayedDecision>,
}

/// What a policy would have said in place of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayedDecision {
    /// When.
    pub at: Timestamp,
    /// What was said.
    pub was: DecisionKind,
    /// What would have been said.
    pub would: DecisionKind,
    /// Why, the weightiest first.
    pub reasons: Vec<Reason>,
}

impl Admin {
    /// What a policy would have done with the launches on record, oldest first. After a launch would have been turned off, what
    /// was seen of it later says nothing of the policy, and only its first differences are told.
    pub async fn replay_policy(&self, policy: &Policy) -> Result<Vec<ReplayedLaunch>> {
        let mut launches: BTreeMap<LaunchId, ReplayedLaunch> = BTreeMap::new();
        let mut after = 0;
        loop {
            let query = DecisionQuery { after, limit: BATCH, ..DecisionQuery::default() };
            let recorded = self.store.decisions(&query).await?;
            for decision in &recorded {
                after = decision.cursor;
                take(&mut launches, policy, &decision.decision);
            }
            if recorded.is_empty() {
                return Ok(launches.into_values().collect());
            }
        }
    }
}

fn take(launches: &mut BTreeMap<LaunchId, ReplayedLaunch>, policy: &Policy, decision: &Decision) {
    let launch = &decision.launch;
    let replayed = launches.entry(launch.id).or_insert_with(|| ReplayedLaunch {
        launch: launch.clone(),
        decisions: 0,
        refusal: check_guardrails(policy, &launch.choice, &launch.metrics, &launch.unit_type)
            .err()
            .map(|error| error.to_string()),
        stricter: None,
        looser: None,
    });
    // The end of a launch, and what was said after it, are answers to other questions.
    let is_answer = decision.actor == GUARD && decision.action != DecisionAction::Complete;
    let Some(plan) = replay(policy, decision).filter(|_| is_answer) else {
        return;
    };
    replayed.decisions += 1;
    let found = || ReplayedDecision {
        at: decision.at,
        was: decision.kind,
        would: plan.kind,
        reasons: plan.reasons.clone(),
    };
    if is_stricter(plan.kind, decision.kind) {
        replayed.stricter.get_or_insert_with(found);
    } else if is_stricter(decision.kind, plan.kind) {
        replayed.looser.get_or_insert_with(found);
    }
}
