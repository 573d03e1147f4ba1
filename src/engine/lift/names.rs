//! Names that documents cannot have, settled before anything is lifted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Fate, Note, Source};
use crate::domain::condition::{Condition, Operator, Subject};
use crate::domain::segment::Segment;
use crate::domain::stored::Document;
use crate::engine::form::{Rule, Ruleset, SEGMENT_PREFIX, Spec, segment_name};

/// What segments are called that hold the targeting of one experiment.
pub(super) const INLINE_TARGETING: &str = "inline_targeting:";

/// The same rules with other names for id lists that a segment with rules has already, and for segments whose name is
/// kept for the targeting of experiments.
pub(super) fn settled(source: &Source, notes: &mut Vec<Note>) -> Source {
    let mut source = source.clone();
    source.id_lists = lists_in_use(&source);
    let lists: BTreeMap<String, String> = renamed_lists(&source);
    let segments: BTreeMap<String, String> = renamed_segments(&source.ruleset);
    if lists.is_empty() && segments.is_empty() {
        return source;
    }
    for (from, to) in lists.iter().chain(&segments) {
        notes.push(Note::new(
            Segment::KIND,
            to,
            Fate::Reshaped,
            format!("is the segment that was named `{from}`"),
        ));
    }
    let rename = |condition: &Condition| {
        let mut condition = condition.clone();
        if let Subject::Segment(key) = &mut condition.subject
            && let Some(to) = segments.get(key)
        {
            key.clone_from(to);
        }
        if is_about_list(&condition) {
            let named =
                condition.single().and_then(serde_json::Value::as_str).and_then(|name| lists.get(name));
            condition.values = named.map_or(condition.values.clone(), |to| vec![to.clone().into()]);
        }
        condition
    };
    let rules = |spec: &Spec| -> Vec<Rule> {
        let with =
            |rule: &Rule| Rule { conditions: rule.conditions.iter().map(rename).collect(), ..rule.clone() };
        spec.rules.iter().map(with).collect()
    };
    let all = |specs: &BTreeMap<String, Arc<Spec>>| -> BTreeMap<String, Arc<Spec>> {
        let name = |name: &String| {
            let key = name.strip_prefix(SEGMENT_PREFIX).and_then(|key| segments.get(key));
            key.map_or(name.clone(), |key| segment_name(key))
        };
        let spec = |spec: &Arc<Spec>| Arc::new(Spec { rules: rules(spec), ..(**spec).clone() });
        specs.iter().map(|(from, form)| (name(from), spec(form))).collect()
    };
    let list = |name: &String| lists.get(name).unwrap_or(name).clone();
    source.ruleset.gates = all(&source.ruleset.gates);
    source.ruleset.configs = all(&source.ruleset.configs);
    source.ruleset.layers = all(&source.ruleset.layers);
    source.id_lists = source.id_lists.iter().map(list).collect();
    source.ids = source.ids.iter().map(|(name, ids)| (list(name), ids.clone())).collect();
    source
}

/// What a segment is called whose name is kept for the targeting of experiments; none for any other segment.
pub(super) fn free_name(key: &str) -> Option<String> {
    key.strip_prefix(INLINE_TARGETING).map(|rest| format!("targeting:{rest}"))
}

/// What is to be said of a segment that gets another name.
pub(super) fn renaming(from: &str, to: &str) -> Note {
    Note::new(Segment::KIND, from, Fate::Reshaped, format!("is named `{to}` now"))
}

/// Whether a condition asks an id list.
pub(super) fn is_about_list(condition: &Condition) -> bool {
    matches!(condition.operator, Operator::InSegmentList | Operator::NotInSegmentList)
}

/// Whether a segment is no more than the id list of its name.
pub(super) fn is_list(segment: &Spec, name: &str) -> bool {
    let [rule] = segment.rules.as_slice() else { return false };
    let [condition] = rule.conditions.as_slice() else { return false };
    let asks = condition.operator == Operator::InSegmentList
        && condition.subject == Subject::Unit(segment.unit_type.clone())
        && condition.single().and_then(serde_json::Value::as_str) == Some(name);
    asks && segment.enabled && rule.percentage >= 100.0 && rule.environments.is_empty()
}

/// The segment that an experiment's targeting is kept in, where it says no more than a list of conditions would.
pub(super) fn inline_targeting<'r>(
    ruleset: &'r Ruleset,
    experiment: &Spec,
) -> Option<(&'r str, &'r [Condition])> {
    let key = experiment.rules.iter().find_map(|rule| match rule.conditions.as_slice() {
        [Condition { subject: Subject::Segment(key), operator: Operator::Fails, .. }]
            if key.starts_with(INLINE_TARGETING) =>
        {
            Some(key)
        }
        _ => None,
    })?;
    let (name, spec) = ruleset.gates.get_key_value(&segment_name(key))?;
    let [rule] = spec.rules.as_slice() else { return None };
    let is_plain = spec.enabled && rule.percentage >= 100.0 && rule.environments.is_empty();
    // A single gate or segment is targeting of another layout.
    let is_one_gate = matches!(rule.conditions.as_slice(), [only] if only.operator == Operator::Passes);
    let is_own = users_of_segment(ruleset, key) == 1;
    (is_plain && is_own && !rule.conditions.is_empty() && !is_one_gate)
        .then_some((name.as_str(), rule.conditions.as_slice()))
}

/// How many rules ask a segment.
fn users_of_segment(ruleset: &Ruleset, key: &str) -> usize {
    let specs = ruleset.gates.values().chain(ruleset.configs.values()).chain(ruleset.layers.values());
    let asks = |rule: &&Rule| {
        rule.conditions.iter().any(|condition| condition.subject == Subject::Segment(key.to_owned()))
    };
    specs.flat_map(|spec| &spec.rules).filter(asks).count()
}

/// The lists that are named, and those that rules ask all the same.
fn lists_in_use(source: &Source) -> Vec<String> {
    let ruleset = &source.ruleset;
    let specs = ruleset.gates.values().chain(ruleset.configs.values()).chain(ruleset.layers.values());
    let conditions = specs.flat_map(|spec| &spec.rules).flat_map(|rule| &rule.conditions);
    let asked = conditions.filter(|condition| is_about_list(condition));
    let asked = asked.filter_map(|condition| condition.single()?.as_str().map(str::to_owned));
    let all: BTreeSet<String> = source.id_lists.iter().cloned().chain(asked).collect();
    all.into_iter().collect()
}

fn renamed_lists(source: &Source) -> BTreeMap<String, String> {
    let clashes = source.id_lists.iter().filter(|name| {
        let segment = source.ruleset.gates.get(&segment_name(name));
        segment.is_some_and(|segment| !is_list(segment, name))
    });
    clashes.map(|name| (name.clone(), format!("{name}:ids"))).collect()
}

fn renamed_segments(ruleset: &Ruleset) -> BTreeMap<String, String> {
    let experiments = ruleset.configs.values();
    let folded: BTreeSet<&str> =
        experiments.filter_map(|spec| inline_targeting(ruleset, spec)).map(|(name, _)| name).collect();
    let kept = ruleset.gates.keys().filter(|name| !folded.contains(name.as_str()));
    let key = |name: &String| {
        let key = name.strip_prefix(SEGMENT_PREFIX)?;
        Some((key.to_owned(), free_name(key)?))
    };
    kept.filter_map(key).collect()
}
