//! Experiments from the rules that a running, planned or ended one is laid out in.

use super::holdouts::Holdouts;
use super::names::inline_targeting;
use crate::domain::bucket_set::{BUCKETS, BucketSet};
use crate::domain::condition::{Condition, Draw, Operator, Subject};
use crate::domain::experiment::{Experiment, Group, Override, Status};
use crate::domain::parameters::Parameters;
use crate::domain::stored::Document;
use crate::engine::form::{ExperimentFacts, Rule, Ruleset, Spec};

/// An experiment, and what was filled in; or why the rules are none of an experiment.
pub(super) fn lifted<'s>(
    key: &str,
    spec: &'s Spec,
    ruleset: &Ruleset,
    holdouts: &Holdouts<'s>,
) -> Result<(Experiment, Option<String>), String> {
    let none = ExperimentFacts::default();
    let facts = spec.experiment.as_ref().unwrap_or(&none);
    let layer = facts.layer.as_deref().and_then(|layer| ruleset.layers.get(layer));
    let parts = Parts::new(spec, holdouts)?;
    let explicit = |value: &Parameters| -> Parameters {
        let named =
            value.iter().filter(|(name, _)| layer.is_none() || facts.explicit_parameters.contains(name));
        named.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let groups = groups(&parts, explicit)?;
    let (control_group, guess) = control(&groups)?;
    let default_value = &spec.default_value;
    let is_layers = layer.is_some_and(|layer| layer.default_value == *default_value);
    let allocation = parts.allocation(key, layer.map(AsRef::as_ref));
    let usual_salt = layer.map_or_else(|| format!("{}:allocation", spec.salt), |layer| layer.salt.clone());
    let targeting = match (inline_targeting(ruleset, spec), parts.targeting) {
        (Some((_, conditions)), _) => conditions.to_vec(),
        (None, Some(condition)) => vec![Condition { operator: Operator::Passes, ..condition.clone() }],
        (None, None) => Vec::new(),
    };
    let experiment = Experiment {
        key: key.to_owned(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        unit_type: spec.unit_type.clone(),
        salt: spec.salt.clone(),
        groups,
        control_group,
        allocation: allocation.as_ref().map_or(100.0, |(buckets, _)| buckets.len() as f64 / 10.0),
        targeting,
        overrides: parts.overrides.iter().copied().map(overridden).collect(),
        layer: facts.layer.clone(),
        default_parameters: if is_layers { Parameters::new() } else { explicit(default_value) },
        primary_metrics: Vec::new(),
        secondary_metrics: Vec::new(),
        status: parts.status.clone(),
        stopped_groups: std::collections::BTreeSet::new(),
        allocation_salt: allocation.as_ref().map(|(_, salt)| salt.clone()).filter(|salt| *salt != usual_salt),
        buckets: allocation.map(|(buckets, _)| buckets),
        targeting_first: parts.targeting_first,
        target_apps: spec.target_apps.clone(),
        draws_missing_units: !spec.requires_unit,
    };
    experiment.check().map_err(|invalid| invalid.to_string())?;
    Ok((experiment, guess))
}

/// The rules of an experiment by what they are for.
struct Parts<'s> {
    overrides: Vec<&'s Rule>,
    status: Status,
    /// The rule that keeps units out that have no bucket: the salt, and the buckets that take part.
    assignment: Option<(BucketSet, String)>,
    /// What units outside the targeting meet.
    targeting: Option<&'s Condition>,
    targeting_first: bool,
    /// Each group's rule with its upper bound.
    groups: Vec<(&'s Rule, i64)>,
}

impl<'s> Parts<'s> {
    fn new(spec: &'s Spec, holdouts: &Holdouts<'s>) -> Result<Self, String> {
        let mut parts = Self {
            overrides: Vec::new(),
            status: Status::Running,
            assignment: None,
            targeting: None,
            targeting_first: false,
            groups: Vec::new(),
        };
        let links = holdouts.links(spec);
        for rule in spec.rules.iter().filter(|rule| !links.contains(rule)) {
            parts.place(rule, spec).map_err(|why| format!("rule `{}` {why}", rule.id))?;
        }
        Ok(parts)
    }

    fn place(&mut self, rule: &'s Rule, spec: &Spec) -> Result<(), &'static str> {
        if let Some(status) = status(rule) {
            self.status = status;
            return if rule.conditions.is_empty() { Ok(()) } else { Err("holds for some units only") };
        }
        if let Some((salt, Operator::Lt, condition)) = drawn(rule) {
            let bound = condition.single().and_then(serde_json::Value::as_i64);
            let bound = bound.ok_or("has a bound that is no bucket")?;
            if salt != spec.salt {
                return Err("draws with another salt than the experiment's");
            }
            self.groups.push((rule, bound));
            return Ok(());
        }
        if let Some((salt, operator, condition)) = drawn(rule) {
            let listed = BucketSet::of(condition.values.iter().filter_map(serde_json::Value::as_i64));
            let allocated = match operator {
                Operator::None => listed,
                Operator::Any => listed.free(BUCKETS.unsigned_abs()),
                _ => return Err("compares buckets in another way than an allocation"),
            };
            return match self.assignment.replace((allocated, salt.to_owned())) {
                None => Ok(()),
                Some(_) => Err("is a second allocation"),
            };
        }
        match rule.conditions.as_slice() {
            [condition] if is_targeting(condition) => match self.targeting.replace(condition) {
                None => {
                    self.targeting_first = self.assignment.is_none();
                    Ok(())
                }
                Some(_) => Err("is a second targeting"),
            },
            [] => Err(
                "is for everyone, and says neither that the experiment has not begun nor that it has ended",
            ),
            _ if rule.group.is_some() && self.groups.is_empty() => {
                self.overrides.push(rule);
                Ok(())
            }
            _ => Err("is none that an experiment has"),
        }
    }

    /// The buckets that take part and what they are drawn with; none where everyone does.
    fn allocation(&self, key: &str, layer: Option<&Spec>) -> Option<(BucketSet, String)> {
        let own = self.assignment.clone();
        let Some(layer) = layer else { return own };
        let handed_over =
            layer.rules.iter().find(|rule| rule.delegate.as_deref() == Some(key) && drawn(rule).is_some());
        let handed_over = handed_over.and_then(drawn).filter(|(_, operator, _)| *operator == Operator::Any);
        // The layer decides who comes at all.
        match (own, handed_over) {
            (Some((buckets, salt)), _) if !buckets.is_everything() => Some((buckets, salt)),
            (_, Some((salt, _, condition))) => {
                let listed = condition.values.iter().filter_map(serde_json::Value::as_i64);
                Some((BucketSet::of(listed), salt.to_owned()))
            }
            (own, None) => Some(own.unwrap_or_else(|| (BucketSet::first(1_000), layer.salt.clone()))),
        }
    }
}

fn status(rule: &Rule) -> Option<Status> {
    match rule.id.as_str() {
        "prestart" => Some(Status::Draft),
        "abandoned" => Some(Status::Abandoned),
        "launchedGroup" => {
            Some(Status::Decided { group: rule.group.clone().unwrap_or_default(), percentage: 100.0 })
        }
        _ => None,
    }
}

/// The salt, the operator and the condition of a rule that asks for a bucket alone.
fn drawn(rule: &Rule) -> Option<(&str, Operator, &Condition)> {
    match rule.conditions.as_slice() {
        [condition @ Condition { subject: Subject::Bucket(Draw { salt, .. }), operator, .. }] => {
            Some((salt, *operator, condition))
        }
        _ => None,
    }
}

fn is_targeting(condition: &Condition) -> bool {
    condition.operator == Operator::Fails
}

fn overridden(rule: &Rule) -> Override {
    Override {
        id: rule.id.clone(),
        group: rule.group.clone().unwrap_or_default(),
        conditions: rule.conditions.clone(),
    }
}

fn groups(parts: &Parts<'_>, explicit: impl Fn(&Parameters) -> Parameters) -> Result<Vec<Group>, String> {
    if parts.groups.is_empty() {
        return Err("the rules say nothing of its groups".to_owned());
    }
    let mut before = 0;
    let mut groups = Vec::new();
    for (rule, bound) in &parts.groups {
        let name = rule.group.clone().unwrap_or_else(|| rule.id.clone());
        groups.push(Group {
            id: Some(rule.id.clone()).filter(|id| *id != name),
            name,
            weight: (bound - before) as f64 / 10.0,
            parameters: explicit(&rule.value),
        });
        before = *bound;
    }
    Ok(groups)
}

/// The control group, and how it was found where the names do not say.
fn control(groups: &[Group]) -> Result<(String, Option<String>), String> {
    let named = groups.iter().find(|group| group.name.eq_ignore_ascii_case("control"));
    if let Some(group) = named {
        return Ok((group.name.clone(), None));
    }
    let first = groups.first().ok_or("there are no groups")?;
    let guess =
        format!("group `{}`, the first one, is taken for the control; no group is named so", first.name);
    Ok((first.name.clone(), Some(guess)))
}
