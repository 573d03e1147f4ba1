//! Answers for programs: one JSON object a line.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Kind, Subject};
use crate::domain::user::User;
use crate::engine::explain::{ExplainedRule, Explanation};

/// Writes one answer.
pub(super) fn write(
    out: &mut impl Write,
    user: &User,
    subject: &Subject,
    explanation: &Explanation<'_>,
) -> io::Result<()> {
    let decision = &explanation.decision;
    let units: serde_json::Map<String, Value> =
        user.units().into_iter().map(|(unit_type, id)| (unit_type.into_owned(), id.into())).collect();
    let line = json!({
        "units": units,
        "kind": subject.kind.name(),
        "key": subject.key,
        "value": if subject.kind == Kind::Gate { json!(decision.passed) } else { json!(decision.value) },
        "reason": decision.reason.to_string(),
        "rule": decision.rule_id,
        "group": decision.group,
        "experiment": decision.experiment,
        "rules": explanation.rules.iter().map(rule).collect::<Vec<_>>(),
    });
    writeln!(out, "{line}")
}

fn rule(rule: &ExplainedRule<'_>) -> Value {
    let conditions = rule.conditions.iter().map(|explained| {
        json!({ "condition": explained.condition, "holds": explained.holds, "found": explained.found })
    });
    json!({
        "id": rule.id,
        "matches": rule.matches,
        "decides": rule.decides,
        "conditions": conditions.collect::<Vec<_>>(),
        "percentage": rule.percentage,
        "part": rule.part,
    })
}
