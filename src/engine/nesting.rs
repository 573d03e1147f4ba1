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
        // A cycle of thousands would be named at length for each of its entities.
        if path.len() > MAX_DEPTH {
            path.push("...");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::condition::{Condition, Operator};
    use crate::domain::parameters::Parameters;
    use crate::engine::form::{Rule, SpecKind};
    use crate::engine::reason::Reason;

    fn specs(references: &[(&str, &[&str])]) -> BTreeMap<String, Arc<Spec>> {
        let spec = |inner: &[&str]| Spec {
            kind: SpecKind::Gate,
            unit_type: "user_id".to_owned(),
            salt: String::new(),
            enabled: true,
            requires_unit: false,
            default_value: Parameters::new(),
            rules: vec![Rule::new(
                "rule",
                "user_id",
                inner.iter().map(|key| Condition::gate(key, Operator::Passes)).collect(),
            )],
            fallback: Reason::NoRule,
            version: 1,
            target_apps: Vec::new(),
            experiment: None,
        };
        references.iter().map(|(name, inner)| ((*name).to_owned(), Arc::new(spec(inner)))).collect()
    }

    #[test]
    fn a_cycle_is_named_with_its_path_and_so_is_what_leads_to_it() {
        let specs = specs(&[
            ("a", &["b"]),
            ("b", &["c"]),
            ("c", &["b"]),
            ("d", &["a"]),
            ("e", &["f", "gone"]),
            ("f", &[]),
        ]);
        let faults = nesting_faults(&specs);
        assert_eq!(faults.len(), 4);
        assert_eq!(faults["b"], "refers to itself: b > c > b");
        assert_eq!(faults["d"], "refers to itself: d > a > b > c > b");
    }

    #[test]
    fn nesting_has_a_limit() {
        let names: Vec<String> = (0..40).map(|depth| format!("gate{depth:02}")).collect();
        let chain: Vec<(&str, Vec<&str>)> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), names.get(at + 1).map(String::as_str).into_iter().collect()))
            .collect();
        let chain: Vec<(&str, &[&str])> =
            chain.iter().map(|(name, inner)| (*name, inner.as_slice())).collect();
        let specs = specs(&chain);
        let faults = nesting_faults(&specs);
        // The last of 40 nests in nothing; the seventh from the front is the first with more than 32 below it.
        assert_eq!(faults.len(), 40 - MAX_DEPTH - 1);
        assert!(faults.contains_key("gate06") && !faults.contains_key("gate07"));
    }
}
