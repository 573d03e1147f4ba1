//! Reads a project's rules into the one rule form. What cannot be kept as it is, is named and left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::dialect::{Condition, Entity, ProjectV1, ProjectV2, Rule, USER_ID_TYPE};
use crate::domain::condition::{
    self, Draw, EnvironmentField, IpField, Operator, Subject, TimeField, UserAgentField,
};
use crate::domain::parameters::Parameters;
use crate::domain::user::USER_ID;
use crate::domain::violation::Checks;
use crate::engine::form::{self, ExperimentFacts, Ruleset, SEGMENT_PREFIX, Spec, SpecKind};
use crate::engine::reason::Reason;

/// A project that was read.
#[derive(Clone, Debug, Default)]
pub struct ReadProject {
    /// Everything that could be kept as it is.
    pub ruleset: Ruleset,
    /// Names of the id lists. Their ids are not part of a project's rules.
    pub id_lists: Vec<String>,
    /// What people call rules, by the name of the entity in the ruleset and the rule's id, where that is not the id.
    pub rule_names: BTreeMap<(String, String), String>,
    /// What was left out, and why.
    pub problems: Vec<Problem>,
    /// What is there in another form, and why.
    pub reshaped: Vec<Problem>,
}

/// An entity that could not be kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub name: String,
    /// What could not be kept.
    pub message: String,
}

/// Reads a project in either form.
pub fn read(json: &str) -> Result<ReadProject, serde_json::Error> {
    let value: Value = serde_json::from_str(json)?;
    if value.get("feature_gates").is_some_and(Value::is_array) {
        serde_json::from_value(value).map(|project| read_v1(&project))
    } else {
        serde_json::from_value(value).map(|project| read_v2(&project))
    }
}

fn read_v1(project: &ProjectV1) -> ReadProject {
    let mut layers = BTreeMap::new();
    for (layer, experiments) in &project.layers {
        layers.extend(experiments.iter().map(|experiment| (experiment.clone(), layer.clone())));
    }
    let mut reader = Reader { layers: &layers, read: ReadProject::default() };
    let named = |entities: &'_ [Entity<Condition>]| -> Vec<(String, Entity<Condition>)> {
        let name = |entity: &Entity<Condition>| entity.name.clone().unwrap_or_default();
        entities.iter().map(|entity| (name(entity), entity.clone())).collect()
    };
    let parts = [&project.feature_gates, &project.dynamic_configs, &project.layer_configs];
    reader.entities(parts.map(|part| named(part)));
    reader.finish(&project.id_lists)
}

fn read_v2(project: &ProjectV2) -> ReadProject {
    let mut reader = Reader { layers: &project.experiment_to_layer, read: ReadProject::default() };
    let mut inlined = Vec::new();
    for part in [&project.feature_gates, &project.dynamic_configs, &project.layer_configs] {
        let mut entities = Vec::new();
        for (name, entity) in part {
            match inline(entity, &project.condition_map) {
                Ok(entity) => entities.push((name.clone(), entity)),
                Err(message) => reader.problem(name, message),
            }
        }
        inlined.push(entities);
    }
    if let Ok(parts) = inlined.try_into() {
        reader.entities(parts);
    }
    reader.finish(&project.id_lists)
}

/// An entity with its conditions in place of their names.
fn inline(
    entity: &Entity<String>,
    conditions: &BTreeMap<String, Condition>,
) -> Result<Entity<Condition>, String> {
    let rule = |rule: &Rule<String>| -> Result<Rule<Condition>, String> {
        let found = rule.conditions.iter().map(|name| {
            let condition = conditions.get(name).cloned();
            condition.ok_or_else(|| format!("rule `{}`: there is no condition `{name}`", rule.id))
        });
        Ok(Rule {
            name: rule.name.clone(),
            id: rule.id.clone(),
            salt: rule.salt.clone(),
            pass_percentage: rule.pass_percentage,
            conditions: found.collect::<Result<_, _>>()?,
            return_value: rule.return_value.clone(),
            id_type: rule.id_type.clone(),
            group_name: rule.group_name.clone(),
            config_delegate: rule.config_delegate.clone(),
            is_experiment_group: rule.is_experiment_group,
        })
    };
    Ok(Entity {
        name: entity.name.clone(),
        kind: entity.kind.clone(),
        salt: entity.salt.clone(),
        enabled: entity.enabled,
        default_value: entity.default_value.clone(),
        rules: entity.rules.iter().map(rule).collect::<Result<_, _>>()?,
        id_type: entity.id_type.clone(),
        entity: entity.entity.clone(),
        version: entity.version,
        is_active: entity.is_active,
        has_shared_params: entity.has_shared_params,
        explicit_parameters: entity.explicit_parameters.clone(),
        target_app_ids: entity.target_app_ids.clone(),
    })
}

struct Reader<'p> {
    /// Layers by experiment.
    layers: &'p BTreeMap<String, String>,
    read: ReadProject,
}

impl Reader<'_> {
    fn problem(&mut self, name: &str, message: String) {
        self.read.problems.push(Problem { name: name.to_owned(), message });
    }

    fn entities(&mut self, [gates, configs, layers]: [Vec<(String, Entity<Condition>)>; 3]) {
        for (name, entity) in gates {
            if let Some(spec) = self.entity(&name, &entity) {
                self.read.ruleset.gates.insert(name, spec);
            }
        }
        for (name, entity) in configs {
            if let Some(spec) = self.entity(&name, &entity) {
                self.read.ruleset.configs.insert(name, spec);
            }
        }
        for (name, entity) in layers {
            if let Some(spec) = self.entity(&name, &entity) {
                self.read.ruleset.layers.insert(name, spec);
            }
        }
    }

    fn finish(mut self, id_lists: &BTreeMap<String, bool>) -> ReadProject {
        self.read.id_lists =
            id_lists.iter().filter(|(_, is_used)| **is_used).map(|(name, _)| name.clone()).collect();
        self.read
    }

    fn entity(&mut self, name: &str, entity: &Entity<Condition>) -> Option<Arc<Spec>> {
        match self.spec(name, entity) {
            Ok(spec) => {
                self.note_names(name, entity);
                if entity.entity == "autotune" {
                    let message =
                        "is a dynamic config with the shares it has now; they are not tuned any more"
                            .to_owned();
                    self.read.reshaped.push(Problem { name: name.to_owned(), message });
                }
                Some(Arc::new(spec))
            }
            Err(message) => {
                self.problem(name, message);
                None
            }
        }
    }

    /// Rules of gates are called by their group, which gates do not have otherwise.
    fn note_names(&mut self, name: &str, entity: &Entity<Condition>) {
        let says_yes_or_no = entity.default_value.is_boolean();
        for rule in &entity.rules {
            let group = rule.group_name.as_ref().filter(|_| says_yes_or_no);
            let called = group.unwrap_or(&rule.name);
            if !called.is_empty() && *called != rule.id {
                self.read.rule_names.insert((name.to_owned(), rule.id.clone()), called.clone());
            }
        }
    }

    fn spec(&self, name: &str, entity: &Entity<Condition>) -> Result<Spec, String> {
        let kind = match entity.entity.as_str() {
            "feature_gate" => SpecKind::Gate,
            "segment" => SpecKind::Segment,
            "holdout" => SpecKind::Holdout,
            "dynamic_config" | "autotune" => SpecKind::Config,
            "experiment" => SpecKind::Experiment,
            "layer" => SpecKind::Layer,
            other => return Err(format!("entity: `{other}` is not known")),
        };
        let says_yes_or_no = kind.says_yes_or_no();
        let default_value = value(&entity.default_value, says_yes_or_no, false)
            .map_err(|message| format!("defaultValue: {message}"))?;
        let rule = |one| read_rule(one, says_yes_or_no);
        let experiment = (kind == SpecKind::Experiment).then(|| ExperimentFacts {
            is_active: entity.is_active.unwrap_or(false),
            layer: self.layers.get(name).cloned(),
            explicit_parameters: entity.explicit_parameters.clone().unwrap_or_default(),
        });
        if !entity.enabled && !entity.rules.is_empty() {
            return Err("enabled: is false, and yet there are rules, which some SDKs evaluate".to_owned());
        }
        Ok(Spec {
            kind,
            unit_type: unit_type(&entity.id_type),
            salt: entity.salt.clone(),
            enabled: entity.enabled,
            requires_unit: false,
            default_value,
            rules: entity.rules.iter().map(rule).collect::<Result<_, _>>()?,
            fallback: if entity.enabled { Reason::NoRule } else { Reason::Disabled },
            version: entity.version.unwrap_or(0),
            target_apps: entity.target_app_ids.clone().unwrap_or_default(),
            experiment,
        })
    }
}

fn read_rule(rule: &Rule<Condition>, says_yes_or_no: bool) -> Result<form::Rule, String> {
    let named = |message: String| format!("rule `{}`: {message}", rule.id);
    let mut conditions = Vec::new();
    for (index, condition) in rule.conditions.iter().enumerate() {
        let read = read_condition(condition);
        conditions.extend(read.map_err(|message| named(format!("condition {}: {message}", index + 1)))?);
    }
    let value = value(&rule.return_value, says_yes_or_no, true);
    Ok(form::Rule {
        salt: rule.salt.clone(),
        percentage: rule.pass_percentage,
        value: value.map_err(|message| named(format!("returnValue: {message}")))?,
        // SDKs do not report groups of gates.
        group: rule.group_name.clone().filter(|_| !says_yes_or_no),
        is_experiment_group: rule.is_experiment_group.unwrap_or(false),
        delegate: rule.config_delegate.clone().filter(|delegate| !delegate.is_empty()),
        ..form::Rule::new(&rule.id, &unit_type(&rule.id_type), conditions)
    })
}

/// The unit type of an id type. Other spellings of the user id are kept; they find the same id.
fn unit_type(id_type: &str) -> String {
    if id_type == USER_ID_TYPE { USER_ID.to_owned() } else { id_type.to_owned() }
}

fn value(value: &Value, says_yes_or_no: bool, yes: bool) -> Result<Parameters, String> {
    match value {
        Value::Bool(flag) if says_yes_or_no && *flag == yes => Ok(Parameters::new()),
        Value::Object(fields) if !says_yes_or_no => {
            Ok(fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        // The default of a gate's rule that passes nobody is written either way.
        _ if says_yes_or_no => Err(format!("must be {yes} for gates, segments and holdouts, is {value}")),
        _ => Err(format!("must be an object, is {value}")),
    }
}

/// A condition; none for one that always holds.
fn read_condition(written: &Condition) -> Result<Option<condition::Condition>, String> {
    let field = || written.field.clone().filter(|field| !field.is_empty());
    let target = || {
        let name = written.target_value.as_str().map(str::to_owned);
        name.ok_or_else(|| format!("targetValue: must be the name of a gate, is {}", written.target_value))
    };
    let named = |operator| {
        let name = target()?;
        let subject = match name.strip_prefix(SEGMENT_PREFIX) {
            Some(segment) => Subject::Segment(segment.to_owned()),
            None => Subject::Gate(name),
        };
        Ok(Some(condition::Condition { subject, operator, values: Vec::new() }))
    };
    let subject = match written.kind.as_str() {
        "public" => return Ok(None),
        "pass_gate" => return named(Operator::Passes),
        "fail_gate" => return named(Operator::Fails),
        "user_field" => Subject::Attribute(field().ok_or("field: is missing")?),
        "unit_id" => Subject::Unit(unit_type(&written.id_type)),
        "current_time" => Subject::Time(TimeField::Now),
        "environment_field" => match field().as_deref() {
            Some("tier") => Subject::Environment(EnvironmentField::Tier),
            other => return Err(format!("field: must be `tier`, is {other:?}")),
        },
        "ip_based" => match field().as_deref() {
            Some("country") => Subject::Ip(IpField::Country),
            other => return Err(format!("field: must be `country`, is {other:?}")),
        },
        "ua_based" => Subject::UserAgent(user_agent_field(field().as_deref())?),
        "user_bucket" => {
            let values = written.additional_values.as_ref();
            let salt = values.and_then(|values| values.get("salt")).and_then(Value::as_str);
            let salt = salt.ok_or("additionalValues.salt: is missing")?.to_owned();
            Subject::Bucket(Draw { salt, unit_type: unit_type(&written.id_type) })
        }
        other => return Err(format!("type: `{other}` is not known")),
    };
    let operator = written.operator.clone().unwrap_or_default();
    let operator: Operator = serde_json::from_value(Value::String(operator.clone()))
        .map_err(|_| format!("operator: `{operator}` is not known"))?;
    let values = match &written.target_value {
        Value::Array(values) => values.clone(),
        other => vec![other.clone()],
    };
    let read = condition::Condition { subject, operator, values };
    let mut checks = Checks::default();
    read.check(&mut checks, "condition");
    checks.finish().map_err(|invalid| invalid.to_string())?;
    Ok(Some(read))
}

fn user_agent_field(field: Option<&str>) -> Result<UserAgentField, String> {
    match field {
        Some("browser_name") => Ok(UserAgentField::BrowserName),
        Some("browser_version") => Ok(UserAgentField::BrowserVersion),
        Some("os_name") => Ok(UserAgentField::OsName),
        Some("os_version") => Ok(UserAgentField::OsVersion),
        other => {
            Err(format!("field: must be an operating system's or browser's name or version, is {other:?}"))
        }
    }
}
