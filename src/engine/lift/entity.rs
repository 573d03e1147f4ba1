//! Gates, segments, dynamic configs and layers from their rules.

use std::collections::BTreeMap;

use super::holdouts::Holdouts;
use super::names::{free_name, inline_targeting, is_about_list, is_list, renaming};
use super::{Fate, Note, Source};
use crate::domain::condition::Subject;
use crate::domain::config::DynamicConfig;
use crate::domain::configuration::Configuration;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::layer::Layer;
use crate::domain::rule;
use crate::domain::segment::Segment;
use crate::domain::stored::Document;
use crate::domain::user::USER_ID;
use crate::engine::form::{Rule, SEGMENT_PREFIX, Spec, SpecKind, segment_name};

/// Documents in the making.
pub(super) struct Lifting<'s> {
    source: &'s Source,
    pub(super) holdouts: Holdouts<'s>,
    pub(super) configuration: Configuration,
    pub(super) notes: Vec<Note>,
}

impl<'s> Lifting<'s> {
    pub(super) fn new(source: &'s Source, notes: Vec<Note>) -> Self {
        let holdouts = Holdouts::new(&source.ruleset);
        Self { source, holdouts, configuration: Configuration::default(), notes }
    }

    /// Makes a document of every entity; whether it says the same is shown afterwards.
    pub(super) fn everything(&mut self) {
        let ruleset = &self.source.ruleset;
        let folded: BTreeMap<&str, &str> = ruleset
            .configs
            .iter()
            .filter_map(|(key, spec)| Some((inline_targeting(ruleset, spec)?.0, key.as_str())))
            .collect();
        for (name, spec) in &ruleset.gates {
            match spec.kind {
                SpecKind::Segment => match folded.get(name.as_str()) {
                    Some(experiment) => self.fold(name, experiment),
                    // It is made of the list.
                    None if is_list(spec, name.strip_prefix(SEGMENT_PREFIX).unwrap_or(name)) => {}
                    None => self.segment(name, spec),
                },
                SpecKind::Holdout => self.holdout(name, spec),
                _ => self.gate(name, spec),
            }
        }
        self.lists();
        for (name, spec) in &ruleset.configs {
            if spec.kind == SpecKind::Experiment {
                self.experiment(name, spec);
            } else {
                let config = self.config(name, spec);
                self.configuration.configs.push(config);
            }
        }
        for (name, spec) in &ruleset.layers {
            self.layer(name, spec);
        }
    }

    fn gate(&mut self, name: &str, spec: &'s Spec) {
        let links = self.holdouts.links(spec).len();
        let own = spec.rules.get(links..).unwrap_or_default();
        self.configuration.gates.push(Gate {
            key: name.to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: spec.unit_type.clone(),
            salt: spec.salt.clone(),
            enabled: spec.enabled,
            rules: own.iter().map(|rule| self.rule(name, rule, spec)).collect(),
            target_apps: spec.target_apps.clone(),
            draws_missing_units: !spec.requires_unit,
        });
    }

    fn segment(&mut self, name: &str, spec: &Spec) {
        self.configuration.segments.push(Segment {
            key: name.strip_prefix(SEGMENT_PREFIX).unwrap_or(name).to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: spec.unit_type.clone(),
            salt: spec.salt.clone(),
            rules: spec.rules.iter().map(|rule| self.rule(name, rule, spec)).collect(),
            ids: None,
        });
    }

    fn fold(&mut self, name: &str, experiment: &str) {
        let key = name.strip_prefix(SEGMENT_PREFIX).unwrap_or(name);
        let message =
            format!("its conditions are the targeting of experiment `{experiment}`, and it is no segment");
        self.notes.push(Note::new(Segment::KIND, key, Fate::Reshaped, message));
    }

    fn holdout(&mut self, name: &str, spec: &'s Spec) {
        if let Some(holdout) = self.holdouts.lifted(name, spec) {
            return self.configuration.holdouts.push(holdout);
        }
        let why = "is a gate now, since it is more than a share of the units; what it held out is held out by rules";
        self.notes.push(Note::new(Gate::KIND, name, Fate::Reshaped, why));
        self.gate(name, spec);
    }

    /// A dynamic config with all rules as they are; also what becomes of an experiment of another layout.
    pub(super) fn config(&self, name: &str, spec: &Spec) -> DynamicConfig {
        DynamicConfig {
            key: name.to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: spec.unit_type.clone(),
            salt: spec.salt.clone(),
            enabled: spec.enabled,
            default_value: spec.default_value.clone(),
            rules: spec.rules.iter().map(|rule| self.rule(name, rule, spec)).collect(),
            target_apps: spec.target_apps.clone(),
            draws_missing_units: !spec.requires_unit,
        }
    }

    fn layer(&mut self, name: &str, spec: &Spec) {
        self.configuration.layers.push(Layer {
            key: name.to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: spec.unit_type.clone(),
            salt: spec.salt.clone(),
            parameters: spec.default_value.clone(),
            target_apps: spec.target_apps.clone(),
            draws_missing_units: !spec.requires_unit,
        });
    }

    fn experiment(&mut self, name: &str, spec: &'s Spec) {
        let ruleset = &self.source.ruleset;
        match super::experiment::lifted(name, spec, ruleset, &self.holdouts) {
            Ok((experiment, guess)) => {
                self.configuration.experiments.push(experiment);
                self.notes
                    .extend(guess.map(|guess| Note::new(Experiment::KIND, name, Fate::FilledIn, guess)));
            }
            Err(why) => self.reshape(name, spec, &why),
        }
    }

    /// Keeps an experiment of another layout as rules.
    pub(super) fn reshape(&mut self, name: &str, spec: &Spec, why: &str) {
        let message = format!(
            "{why}; it is a dynamic config with the same rules and answers, and no experiment: nothing is measured"
        );
        self.notes.push(Note::new(DynamicConfig::KIND, name, Fate::Reshaped, message));
        let mut config = self.config(name, spec);
        self.unfold(spec, &mut config);
        self.configuration.configs.push(config);
    }

    /// Makes the targeting of an experiment a segment after all, for what is no experiment has none of its own.
    fn unfold(&mut self, experiment: &Spec, config: &mut DynamicConfig) {
        let ruleset = &self.source.ruleset;
        let folded =
            inline_targeting(ruleset, experiment).and_then(|(name, _)| ruleset.gates.get_key_value(name));
        let Some((name, segment)) = folded else { return };
        let key = name.strip_prefix(SEGMENT_PREFIX).unwrap_or(name);
        let Some(free) = free_name(key) else { return };
        self.notes.retain(|note| note.kind != Segment::KIND || note.key != key);
        self.notes.push(renaming(key, &free));
        self.segment(&segment_name(&free), segment);
        for condition in config.rules.iter_mut().flat_map(|rule| &mut rule.conditions) {
            if condition.subject == Subject::Segment(key.to_owned()) {
                condition.subject = Subject::Segment(free.clone());
            }
        }
    }

    /// A segment for each id list.
    fn lists(&mut self) {
        for name in &self.source.id_lists {
            let ids = self.source.ids.get(name).cloned();
            if ids.is_none() {
                let message = "its ids are not part of the rules, and it is empty; give them with --id-list";
                self.notes.push(Note::new(Segment::KIND, name, Fate::FilledIn, message));
            }
            self.configuration.segments.push(Segment {
                key: name.clone(),
                description: String::new(),
                owner: String::new(),
                tags: Vec::new(),
                unit_type: self.unit_type_of_list(name),
                salt: self
                    .source
                    .ruleset
                    .gates
                    .get(&segment_name(name))
                    .map_or_else(String::new, |it| it.salt.clone()),
                rules: Vec::new(),
                ids: Some(ids.unwrap_or_default()),
            });
        }
    }

    /// The unit type whose ids the rules look up in a list.
    fn unit_type_of_list(&self, name: &str) -> String {
        let ruleset = &self.source.ruleset;
        if let Some(segment) = ruleset.gates.get(&segment_name(name)) {
            return segment.unit_type.clone();
        }
        let specs = ruleset.gates.values().chain(ruleset.configs.values()).chain(ruleset.layers.values());
        let conditions = specs.flat_map(|spec| &spec.rules).flat_map(|rule| &rule.conditions);
        let mut asking = conditions.filter(|condition| {
            is_about_list(condition) && condition.single().and_then(serde_json::Value::as_str) == Some(name)
        });
        let unit_type = asking.find_map(|condition| match &condition.subject {
            Subject::Unit(unit_type) => Some(unit_type.clone()),
            _ => None,
        });
        unit_type.unwrap_or_else(|| USER_ID.to_owned())
    }

    fn rule(&self, entity: &str, form: &Rule, spec: &Spec) -> rule::Rule {
        let name = self.source.rule_names.get(&(entity.to_owned(), form.id.clone()));
        rule::Rule {
            id: form.id.clone(),
            name: name.cloned().unwrap_or_default(),
            conditions: form.conditions.clone(),
            percentage: form.percentage,
            environments: form.environments.clone(),
            salt: form.salt.clone().filter(|salt| *salt != form.id),
            unit_type: Some(form.unit_type.clone()).filter(|unit_type| *unit_type != spec.unit_type),
            value: form.value.clone(),
            group: form.group.clone(),
        }
    }
}
