//! What a caller says was served, matched to the launch that was under way then: history has no rules, only what came of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evaluate::{Entity, Exposed};
use super::observe::{group_arm, share_arm};
use super::snapshot::Snapshot;
use crate::domain::launch::{Launch, LaunchId, Target};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::violation::Invalid;

/// What a unit was served.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A gate.
    Gate {
        /// Its key.
        key: &'a str,
        /// The rule that decided; empty where that is not known.
        rule_id: &'a str,
        /// Whether the rule was passed.
        passed: bool,
    },
    /// An experiment.
    Experiment {
        /// Its key.
        key: &'a str,
        /// The group.
        group: &'a str,
    },
}

/// Finds launch, epoch and arm of what a user's unit was served at a time, from the launches that are known: the live ones,
/// and the latest ended one of each target. No attributes are needed.
///
/// A unit of a gate belongs to the newest epoch by then in which it gets what it was served, as with what SDKs report.
///
/// # Errors
/// What does not fit, by the name of its field: `gate.key`, `gate.rule_id`, `gate.pass`, `experiment.key`,
/// `experiment.group`, `user`, or `time` where nothing was being launched then.
pub fn assign<'s>(
    snapshot: &'s Snapshot,
    launches: &'s BTreeMap<LaunchId, Arc<Launch>>,
    told: Told<'_>,
    at: Timestamp,
    user: &User,
) -> Result<Exposed<'s>, Invalid> {
    let (launch, arm) = match told {
        Told::Gate { key, rule_id, passed } => {
            let spec = snapshot
                .find(Entity::Gate, key)
                .ok_or_else(|| Invalid::field("gate.key", format!("there is no gate `{key}`")))?;
            let rule = |id: &str| {
                let mut rules = spec.rules.iter().zip(&spec.form.rules);
                let found = rules.find(|(_, form)| form.id == id).map(|(rule, _)| rule);
                found
                    .ok_or_else(|| Invalid::field("gate.rule_id", format!("gate `{key}` has no rule `{id}`")))
            };
            if !rule_id.is_empty() {
                rule(rule_id)?;
            }
            let (launch, id) = launch_of_gate(launches, key, rule_id, at)?;
            let rule = rule(id)?;
            let part = rule.prefix.part(unit(user, launch)?);
            let arm = share_arm(launch, part, Some(passed), at).ok_or_else(|| {
                let message = format!("rule `{id}` gave this unit {} at that time", !passed);
                Invalid::field("gate.pass", message)
            })?;
            (launch, arm)
        }
        Told::Experiment { key, group } => {
            if !snapshot.contains(Entity::Experiment, key) {
                return Err(Invalid::field("experiment.key", format!("there is no experiment `{key}`")));
            }
            let target = Target::Experiment { experiment: key.to_owned() };
            let own = launches.values().filter(|launch| launch.target == target);
            let own = own.map(|launch| (launch.as_ref(), ()));
            let (launch, ()) = exactly_one(own, at, &format!("experiment `{key}`"))?;
            let arm = launch.arms.iter().find(|arm| arm.name == group).ok_or_else(|| {
                let names: Vec<&str> = launch.arms.iter().map(|arm| arm.name.as_str()).collect();
                let message = format!("must be one of {}, is `{group}`", names.join(", "));
                Invalid::field("experiment.group", message)
            })?;
            unit(user, launch)?;
            let arm = group_arm(launch, &arm.name, at);
            (launch, arm.ok_or_else(|| Invalid::field("time", "no epoch of the launch had begun"))?)
        }
    };
    Ok(Exposed { unit_type: &launch.unit_type, at, arm: Some(arm) })
}

/// The launch of a gate at a time, with the id of its rule; a gate may have launches of several rules at once.
fn launch_of_gate<'s>(
    launches: &'s BTreeMap<LaunchId, Arc<Launch>>,
    key: &str,
    rule_id: &str,
    at: Timestamp,
) -> Result<(&'s Launch, &'s str), Invalid> {
    let what = match rule_id {
        "" => format!("gate `{key}`"),
        rule => format!("gate `{key}`, rule `{rule}`"),
    };
    let of_gate = launches.values().filter_map(|launch| match &launch.target {
        Target::GateRule { gate, rule } if gate == key && (rule_id.is_empty() || rule == rule_id) => {
            Some((launch.as_ref(), rule.as_str()))
        }
        _ => None,
    });
    exactly_one(of_gate, at, &what)
}

/// The one launch that was under way at a time, with what stands beside it.
fn exactly_one<'s, T>(
    launches: impl Iterator<Item = (&'s Launch, T)>,
    at: Timestamp,
    what: &str,
) -> Result<(&'s Launch, T), Invalid> {
    let mut under_way = launches
        .filter(|(launch, _)| launch.started_at <= at && launch.ended_at.is_none_or(|ended| at < ended));
    match (under_way.next(), under_way.next()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(Invalid::field("time", format!("no launch of {what} was under way at that time"))),
        (Some(_), Some(_)) => {
            let message = format!("must be given: several rules of {what} were being launched at that time");
            Err(Invalid::field("gate.rule_id", message))
        }
    }
}

/// The user's id of the launch's unit type.
fn unit<'u>(user: &'u User, launch: &Launch) -> Result<&'u str, Invalid> {
    let unit_type = &launch.unit_type;
    user.unit(unit_type).ok_or_else(|| {
        Invalid::field(
            "user",
            format!("must have an id of unit type `{unit_type}`, which the launch goes by"),
        )
    })
}
