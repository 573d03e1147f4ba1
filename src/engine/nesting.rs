//! How gates, segments and holdouts refer to each other: cycles and nesting that is too deep are faults.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::form::{Spec, segment_name};
use crate::domain::condition::Subject;

/// Deepest nesting of gates, segments and holdouts in each other.
pub const MAX_DEPTH: usize = 32;

/// What is wrong with how entities nest, by name: a cycle with its path, or too deep a nesting.
#[must_use]
pub fn nesting_faults(specs: &BTreeMap<String, Arc<Spec>>) -> HashMap<&str, String> {
    let references = references(specs);
    let mut waiting: HashMap<&str, usize> =
        references.iter().map(|(name, inner)| (*name, inner.len())).collect();
    let mut referrers: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, inner) in &references {
        for inner in inner {
            referrers.entry(inner).or_default().push(name);
        }
    }
    let mut faults = HashMap::new();
    let mut depths: HashMap<&str, usize> = HashMap::new();
    // From the innermost outwards: each is looked at once all that it refers to is done.
    let mut ready: VecDeque<&str> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop_front() {
        waiting.remove(name);
        let depth = depths.get(name).copied().unwrap_or(0);
        if depth > MAX_DEPTH {
            faults.insert(name, format!("nests deeper than {MAX_DEPTH} gates and segments"));
        }
        for referrer in referrers.get(name).into_iter().flatten() {
            let outer = depths.entry(referrer).or_default();
            *outer = (*outer).max(depth + 1);
            if let Some(count) = waiting.get_mut(referrer) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(referrer);
                }
            }
        }
    }
    for name in waiting.keys() {
        faults.insert(name, format!("refers to itself: {}", cycle(name, &references, &waiting).join(" > ")));
    }
    faults
}

/// The way from an entity to the cycle it is on or leads to, and once around.
fn cycle<'s>(
    from: &'s str,
    references: &HashMap<&'s str, Vec<&'s str>>,
    waiting: &HashMap<&'s str, usize>,
) -> Vec<&'s str> {
    let mut path = vec![from];
    let mut at = from;
    while let Some(next) = references.get(at).into_iter().flatten().find(|name| waiting.contains_key(*name)) {
        let seen = path.contains(next);
        path.push(next);
        if seen {
            break;
        }
        at = next;
    }
    path
}

/// What the conditions of each entity are about, of what there is, by name.
fn references(specs: &BTreeMap<String, Arc<Spec>>) -> HashMap<&str, Vec<&str>> {
    let inner = |spec: &Spec| {
        let conditions = spec.rules.iter().flat_map(|rule| &rule.conditions);
        let names = conditions.filter_map(|condition| match &condition.subject {
            Subject::Gate(key) => specs.get_key_value(key),
            Subject::Segment(key) => specs.get_key_value(&segment_name(key)),
            _ => None,
        });
        let mut names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    specs.iter().map(|(name, spec)| (name.as_str(), inner(spec))).collect()
}
