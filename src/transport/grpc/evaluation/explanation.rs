//! Explanations as they are sent.

use super::answers::wire_reason;
use crate::engine::explain::{ExplainedCondition, ExplainedRule, Explanation};
use crate::transport::grpc::condition::wire_condition;
use crate::transport::grpc::convert::wire_struct;
use crate::transport::grpc::wire;

/// How an answer came about.
pub(super) fn sent(explanation: &Explanation<'_>, config_revision: i64) -> wire::ExplainResponse {
    let decision = &explanation.decision;
    wire::ExplainResponse {
        pass: decision.passed,
        reason: wire_reason(decision.reason).into(),
        rule_id: decision.rule_id.to_owned(),
        group: decision.group.unwrap_or_default().to_owned(),
        experiment: decision.experiment.unwrap_or_default().to_owned(),
        value: Some(wire_struct(decision.value)),
        unit_id: explanation.unit.clone(),
        rules: explanation.rules.iter().map(rule).collect(),
        config_revision,
    }
}

fn rule(rule: &ExplainedRule<'_>) -> wire::ExplainedRule {
    wire::ExplainedRule {
        id: rule.id.to_owned(),
        matches: rule.matches,
        decides: rule.decides,
        conditions: rule.conditions.iter().map(condition).collect(),
        percentage: rule.percentage,
        part: i32::try_from(rule.part).unwrap_or(i32::MAX),
    }
}

fn condition(condition: &ExplainedCondition) -> wire::ExplainedCondition {
    wire::ExplainedCondition {
        condition: Some(wire_condition(&condition.condition)),
        holds: condition.holds,
        found: condition.found.clone(),
    }
}
