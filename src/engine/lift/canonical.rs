//! When two entities in the rule form give every user the same answers.

use std::collections::BTreeSet;

use crate::domain::bucket_set::{BUCKETS, BucketSet};
use crate::domain::condition::{Condition, Operator, Subject};
use crate::engine::form::{Rule, Spec, SpecKind};
use crate::engine::reason::Reason;

/// Whether both give every user the same value, rule id and group, and ask the same gates on the way. Reasons, launches
/// and versions do not count, nor do ids of the rules of segments, which nobody is told.
#[must_use]
pub fn same_answers(one: &Spec, other: &Spec) -> bool {
    canonical(one) == canonical(other)
}

/// An entity with all that makes no difference taken out.
pub(super) fn canonical(spec: &Spec) -> Spec {
    let mut rules: Vec<Rule> =
        spec.rules.iter().map(canonical_rule).filter(|rule| !never_matches(rule)).collect();
    // Nobody gets past a rule that everyone meets.
    if let Some(last) =
        rules.iter().position(|rule| rule.conditions.is_empty() && rule.environments.is_empty())
    {
        rules.truncate(last + 1);
    }
    sort_disjoint(&mut rules);
    let mut experiment = spec.experiment.clone();
    if let Some(facts) = &mut experiment {
        facts.explicit_parameters.sort();
    }
    // Segments and holdouts are never sent to clients.
    let is_internal = matches!(spec.kind, SpecKind::Segment | SpecKind::Holdout);
    for rule in rules.iter_mut().filter(|rule| spec.kind == SpecKind::Segment && !is_drawn(rule)) {
        rule.id.clear();
    }
    Spec {
        rules,
        experiment,
        fallback: Reason::NoRule,
        version: 0,
        target_apps: if is_internal { Vec::new() } else { spec.target_apps.clone() },
        ..spec.clone()
    }
}

fn canonical_rule(rule: &Rule) -> Rule {
    let conditions = rule.conditions.iter().map(canonical_condition);
    Rule {
        conditions: conditions
            .filter(|condition| buckets(condition) != Some(BucketSet::first(1_000)))
            .collect(),
        // The salt of a rule that draws nobody is never used, and without one the id is hashed.
        salt: rule.salt.clone().filter(|salt| is_drawn(rule) && *salt != rule.id),
        reason: Reason::Rule,
        watch: None,
        ..rule.clone()
    }
}

/// A condition on buckets in its one form: the sorted list of those that meet it.
fn canonical_condition(condition: &Condition) -> Condition {
    match buckets(condition) {
        Some(met) => Condition {
            subject: condition.subject.clone(),
            operator: Operator::Any,
            values: met.iter().map(Into::into).collect(),
        },
        None => condition.clone(),
    }
}

/// The buckets that meet a condition on them.
fn buckets(condition: &Condition) -> Option<BucketSet> {
    if !matches!(condition.subject, Subject::Bucket(_)) {
        return None;
    }
    let listed = BucketSet::of(condition.values.iter().filter_map(serde_json::Value::as_i64));
    let bound = condition.number();
    match condition.operator {
        Operator::Any => Some(listed),
        Operator::None => Some(listed.free(BUCKETS.unsigned_abs())),
        Operator::Lt => {
            bound.map(|bound| BucketSet::of((0..BUCKETS).filter(|bucket| (*bucket as f64) < bound)))
        }
        _ => None,
    }
}

fn is_drawn(rule: &Rule) -> bool {
    rule.percentage > 0.0 && rule.percentage < 100.0
}

fn never_matches(rule: &Rule) -> bool {
    rule.conditions.iter().any(|condition| buckets(condition).is_some_and(|met| met.is_empty()))
}

/// Puts neighbouring rules in one order where no unit meets two of them: the hand-overs of a layer to its experiments.
fn sort_disjoint(rules: &mut [Rule]) {
    let hands_over = |rule: &Rule| match rule.conditions.as_slice() {
        [only] if rule.delegate.is_some() => buckets(only),
        _ => None,
    };
    for run in rules.chunk_by_mut(|a, b| hands_over(a).is_some() && hands_over(b).is_some()) {
        let sets: Vec<BucketSet> = run.iter().filter_map(hands_over).collect();
        let total: u64 = sets.iter().map(BucketSet::len).sum();
        let distinct: BTreeSet<i64> = sets.iter().flat_map(BucketSet::iter).collect();
        if distinct.len() as u64 == total {
            run.sort_by(|a, b| a.delegate.cmp(&b.delegate));
        }
    }
}
