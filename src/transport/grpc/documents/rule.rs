//! Rules of gates, segments and dynamic configs.

use crate::domain::rule::Rule;
use crate::error::Result;
use crate::transport::grpc::condition::{conditions, wire_conditions};
use crate::transport::grpc::convert::{parameters, wire_struct};
use crate::transport::grpc::wire;

/// Rules of a gate or a segment; `field` is the path of the list.
pub(super) fn rules(field: &str, messages: Vec<wire::GateRule>) -> Result<Vec<Rule>> {
    let indexed = messages.into_iter().enumerate();
    indexed.map(|(index, message)| rule(&format!("{field}[{index}]"), message)).collect()
}

/// Rules of a gate or a segment as they are sent.
pub(super) fn wire_rules(rules: &[Rule]) -> Vec<wire::GateRule> {
    let sent = |rule: &Rule| wire::GateRule {
        id: rule.id.clone(),
        name: rule.name.clone(),
        conditions: wire_conditions(&rule.conditions),
        percentage: rule.percentage,
        environments: rule.environments.clone(),
        salt: rule.salt.clone(),
        unit_type: rule.unit_type.clone().unwrap_or_default(),
    };
    rules.iter().map(sent).collect()
}

/// Rules of a dynamic config; `field` is the path of the list.
pub(super) fn config_rules(field: &str, messages: Vec<wire::ConfigRule>) -> Result<Vec<Rule>> {
    let read = |(index, message): (usize, wire::ConfigRule)| {
        let field = format!("{field}[{index}]");
        let value = parameters(&format!("{field}.value"), message.value)?;
        let plain = wire::GateRule {
            id: message.id,
            name: message.name,
            conditions: message.conditions,
            percentage: message.percentage,
            environments: message.environments,
            salt: message.salt,
            unit_type: message.unit_type,
        };
        Ok(Rule { value, group: message.group, ..rule(&field, plain)? })
    };
    messages.into_iter().enumerate().map(read).collect()
}

/// Rules of a dynamic config as they are sent.
pub(super) fn wire_config_rules(rules: &[Rule]) -> Vec<wire::ConfigRule> {
    let sent = |(rule, plain): (&Rule, wire::GateRule)| wire::ConfigRule {
        id: plain.id,
        name: plain.name,
        conditions: plain.conditions,
        percentage: plain.percentage,
        environments: plain.environments,
        salt: plain.salt,
        unit_type: plain.unit_type,
        value: Some(wire_struct(&rule.value)),
        group: rule.group.clone(),
    };
    rules.iter().zip(wire_rules(rules)).map(sent).collect()
}

fn rule(field: &str, message: wire::GateRule) -> Result<Rule> {
    let conditions = conditions(&format!("{field}.conditions"), message.conditions)?;
    let unit_type = Some(message.unit_type).filter(|unit_type| !unit_type.is_empty());
    Ok(Rule {
        name: message.name,
        conditions,
        environments: message.environments,
        salt: message.salt,
        unit_type,
        ..Rule::everyone(&message.id, message.percentage)
    })
}
