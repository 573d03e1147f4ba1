//! Gates, segments, holdouts and dynamic configs.

use super::{Context, watch_of_share, watched_epoch, written_rule};
use crate::domain::condition::{Condition, Operator, Subject};
use crate::domain::config::DynamicConfig;
use crate::domain::gate::Gate;
use crate::domain::holdout::{HOLDOUT_RULE, Holdout, Member};
use crate::domain::launch::{Launch, Target};
use crate::domain::segment::Segment;
use crate::domain::stored::Stored;
use crate::engine::form::{Rule, Spec, SpecKind, Watch, WatchedArms};
use crate::engine::reason::Reason;

/// Up to this many ids are a condition on the unit; more are an id list, which SDKs load apart.
const INLINE_IDS: usize = 1_000;

impl Context<'_> {
    pub(super) fn gate(&self, stored: &Stored<Gate>) -> Spec {
        let gate = &stored.document;
        let spec = Spec {
            requires_unit: !gate.draws_missing_units,
            target_apps: gate.target_apps.clone(),
            ..empty(SpecKind::Gate, &gate.unit_type, &gate.salt, stored)
        };
        if stored.archived || !gate.enabled {
            return closed(spec, Reason::Disabled);
        }
        let mut rules = self.holdout_rules(Member::Gate(&gate.key), &gate.unit_type, None);
        rules.extend(gate.rules.iter().map(|rule| {
            let target = Target::GateRule { gate: gate.key.clone(), rule: rule.id.clone() };
            let launch = self.launches.get(&target);
            let watch = launch.and_then(|launch| watch_of_share(launch));
            Rule { watch, ..written_rule(rule, &gate.unit_type) }
        }));
        Spec { rules, ..spec }
    }
}

pub(super) fn segment(stored: &Stored<Segment>) -> Spec {
    let segment = &stored.document;
    let spec = empty(SpecKind::Segment, &segment.unit_type, &segment.salt, stored);
    if stored.archived {
        return closed(spec, Reason::Disabled);
    }
    let rules = match &segment.ids {
        Some(ids) => vec![listed(segment, ids)],
        None => segment.rules.iter().map(|rule| written_rule(rule, &segment.unit_type)).collect(),
    };
    Spec { rules, ..spec }
}

impl Context<'_> {
    pub(super) fn config(&self, stored: &Stored<DynamicConfig>) -> Spec {
        let config = &stored.document;
        let spec = Spec {
            requires_unit: !config.draws_missing_units,
            default_value: config.default_value.clone(),
            target_apps: config.target_apps.clone(),
            ..empty(SpecKind::Config, &config.unit_type, &config.salt, stored)
        };
        if stored.archived || !config.enabled {
            return closed(spec, Reason::Disabled);
        }
        let rules = config.rules.iter().map(|rule| {
            let target = Target::ConfigRule { config: config.key.clone(), rule: rule.id.clone() };
            let watch = self.launches.get(&target).and_then(|launch| watch_of_share(launch));
            Rule { watch, ..written_rule(rule, &config.unit_type) }
        });
        Spec { rules: rules.collect(), ..spec }
    }

    /// A holdout: yes means held out.
    pub(super) fn holdout(&self, stored: &Stored<Holdout>) -> Spec {
        let holdout = &stored.document;
        let spec = empty(SpecKind::Holdout, &holdout.unit_type, &holdout.salt, stored);
        if stored.archived {
            return closed(spec, Reason::Disabled);
        }
        let id = holdout.rule_id.as_deref().unwrap_or(HOLDOUT_RULE);
        let target = Target::Holdout { holdout: holdout.key.clone() };
        let rule = Rule {
            salt: holdout.rule_salt.clone(),
            percentage: holdout.percentage,
            watch: self.launches.get(&target).and_then(|launch| watch_of_release(launch, holdout.percentage)),
            ..Rule::new(id, &holdout.unit_type, Vec::new())
        };
        Spec { rules: vec![rule], ..spec }
    }
}

/// The arms of a release. What was held out before is what the launch falls back to.
fn watch_of_release(launch: &Launch, held: f64) -> Option<Watch> {
    let until = launch.rollback_percentage;
    let (epoch, reverted) = watched_epoch(launch)?;
    // After a rollback the holdout is as it was; what was released follows from the launch.
    let held = if reverted { until * (1.0 - launch.percentage() / 100.0) } else { held };
    Some(super::watch(launch, epoch, WatchedArms::Released { held, until, reverted }))
}

/// A rule for the units that a segment lists.
fn listed(segment: &Segment, ids: &[String]) -> Rule {
    let lowered: std::collections::HashSet<String> = ids.iter().map(|id| id.to_lowercase()).collect();
    // Some SDKs lose one of two values that differ by case only.
    let is_inline = (1..=INLINE_IDS).contains(&ids.len()) && lowered.len() == ids.len();
    let (operator, values) = if is_inline {
        (Operator::AnyCaseSensitive, ids.iter().map(|id| id.clone().into()).collect())
    } else {
        (Operator::InSegmentList, vec![segment.key.clone().into()])
    };
    let condition = Condition { subject: Subject::Unit(segment.unit_type.clone()), operator, values };
    Rule::new("ids", &segment.unit_type, vec![condition])
}

/// An entity without rules.
pub(super) fn empty<T>(kind: SpecKind, unit_type: &str, salt: &str, stored: &Stored<T>) -> Spec {
    Spec {
        kind,
        unit_type: unit_type.to_owned(),
        salt: salt.to_owned(),
        enabled: true,
        requires_unit: false,
        default_value: std::collections::BTreeMap::new(),
        rules: Vec::new(),
        fallback: Reason::NoRule,
        version: stored.revision,
        target_apps: Vec::new(),
        experiment: None,
    }
}

/// An entity that gives its default value to everyone.
pub(super) fn closed(spec: Spec, fallback: Reason) -> Spec {
    Spec { enabled: false, rules: Vec::new(), fallback, ..spec }
}
