//! The proof of what was lifted: lowered again, it gives the rules that were read. What does not is kept as rules, else
//! left out, and named.

use std::collections::BTreeSet;

use super::canonical::{canonical, same_answers};
use super::entity::Lifting;
use super::names::{INLINE_TARGETING, free_name, is_about_list};
use super::{Fate, Lifted, Note, Source};
use crate::domain::condition::{Condition, Subject};
use crate::domain::config::DynamicConfig;
use crate::domain::configuration::Configuration;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::layer::Layer;
use crate::domain::rule;
use crate::domain::segment::Segment;
use crate::domain::stored::Document;
use crate::domain::time::Timestamp;
use crate::engine::form::{Rule, Ruleset, SEGMENT_PREFIX, Spec, SpecKind};
use crate::engine::lower::lower;

/// What holds of the documents, with notes on the rest.
pub(super) fn proven(source: &Source, mut lifting: Lifting<'_>) -> Lifted {
    // Each round leaves something out or reshapes it, and that may be what others rest on.
    while leave_out_invalid(&mut lifting) || leave_out_dangling(&mut lifting) || reshape(source, &mut lifting)
    {
    }
    let lowered = lowered(&lifting.configuration);
    for (name, spec, found) in differing(&source.ruleset, &lowered) {
        lifting.notes.push(Note::new(kind(found.kind), key(name), Fate::Differs, difference(spec, found)));
    }
    lifting.notes.sort();
    Lifted { configuration: lifting.configuration.sorted(), notes: lifting.notes }
}

/// Documents in the rule form.
fn lowered(configuration: &Configuration) -> Ruleset {
    lower(&configuration.catalogue(Timestamp::default()))
}

fn leave_out_invalid(lifting: &mut Lifting<'_>) -> bool {
    let invalid = lifting.configuration.invalid_documents();
    for document in &invalid {
        leave_out(lifting, document.kind, &document.key, document.invalid.to_string());
    }
    !invalid.is_empty()
}

/// A document that refers to something that is not there can not be kept.
fn leave_out_dangling(lifting: &mut Lifting<'_>) -> bool {
    let dangling = dangling(&lifting.configuration);
    for (kind, key, message) in &dangling {
        leave_out(lifting, kind, key, message.clone());
    }
    !dangling.is_empty()
}

/// Experiments outside layers that do not come out the same become dynamic configs; what else does not is left out.
/// Layers and what is in them stay, since they hold each other up.
fn reshape(source: &Source, lifting: &mut Lifting<'_>) -> bool {
    let lowered = lowered(&lifting.configuration);
    let members = lifting.configuration.experiments.iter();
    let used: BTreeSet<String> = members.filter_map(|experiment| experiment.layer.clone()).collect();
    let mut done = false;
    for (name, spec, found) in differing(&source.ruleset, &lowered) {
        let in_layer = spec.experiment.as_ref().is_some_and(|facts| facts.layer.is_some());
        let why = difference(spec, found);
        match found.kind {
            SpecKind::Experiment if in_layer => continue,
            SpecKind::Layer if used.contains(name) => continue,
            SpecKind::Experiment => {
                forget(lifting, Experiment::KIND, name);
                lifting.reshape(name, spec, &why);
            }
            found => leave_out(lifting, kind(found), key(name), why),
        }
        done = true;
    }
    done
}

fn leave_out(lifting: &mut Lifting<'_>, kind: &'static str, key: &str, why: String) {
    forget(lifting, kind, key);
    lifting.notes.push(Note::new(kind, key, Fate::LeftOut, why));
}

/// Takes a document out, with all that was to be said of it.
fn forget(lifting: &mut Lifting<'_>, kind: &str, key: &str) {
    lifting.configuration.leave_out(kind, key);
    lifting.notes.retain(|note| note.kind != kind || note.key != key);
    for holdout in &mut lifting.configuration.holdouts {
        let members = match kind {
            Gate::KIND => &mut holdout.gates,
            Experiment::KIND => &mut holdout.experiments,
            Layer::KIND => &mut holdout.layers,
            _ => continue,
        };
        members.retain(|member| member != key);
        holdout.link_ids.remove(&format!("{kind}:{key}"));
    }
}

/// What the document of an entity is called.
fn kind(kind: SpecKind) -> &'static str {
    match kind {
        SpecKind::Gate => Gate::KIND,
        SpecKind::Segment => Segment::KIND,
        SpecKind::Holdout => Holdout::KIND,
        SpecKind::Config => DynamicConfig::KIND,
        SpecKind::Experiment => Experiment::KIND,
        SpecKind::Layer => Layer::KIND,
    }
}

/// The key of the document of an entity.
fn key(name: &str) -> &str {
    name.strip_prefix(SEGMENT_PREFIX).unwrap_or(name)
}

/// The entities that came out as something else than they were read, with what they came out as.
fn differing<'r>(
    read: &'r Ruleset,
    lowered: &'r Ruleset,
) -> impl Iterator<Item = (&'r str, &'r Spec, &'r Spec)> {
    let shelves =
        [(&read.gates, &lowered.gates), (&read.configs, &lowered.configs), (&read.layers, &lowered.layers)];
    let pairs = shelves.into_iter().flat_map(|(read, lowered)| {
        read.iter().filter_map(|(name, spec)| Some((name.as_str(), &**spec, &**lowered.get(name)?)))
    });
    pairs.filter(|(name, spec, found)| {
        // The targeting of an experiment is compared as what it is: the conditions went over word by word.
        !key(name).starts_with(INLINE_TARGETING)
            && !same_answers(&as_kept(spec, found), &as_kept(found, found))
    })
}

/// An entity as it is to be compared with `kept`: an experiment that is kept as a dynamic config has no groups that are
/// compared, a holdout that is kept as a gate is one, and an experiment's own targeting may have another name.
fn as_kept(spec: &Spec, kept: &Spec) -> Spec {
    let mut spec = spec.clone();
    spec.kind = kept.kind;
    if kept.kind == SpecKind::Config {
        spec.experiment = None;
    }
    for rule in &mut spec.rules {
        rule.is_experiment_group &= kept.kind != SpecKind::Config;
        for condition in &mut rule.conditions {
            if let Subject::Segment(key) = &mut condition.subject
                && let Some(free) = free_name(key)
            {
                // A dynamic config asks the segment by the name it has now.
                *key = if kept.kind == SpecKind::Config { free } else { INLINE_TARGETING.to_owned() };
            }
        }
    }
    spec
}

/// What is different between the rules that were read and those that came out.
fn difference(read: &Spec, found: &Spec) -> String {
    let (read, found) = (canonical(read), canonical(found));
    let lost: Vec<&Rule> = read.rules.iter().filter(|rule| !found.rules.contains(rule)).collect();
    let added: Vec<&Rule> = found.rules.iter().filter(|rule| !read.rules.contains(rule)).collect();
    let named = |rules: &[&Rule]| -> String {
        let ids: Vec<String> = rules.iter().map(|rule| format!("`{}`", rule.id)).collect();
        ids.join(", ")
    };
    match (lost.as_slice(), added.as_slice()) {
        ([], []) => "what it is beyond its rules, or their order, can not be kept".to_owned(),
        (lost, []) => format!("can not keep the rules {}", named(lost)),
        ([], added) => format!("would have more rules: {}", named(added)),
        (lost, added) => format!("would have the rules {} in place of {}", named(added), named(lost)),
    }
}

/// Documents that refer to something that is not there: kind, key, and what is missing.
fn dangling(configuration: &Configuration) -> Vec<(&'static str, String, String)> {
    let known = Known::of(configuration);
    let mut found = Vec::new();
    for gate in &configuration.gates {
        known.require(&mut found, gate, of_rules(&gate.rules));
    }
    for segment in &configuration.segments {
        known.require(&mut found, segment, of_rules(&segment.rules));
    }
    for config in &configuration.configs {
        known.require(&mut found, config, of_rules(&config.rules));
    }
    for experiment in &configuration.experiments {
        let overrides = experiment.overrides.iter().flat_map(|each| &each.conditions);
        known.require(&mut found, experiment, experiment.targeting.iter().chain(overrides));
        if let Some(layer) = experiment.layer.as_ref().filter(|layer| !known.layers.contains(layer.as_str()))
        {
            let message = format!("is in layer `{layer}`, which is not there or was left out");
            found.push((Experiment::KIND, experiment.key.clone(), message));
        }
    }
    found
}

fn of_rules(rules: &[rule::Rule]) -> impl Iterator<Item = &Condition> {
    rules.iter().flat_map(|rule| &rule.conditions)
}

/// The keys that can be referred to.
struct Known<'c> {
    /// Gates and holdouts.
    gates: BTreeSet<&'c str>,
    segments: BTreeSet<&'c str>,
    layers: BTreeSet<&'c str>,
}

impl<'c> Known<'c> {
    fn of(configuration: &'c Configuration) -> Self {
        let holdouts = configuration.holdouts.iter().map(|holdout| holdout.key.as_str());
        Self {
            gates: configuration.gates.iter().map(|gate| gate.key.as_str()).chain(holdouts).collect(),
            segments: configuration.segments.iter().map(|segment| segment.key.as_str()).collect(),
            layers: configuration.layers.iter().map(|layer| layer.key.as_str()).collect(),
        }
    }

    fn require<'d, T: Document>(
        &self,
        found: &mut Vec<(&'static str, String, String)>,
        document: &T,
        mut conditions: impl Iterator<Item = &'d Condition>,
    ) {
        if let Some(missing) = conditions.find_map(|condition| self.missing(condition)) {
            let message = format!("refers to {missing}, which is not there or was left out");
            found.push((T::KIND, document.key().to_owned(), message));
        }
    }

    /// What a condition refers to that is not there.
    fn missing(&self, condition: &Condition) -> Option<String> {
        match &condition.subject {
            Subject::Gate(key) => (!self.gates.contains(key.as_str())).then(|| format!("gate `{key}`")),
            Subject::Segment(key) => {
                (!self.segments.contains(key.as_str())).then(|| format!("segment `{key}`"))
            }
            _ if is_about_list(condition) => {
                let name = condition.single().and_then(serde_json::Value::as_str).unwrap_or_default();
                (!self.segments.contains(name)).then(|| format!("id list `{name}`"))
            }
            _ => None,
        }
    }
}
