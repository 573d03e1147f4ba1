//! Layers.

use super::Context;
use super::experiment::bucket_values;
use super::gate::{closed, empty};
use crate::domain::condition::{Condition, Draw, Operator, Subject};
use crate::domain::experiment::{Experiment, Status};
use crate::domain::holdout::Member;
use crate::domain::layer::Layer;
use crate::domain::stored::Stored;
use crate::engine::form::{Rule, Spec, SpecKind};
use crate::engine::reason::Reason;

impl Context<'_> {
    pub(super) fn layer(&self, stored: &Stored<Layer>) -> Spec {
        let layer = &stored.document;
        let spec = Spec {
            requires_unit: !layer.draws_missing_units,
            default_value: layer.parameters.clone(),
            target_apps: layer.target_apps.clone(),
            fallback: Reason::NotAllocated,
            ..empty(SpecKind::Layer, &layer.unit_type, &layer.salt, stored)
        };
        if stored.archived {
            return closed(spec, Reason::Disabled);
        }
        let in_use = self.catalogue.experiments.values().filter(|stored| !stored.archived);
        let experiments = in_use.map(|stored| &stored.document);
        let members: Vec<&Experiment> =
            experiments.filter(|experiment| experiment.layer.as_ref() == Some(&layer.key)).collect();
        let mut rules: Vec<Rule> = members.iter().flat_map(|member| overrides(layer, member)).collect();
        rules.extend(self.holdout_rules(
            Member::Layer(&layer.key),
            &layer.unit_type,
            Some(&layer.parameters),
        ));
        // The buckets of an abandoned one are free, and another may have taken them.
        let (abandoned, others): (Vec<&Experiment>, Vec<&Experiment>) =
            members.into_iter().partition(|member| member.status == Status::Abandoned);
        rules.extend(others.into_iter().chain(abandoned).filter_map(|member| assignment(layer, member)));
        Spec { rules, ..spec }
    }
}

/// Rules that hand overridden units over to their experiment.
fn overrides<'l>(layer: &'l Layer, experiment: &'l Experiment) -> impl Iterator<Item = Rule> + 'l {
    experiment.overrides_in_force().map(|each| {
        let id = format!("{} {}", experiment.key, each.id);
        delegate(layer, experiment, &id, each.conditions.clone())
    })
}

/// The rule that hands an experiment's units over to it. One that has not begun, or has no buckets, has none.
fn assignment(layer: &Layer, experiment: &Experiment) -> Option<Rule> {
    if experiment.status == Status::Draft {
        return None;
    }
    let allocated = experiment.allocated();
    if allocated.is_empty() {
        return None;
    }
    let draw = Draw { salt: layer.salt.clone(), unit_type: layer.unit_type.clone() };
    let values = bucket_values(&allocated);
    let condition = Condition { subject: Subject::Bucket(draw), operator: Operator::Any, values };
    // Who has the whole layer needs no draw.
    let conditions = if allocated.is_everything() { Vec::new() } else { vec![condition] };
    Some(delegate(layer, experiment, "experimentAssignment", conditions))
}

fn delegate(layer: &Layer, experiment: &Experiment, id: &str, conditions: Vec<Condition>) -> Rule {
    Rule {
        salt: Some(String::new()),
        value: layer.parameters.clone(),
        delegate: Some(experiment.key.clone()),
        ..Rule::new(id, &layer.unit_type, conditions)
    }
}
