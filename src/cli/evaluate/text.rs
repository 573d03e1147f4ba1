//! Answers for people.

use std::io::{self, Write};

use super::{Kind, Subject};
use crate::domain::user::User;
use crate::engine::evaluate::Decision;
use crate::engine::explain::{ExplainedRule, Explanation};

/// Writes one answer: what the user gets in the first line, then the way there.
pub(super) fn write(
    out: &mut impl Write,
    user: &User,
    subject: &Subject,
    explanation: &Explanation<'_>,
) -> io::Result<()> {
    let decision = &explanation.decision;
    let who = user.units().first().map(|(_, id)| (*id).to_owned()).unwrap_or_default();
    let (kind, key) = (subject.kind.name(), &subject.key);
    writeln!(out, "{who}: {kind} {key}: {}", answer(subject.kind, decision))?;
    writeln!(out, "  because: {}, rule {}", decision.reason, decision.rule_id)?;
    for rule in &explanation.rules {
        write_rule(out, rule)?;
    }
    writeln!(out)
}

fn answer(kind: Kind, decision: &Decision<'_>) -> String {
    if kind == Kind::Gate {
        return if decision.passed { "yes" } else { "no" }.to_owned();
    }
    let value = serde_json::json!(decision.value);
    let group = decision.group.map(|group| format!(", group {group}"));
    let experiment = decision.experiment.map(|experiment| format!(", experiment {experiment}"));
    format!("{value}{}{}", group.unwrap_or_default(), experiment.unwrap_or_default())
}

fn write_rule(out: &mut impl Write, rule: &ExplainedRule<'_>) -> io::Result<()> {
    let outcome = match (rule.decides, rule.matches) {
        (true, _) => "decides",
        (false, true) => "would match too",
        (false, false) => "does not match",
    };
    writeln!(out, "  rule {}: {outcome}", rule.id)?;
    for explained in &rule.conditions {
        let outcome = if explained.holds { "holds" } else { "does not hold" };
        let found = explained.found.as_deref().map_or("nothing".to_owned(), |found| format!("{found:?}"));
        writeln!(out, "    {} {outcome}: found {found}", explained.condition)?;
    }
    if rule.percentage > 0.0 && rule.percentage < 100.0 {
        let below = rule.percentage * 100.0;
        writeln!(
            out,
            "    {} %: the unit is at {} of 10000, and passes below {below}",
            rule.percentage, rule.part
        )?;
    }
    Ok(())
}
