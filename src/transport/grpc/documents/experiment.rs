//! Experiments.

use std::collections::BTreeSet;

use super::DocumentMessage;
use crate::domain::bucket_set::BucketSet;
use crate::domain::experiment::{Experiment, Group, Override, Status};
use crate::domain::stored::Stored;
use crate::domain::user::USER_ID;
use crate::error::{Error, Result};
use crate::transport::grpc::condition::{conditions, wire_conditions};
use crate::transport::grpc::convert::{or_default, parameters, wire_struct, wire_time};
use crate::transport::grpc::wire;

impl DocumentMessage for wire::Experiment {
    type Document = Experiment;

    fn read(self) -> Result<(Experiment, i64)> {
        let groups = self.groups.into_iter().enumerate();
        let groups = groups.map(|(index, group)| read_group(&format!("experiment.groups[{index}]"), group));
        let groups: Vec<Group> = groups.collect::<Result<_>>()?;
        let overrides = self.overrides.into_iter().enumerate();
        let overrides =
            overrides.map(|(index, each)| read_override(&format!("experiment.overrides[{index}]"), each));
        let buckets = self.buckets.as_deref().map(str::parse::<BucketSet>).transpose();
        let first = groups.first().map(|group| group.name.clone()).unwrap_or_default();
        let experiment = Experiment {
            salt: self.salt.unwrap_or_else(|| self.key.clone()),
            key: self.key,
            hypothesis: self.hypothesis,
            owner: self.owner,
            tags: self.tags,
            unit_type: or_default(self.unit_type, USER_ID),
            control_group: or_default(self.control_group, &first),
            groups,
            allocation: self.allocation.unwrap_or(100.0),
            targeting: conditions("experiment.targeting", self.targeting)?,
            overrides: overrides.collect::<Result<_>>()?,
            layer: Some(self.layer).filter(|layer| !layer.is_empty()),
            default_parameters: parameters("experiment.default_parameters", self.default_parameters)?,
            primary_metrics: self.primary_metrics,
            secondary_metrics: self.secondary_metrics,
            status: Status::Draft,
            stopped_groups: BTreeSet::new(),
            buckets: buckets.map_err(|error| Error::field("experiment.buckets", error.to_string()))?,
            allocation_salt: self.allocation_salt,
            targeting_first: self.targeting_first,
            target_apps: self.target_apps,
            draws_missing_units: self.draws_missing_units,
        };
        Ok((experiment, self.revision))
    }

    fn sent(stored: &Stored<Experiment>) -> Self {
        let experiment = &stored.document;
        let (status, decided_group) = match &experiment.status {
            Status::Draft => (wire::ExperimentStatus::Draft, ""),
            Status::Running => (wire::ExperimentStatus::Running, ""),
            Status::Decided { group, .. } => (wire::ExperimentStatus::Decided, group.as_str()),
            Status::Abandoned => (wire::ExperimentStatus::Abandoned, ""),
        };
        Self {
            key: experiment.key.clone(),
            revision: stored.revision,
            hypothesis: experiment.hypothesis.clone(),
            owner: experiment.owner.clone(),
            tags: experiment.tags.clone(),
            unit_type: experiment.unit_type.clone(),
            salt: Some(experiment.salt.clone()),
            groups: experiment.groups.iter().map(sent_group).collect(),
            control_group: experiment.control_group.clone(),
            allocation: Some(experiment.allocation),
            targeting: wire_conditions(&experiment.targeting),
            overrides: experiment.overrides.iter().map(sent_override).collect(),
            layer: experiment.layer.clone().unwrap_or_default(),
            default_parameters: Some(wire_struct(&experiment.default_parameters)),
            primary_metrics: experiment.primary_metrics.clone(),
            secondary_metrics: experiment.secondary_metrics.clone(),
            status: status.into(),
            decided_group: decided_group.to_owned(),
            stopped_groups: experiment.stopped_groups.iter().cloned().collect(),
            buckets: experiment.buckets.as_ref().map(ToString::to_string),
            allocation_salt: experiment.allocation_salt.clone(),
            targeting_first: experiment.targeting_first,
            target_apps: experiment.target_apps.clone(),
            draws_missing_units: experiment.draws_missing_units,
            create_time: Some(wire_time(stored.created_at)),
            update_time: Some(wire_time(stored.updated_at)),
            archived: stored.archived,
        }
    }
}

fn read_group(field: &str, message: wire::ExperimentGroup) -> Result<Group> {
    let parameters = parameters(&format!("{field}.parameters"), message.parameters)?;
    Ok(Group { name: message.name, id: message.id, weight: message.weight, parameters })
}

fn sent_group(group: &Group) -> wire::ExperimentGroup {
    wire::ExperimentGroup {
        name: group.name.clone(),
        weight: group.weight,
        parameters: Some(wire_struct(&group.parameters)),
        id: group.id.clone(),
    }
}

fn read_override(field: &str, message: wire::ExperimentOverride) -> Result<Override> {
    let conditions = conditions(&format!("{field}.conditions"), message.conditions)?;
    Ok(Override { id: message.id, group: message.group, conditions })
}

fn sent_override(each: &Override) -> wire::ExperimentOverride {
    wire::ExperimentOverride {
        id: each.id.clone(),
        group: each.group.clone(),
        conditions: wire_conditions(&each.conditions),
    }
}
