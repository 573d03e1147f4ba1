//! Experiments.

use super::gate::{closed, empty};
use super::{Context, watched_epoch};
use crate::domain::bucket_set::BucketSet;
use crate::domain::condition::{Condition, Draw, Operator, Subject};
use crate::domain::experiment::{Experiment, Group, Override, Status, buckets};
use crate::domain::holdout::Member;
use crate::domain::launch::{CONTROL, Launch, TREATMENT, Target};
use crate::domain::parameters::Parameters;
use crate::domain::stored::Stored;
use crate::engine::form::{ExperimentFacts, Rule, Spec, SpecKind, Watch, WatchedArms, segment_name};
use crate::engine::reason::Reason;

/// An experiment with what its units get, layer included.
struct Parts<'e> {
    experiment: &'e Experiment,
    default_value: Parameters,
    launch: Option<&'e Launch>,
}

impl Context<'_> {
    /// The experiment, and the segment of its targeting, by name, where that is more than one gate or segment.
    pub(super) fn experiment(&self, stored: &Stored<Experiment>) -> (Spec, Option<(String, Spec)>) {
        let experiment = &stored.document;
        let target = Target::Experiment { experiment: experiment.key.clone() };
        let mut default_value = self.layer_parameters(experiment);
        default_value.extend(experiment.default_parameters.clone());
        let launch = self.launches.get(&target).copied();
        let parts = Parts { experiment, default_value, launch };
        let spec = Spec {
            requires_unit: !experiment.draws_missing_units,
            default_value: parts.default_value.clone(),
            target_apps: experiment.target_apps.clone(),
            experiment: Some(facts(experiment, stored.archived)),
            fallback: Reason::NotAllocated,
            ..empty(SpecKind::Experiment, &experiment.unit_type, &experiment.salt, stored)
        };
        if stored.archived {
            return (closed(spec, Reason::NotRunning), None);
        }
        let mut rules: Vec<Rule> =
            experiment.overrides_in_force().map(|each| parts.overridden(each)).collect();
        let member = Member::Experiment(&experiment.key, experiment.layer.as_deref());
        rules.extend(self.holdout_rules(member, &experiment.unit_type, Some(&parts.default_value)));
        let mut targeting = None;
        match &experiment.status {
            Status::Draft => rules.push(parts.nothing("prestart", Vec::new(), Reason::NotRunning)),
            Status::Abandoned => rules.push(parts.nothing("abandoned", Vec::new(), Reason::NotRunning)),
            Status::Decided { group, percentage } => {
                let shipment = Target::Shipment { experiment: experiment.key.clone() };
                let shipment = self.launches.get(&shipment).copied();
                rules.extend(parts.shipped(group, *percentage, shipment));
            }
            Status::Running => {
                let (test, segment) = parts.targeting_test(stored);
                targeting = segment;
                let allocation = parts.not_allocated(self.allocation_salt(experiment));
                let in_order =
                    if experiment.targeting_first { [test, allocation] } else { [allocation, test] };
                rules.extend(in_order.into_iter().flatten());
                let mut bound = 0;
                for group in &experiment.groups {
                    bound += buckets(group.weight);
                    rules.push(parts.group_rule(group, bound));
                }
            }
        }
        (Spec { rules, ..spec }, targeting)
    }

    /// What units of the layer get that are in no experiment; nothing for an experiment outside layers.
    pub(super) fn layer_parameters(&self, experiment: &Experiment) -> Parameters {
        let layer = experiment.layer.as_ref().and_then(|layer| self.catalogue.layers.get(layer));
        layer.map(|stored| stored.document.parameters.clone()).unwrap_or_default()
    }

    /// What the buckets that take part are drawn with.
    fn allocation_salt(&self, experiment: &Experiment) -> String {
        let layer = experiment.layer.as_ref().and_then(|layer| self.catalogue.layers.get(layer));
        let given = experiment.allocation_salt.clone();
        given.or_else(|| layer.map(|stored| stored.document.salt.clone())).unwrap_or_else(|| {
            // A salt of its own, so that being in the experiment says nothing about the group.
            format!("{}:allocation", experiment.salt)
        })
    }
}

fn facts(experiment: &Experiment, archived: bool) -> ExperimentFacts {
    let layer = experiment.layer.clone();
    let explicit = experiment.parameter_names().filter(|_| layer.is_some());
    ExperimentFacts {
        is_active: experiment.status == Status::Running && !archived,
        explicit_parameters: explicit.cloned().collect(),
        layer,
    }
}

impl Parts<'_> {
    /// What a group's units get: a delegate's value takes the place of the layer's whole value.
    fn value(&self, group: &Group) -> Parameters {
        let mut value =
            if self.experiment.layer.is_some() { self.default_value.clone() } else { Parameters::new() };
        value.extend(group.parameters.clone());
        value
    }

    /// A rule that gives what units get that are in no group.
    fn nothing(&self, id: &str, conditions: Vec<Condition>, reason: Reason) -> Rule {
        Rule {
            salt: Some(String::new()),
            value: self.default_value.clone(),
            reason,
            ..Rule::new(id, &self.experiment.unit_type, conditions)
        }
    }

    /// Whoever is put in a group that was stopped gets what all others of it get.
    fn overridden(&self, each: &Override) -> Rule {
        if self.experiment.stopped_groups.contains(&each.group) {
            return self.nothing(&each.id, each.conditions.clone(), Reason::GroupStopped);
        }
        let group = self.experiment.group(&each.group);
        Rule {
            value: group.map(|group| self.value(group)).unwrap_or_default(),
            group: Some(each.group.clone()),
            ..self.nothing(&each.id, each.conditions.clone(), Reason::Override)
        }
    }

    /// The shipped group for its share, and the control for the others. A larger share moves nobody out.
    fn shipped(&self, group: &str, percentage: f64, shipment: Option<&Launch>) -> Vec<Rule> {
        let Some(group) = self.experiment.group(group) else { return Vec::new() };
        let watched = shipment.and_then(|launch| Some((launch, watched_epoch(launch)?)));
        let watch = |arm: &str| {
            let (launch, (epoch, reverted)) = watched?;
            let reverted = reverted && arm == TREATMENT;
            let arms = WatchedArms::Group { arm: arm.to_owned(), reverted };
            Some(super::watch(launch, epoch, arms))
        };
        let was_served =
            watched.filter(|(_, (_, reverted))| *reverted).map(|(launch, _)| launch.percentage());
        let bound = buckets(was_served.unwrap_or(percentage));
        let Some(control) =
            self.experiment.group(&self.experiment.control_group).filter(|_| bound < buckets(100.0))
        else {
            return vec![Rule {
                watch: watch(TREATMENT),
                ..self.launched("launchedGroup", group, Vec::new())
            }];
        };
        let subject = self.draw(format!("{}:shipment", self.experiment.salt));
        let within = Condition { subject, operator: Operator::Lt, values: vec![bound.into()] };
        let served = if was_served.is_some() { control } else { group };
        vec![
            Rule { watch: watch(TREATMENT), ..self.launched("launchedGroup", served, vec![within]) },
            Rule { watch: watch(CONTROL), ..self.launched("launchedControl", control, Vec::new()) },
        ]
    }

    fn launched(&self, id: &str, group: &Group, conditions: Vec<Condition>) -> Rule {
        let value = self.value(group);
        let group = Some(group.name.clone());
        Rule { value, group, ..self.nothing(id, conditions, Reason::Decided) }
    }

    fn not_allocated(&self, salt: String) -> Option<Rule> {
        let allocated = self.experiment.allocated();
        // An experiment that brought its draw along keeps the rule even where it keeps nobody out.
        let is_drawn = self.experiment.buckets.is_some() || self.experiment.layer.is_some();
        if allocated.is_everything() && !is_drawn {
            return None;
        }
        let (operator, values) = match allocated {
            all if all.is_everything() => (Operator::Any, vec![(-1).into()]),
            some => (Operator::None, bucket_values(&some)),
        };
        let condition = Condition { subject: self.draw(salt), operator, values };
        Some(self.nothing("layerAssignment", vec![condition], Reason::NotAllocated))
    }

    /// The rule for those who are not meant, and the segment of those who are.
    fn targeting_test(&self, stored: &Stored<Experiment>) -> (Option<Rule>, Option<(String, Spec)>) {
        let experiment = self.experiment;
        let (id, condition, segment) = match experiment.targeting.as_slice() {
            [] => return (None, None),
            [only] if only.operator == Operator::Passes => {
                let is_segment = matches!(only.subject, Subject::Segment(_));
                let id = if is_segment { "inlineTargetingRules" } else { "targetingGate" };
                (id, Condition { operator: Operator::Fails, ..only.clone() }, None)
            }
            conditions => {
                let key = format!("inline_targeting:{}", experiment.key);
                let rule = Rule::new("inline_targeting", &experiment.unit_type, conditions.to_vec());
                let segment = empty(SpecKind::Segment, &experiment.unit_type, &experiment.salt, stored);
                let segment = Spec { rules: vec![rule], ..segment };
                let subject = Subject::Segment(key.clone());
                let condition = Condition { subject, operator: Operator::Fails, values: Vec::new() };
                ("inlineTargetingRules", condition, Some((segment_name(&key), segment)))
            }
        };
        (Some(self.nothing(id, vec![condition], Reason::NotTargeted)), segment)
    }

    fn group_rule(&self, group: &Group, bound: u64) -> Rule {
        let experiment = self.experiment;
        let subject = self.draw(experiment.salt.clone());
        let condition = Condition { subject, operator: Operator::Lt, values: vec![bound.into()] };
        let stopped = experiment.stopped_groups.contains(&group.name);
        let rule = Rule {
            watch: self.launch.and_then(|launch| watch_of_group(launch, group, stopped)),
            ..Rule::new(group.rule_id(), &experiment.unit_type, vec![condition])
        };
        if stopped {
            return Rule { value: self.default_value.clone(), reason: Reason::GroupStopped, ..rule };
        }
        Rule { value: self.value(group), group: Some(group.name.clone()), is_experiment_group: true, ..rule }
    }

    fn draw(&self, salt: String) -> Subject {
        Subject::Bucket(Draw { salt, unit_type: self.experiment.unit_type.clone() })
    }
}

/// Buckets as values of a condition.
pub(super) fn bucket_values(buckets: &BucketSet) -> Vec<serde_json::Value> {
    buckets.iter().map(Into::into).collect()
}

fn watch_of_group(launch: &Launch, group: &Group, stopped: bool) -> Option<Watch> {
    let epoch = launch.epoch()?.number;
    let arms = WatchedArms::Group { arm: group.name.clone(), reverted: stopped || !launch.is_live() };
    Some(super::watch(launch, epoch, arms))
}
