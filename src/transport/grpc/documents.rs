//! Documents between wire and domain, with their defaults.

use crate::domain::experiment::{Experiment, Group, Status};
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::metric::{
    DEFAULT_FRESHNESS_MS, DEFAULT_MIN_UNITS, DEFAULT_SHIP_MARGIN, Direction, Metric, MetricKind,
};
use crate::domain::rule::Rule;
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::{Error, Result};

use super::condition::{conditions, wire_conditions};
use super::convert::{
    count, duration_ms, or_default, parameters, required, wire_duration, wire_struct, wire_time,
};
use super::wire;

/// A gate with the revision it was read at.
pub(super) fn gate(message: Option<wire::Gate>) -> Result<(Gate, i64)> {
    let message = required("gate", message)?;
    let rule = |(index, rule): (usize, wire::GateRule)| {
        let conditions = conditions(&format!("gate.rules[{index}].conditions"), rule.conditions)?;
        Ok(Rule { name: rule.name, conditions, ..Rule::everyone(&rule.id, rule.percentage) })
    };
    let gate = Gate {
        salt: or_default(message.salt, &message.key),
        key: message.key,
        description: message.description,
        owner: message.owner,
        tags: message.tags,
        unit_type: or_default(message.unit_type, USER_ID),
        enabled: message.enabled.unwrap_or(true),
        rules: message.rules.into_iter().enumerate().map(rule).collect::<Result<_>>()?,
        target_apps: Vec::new(),
        draws_missing_units: false,
    };
    Ok((gate, message.revision))
}

/// A gate as it is sent.
pub(super) fn wire_gate(stored: &Stored<Gate>) -> wire::Gate {
    let gate = &stored.document;
    let rule = |rule: &Rule| wire::GateRule {
        id: rule.id.clone(),
        name: rule.name.clone(),
        conditions: wire_conditions(&rule.conditions),
        percentage: rule.percentage,
    };
    wire::Gate {
        key: gate.key.clone(),
        revision: stored.revision,
        description: gate.description.clone(),
        owner: gate.owner.clone(),
        tags: gate.tags.clone(),
        unit_type: gate.unit_type.clone(),
        salt: gate.salt.clone(),
        enabled: Some(gate.enabled),
        rules: gate.rules.iter().map(rule).collect(),
        create_time: Some(wire_time(stored.created_at)),
        update_time: Some(wire_time(stored.updated_at)),
        archived: stored.archived,
    }
}

/// An experiment with the revision it was read at. Its status is the server's.
pub(super) fn experiment(message: Option<wire::Experiment>) -> Result<(Experiment, i64)> {
    let message = required("experiment", message)?;
    let group = |(index, group): (usize, wire::ExperimentGroup)| {
        let field = format!("experiment.groups[{index}].parameters");
        let parameters = parameters(&field, group.parameters)?;
        Ok(Group { name: group.name, id: None, weight: group.weight, parameters })
    };
    let groups: Vec<Group> = message.groups.into_iter().enumerate().map(group).collect::<Result<_>>()?;
    let first = groups.first().map(|group| group.name.clone()).unwrap_or_default();
    let experiment = Experiment {
        salt: or_default(message.salt, &message.key),
        key: message.key,
        hypothesis: message.hypothesis,
        owner: message.owner,
        tags: message.tags,
        unit_type: or_default(message.unit_type, USER_ID),
        control_group: or_default(message.control_group, &first),
        groups,
        allocation: message.allocation.unwrap_or(100.0),
        targeting: conditions("experiment.targeting", message.targeting)?,
        primary_metrics: message.primary_metrics,
        status: Status::Draft,
        stopped_groups: std::collections::BTreeSet::new(),
        overrides: Vec::new(),
        layer: None,
        default_parameters: std::collections::BTreeMap::new(),
        secondary_metrics: Vec::new(),
        buckets: None,
        allocation_salt: None,
        targeting_first: false,
        target_apps: Vec::new(),
        draws_missing_units: false,
    };
    Ok((experiment, message.revision))
}

/// An experiment as it is sent.
pub(super) fn wire_experiment(stored: &Stored<Experiment>) -> wire::Experiment {
    let experiment = &stored.document;
    let group = |group: &Group| wire::ExperimentGroup {
        name: group.name.clone(),
        weight: group.weight,
        parameters: Some(wire_struct(&group.parameters)),
    };
    let (status, decided_group) = match &experiment.status {
        Status::Draft => (wire::ExperimentStatus::Draft, ""),
        Status::Running => (wire::ExperimentStatus::Running, ""),
        Status::Decided { group } => (wire::ExperimentStatus::Decided, group.as_str()),
        Status::Abandoned => (wire::ExperimentStatus::Abandoned, ""),
    };
    wire::Experiment {
        key: experiment.key.clone(),
        revision: stored.revision,
        hypothesis: experiment.hypothesis.clone(),
        owner: experiment.owner.clone(),
        tags: experiment.tags.clone(),
        unit_type: experiment.unit_type.clone(),
        salt: experiment.salt.clone(),
        groups: experiment.groups.iter().map(group).collect(),
        control_group: experiment.control_group.clone(),
        allocation: Some(experiment.allocation),
        targeting: wire_conditions(&experiment.targeting),
        primary_metrics: experiment.primary_metrics.clone(),
        status: status.into(),
        decided_group: decided_group.to_owned(),
        stopped_groups: experiment.stopped_groups.iter().cloned().collect(),
        create_time: Some(wire_time(stored.created_at)),
        update_time: Some(wire_time(stored.updated_at)),
        archived: stored.archived,
    }
}

/// A holdout with the revision it was read at.
pub(super) fn holdout(message: Option<wire::Holdout>) -> Result<(Holdout, i64)> {
    let message = required("holdout", message)?;
    let holdout = Holdout {
        salt: or_default(message.salt, &message.key),
        key: message.key,
        description: message.description,
        owner: message.owner,
        tags: message.tags,
        unit_type: or_default(message.unit_type, USER_ID),
        percentage: message.percentage,
        gates: message.gates,
        experiments: message.experiments,
        layers: Vec::new(),
        covers_all: false,
        precedence: 0,
        rule_id: None,
        rule_salt: None,
        link_ids: std::collections::BTreeMap::new(),
    };
    Ok((holdout, message.revision))
}

/// A holdout as it is sent.
pub(super) fn wire_holdout(stored: &Stored<Holdout>) -> wire::Holdout {
    let holdout = &stored.document;
    wire::Holdout {
        key: holdout.key.clone(),
        revision: stored.revision,
        description: holdout.description.clone(),
        owner: holdout.owner.clone(),
        tags: holdout.tags.clone(),
        unit_type: holdout.unit_type.clone(),
        salt: holdout.salt.clone(),
        percentage: holdout.percentage,
        gates: holdout.gates.clone(),
        experiments: holdout.experiments.clone(),
        create_time: Some(wire_time(stored.created_at)),
        update_time: Some(wire_time(stored.updated_at)),
        archived: stored.archived,
    }
}

/// A metric with the revision it was read at.
pub(super) fn metric(message: Option<wire::Metric>) -> Result<(Metric, i64)> {
    let message = required("metric", message)?;
    let kind = match message.kind() {
        wire::MetricKind::Conversion => MetricKind::Conversion,
        wire::MetricKind::Count => MetricKind::Count,
        wire::MetricKind::Sum => MetricKind::Sum,
        wire::MetricKind::ActiveDays => MetricKind::ActiveDays,
        wire::MetricKind::Unspecified => {
            return Err(Error::field("metric.kind", "must be CONVERSION, COUNT, SUM or ACTIVE_DAYS"));
        }
    };
    let direction = match wire::MetricDirection::try_from(message.direction) {
        Ok(wire::MetricDirection::LowerIsBetter) => Direction::LowerIsBetter,
        Ok(wire::MetricDirection::HigherIsBetter | wire::MetricDirection::Unspecified) => {
            Direction::HigherIsBetter
        }
        Err(_) => {
            return Err(Error::field("metric.direction", "must be HIGHER_IS_BETTER or LOWER_IS_BETTER"));
        }
    };
    let min_units = message.min_units.map(u64::try_from).transpose();
    let min_units = min_units.map_err(|_| Error::field("metric.min_units", "must not be negative"))?;
    let window = message.window.as_ref().map(|window| duration_ms("metric.window", window)).transpose()?;
    let freshness = message.freshness.as_ref();
    let freshness = freshness.map(|freshness| duration_ms("metric.freshness", freshness)).transpose()?;
    let metric = Metric {
        key: message.key,
        description: message.description,
        owner: message.owner,
        tags: message.tags,
        kind,
        event: message.event,
        direction,
        margin: message.margin,
        ship_margin: message.ship_margin.unwrap_or(DEFAULT_SHIP_MARGIN),
        weight: message.weight.unwrap_or(1.0),
        window_ms: window,
        freshness_ms: freshness.unwrap_or(DEFAULT_FRESHNESS_MS),
        min_units: min_units.unwrap_or(DEFAULT_MIN_UNITS),
    };
    Ok((metric, message.revision))
}

/// A metric as it is sent.
pub(super) fn wire_metric(stored: &Stored<Metric>) -> wire::Metric {
    let metric = &stored.document;
    let kind = match metric.kind {
        MetricKind::Conversion => wire::MetricKind::Conversion,
        MetricKind::Count => wire::MetricKind::Count,
        MetricKind::Sum => wire::MetricKind::Sum,
        MetricKind::ActiveDays => wire::MetricKind::ActiveDays,
    };
    let direction = match metric.direction {
        Direction::HigherIsBetter => wire::MetricDirection::HigherIsBetter,
        Direction::LowerIsBetter => wire::MetricDirection::LowerIsBetter,
    };
    wire::Metric {
        key: metric.key.clone(),
        revision: stored.revision,
        description: metric.description.clone(),
        owner: metric.owner.clone(),
        tags: metric.tags.clone(),
        kind: kind.into(),
        event: metric.event.clone(),
        direction: direction.into(),
        margin: metric.margin,
        ship_margin: Some(metric.ship_margin),
        weight: Some(metric.weight),
        window: metric.window_ms.map(wire_duration),
        freshness: Some(wire_duration(metric.freshness_ms)),
        min_units: Some(count(metric.min_units)),
        create_time: Some(wire_time(stored.created_at)),
        update_time: Some(wire_time(stored.updated_at)),
        archived: stored.archived,
    }
}
