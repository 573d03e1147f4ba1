//! How a decision came about: every rule with the outcome of each of its conditions, and where the unit fell.

use super::evaluate::{Asked, Call, Decision, Entity, evaluate};
use super::reason::Reason;
use super::snapshot::{Snapshot, Spec};
use crate::domain::condition::Condition;
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// How a decision came about.
#[derive(Debug, PartialEq)]
pub struct Explanation<'s> {
    /// The decision itself.
    pub decision: Decision<'s>,
    /// The unit's id; empty where the user has none.
    pub unit: String,
    /// Every rule, in order, also those after the one that decided.
    pub rules: Vec<ExplainedRule<'s>>,
}

/// One rule.
#[derive(Debug, PartialEq)]
pub struct ExplainedRule<'s> {
    /// Its id.
    pub id: &'s str,
    /// All conditions hold.
    pub matches: bool,
    /// This is the rule that decided.
    pub decides: bool,
    /// Each condition.
    pub conditions: Vec<ExplainedCondition>,
    /// Share of matching units that pass, 0 to 100.
    pub percentage: f64,
    /// Where the unit fell among 10,000 parts; it passes below a hundred times the percentage.
    pub part: u64,
}

/// One condition.
#[derive(Debug, PartialEq)]
pub struct ExplainedCondition {
    /// As it is written.
    pub condition: Condition,
    /// It holds.
    pub holds: bool,
    /// The text it was compared by; none for what is missing.
    pub found: Option<String>,
}

/// Explains what a user gets from an entity; none for an unknown key.
#[must_use]
pub fn explain<'s>(
    snapshot: &'s Snapshot,
    entity: Entity,
    key: &str,
    user: &User,
    now: Timestamp,
) -> Option<Explanation<'s>> {
    let spec = snapshot.find(entity, key)?;
    let call = Call { snapshot, user, now };
    let mut rules: Vec<ExplainedRule<'s>> = call.explain_rules(spec);
    let decision = evaluate(snapshot, entity, key, user, now);
    // Without a unit no rule decides, unless it is the delegate that misses one.
    let decides = decision.experiment.is_some() || decision.reason != Reason::MissingUnit;
    if let Some(first) = rules.iter_mut().find(|rule| rule.matches) {
        first.decides = spec.form.enabled && decides;
    }
    Some(Explanation { decision, unit: spec.unit.of(user).unwrap_or_default().to_owned(), rules })
}

impl<'s> Call<'s, '_> {
    fn explain_rules(self, spec: &'s Spec) -> Vec<ExplainedRule<'s>> {
        let mut asked = Asked::default();
        let rules = spec.rules.iter().zip(&spec.form.rules);
        let explained = rules.map(|(rule, form)| {
            let conditions: Vec<ExplainedCondition> = rule
                .conditions
                .iter()
                .zip(form.all_conditions())
                .map(|(compiled, condition)| ExplainedCondition {
                    condition,
                    holds: compiled.holds(self.user, self.now, |place| self.ask(place, &mut asked)),
                    found: compiled.found(self.user, self.now, |place| self.ask(place, &mut asked)),
                })
                .collect();
            let unit = rule.unit.of(self.user).unwrap_or_default();
            ExplainedRule {
                id: &form.id,
                matches: conditions.iter().all(|condition| condition.holds),
                decides: false,
                conditions,
                percentage: form.percentage,
                part: rule.prefix.part(unit),
            }
        });
        explained.collect()
    }
}
