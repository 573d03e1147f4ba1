//! Resolving a latch.

use uuid::Uuid;

use super::by_hand::check_reason;
use super::edit::Said;
use super::{Admin, Principal};
use crate::analysis::decision::{DecisionAction, DecisionKind, Reason, ReasonCode};
use crate::domain::catalogue::Catalogue;
use crate::domain::experiment::Status;
use crate::domain::latch::{Latch, LatchId, Resolution};
use crate::domain::launch::Target;
use crate::domain::rule::Rule;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// Longest time that a latch may be open.
const MAX_OPEN_MS: i64 = 30 * DAY_MS;

impl Admin {
    /// Opens a closed latch until an expiry, in the name of a principal and with a reason.
    pub async fn resolve_latch(
        &self,
        actor: &Principal,
        id: Uuid,
        reason: &str,
        expires_at: Timestamp,
    ) -> Result<Latch> {
        let mut edit = self.edit(actor, "resolve_latch").await;
        let mut checks = Checks::default();
        check_reason(&mut checks, reason);
        let open = expires_at.ms_since(edit.now());
        checks.require((1..=MAX_OPEN_MS).contains(&open), "expire_time", "must be in the next 30 days");
        checks.finish()?;
        edit.check_listed(|policy| &policy.resolvers, "resolve latches")?;
        let not_found = || Error::NotFound { kind: "latch", key: id.to_string() };
        let mut latch = (**edit.catalogue().latches.get(&LatchId(id)).ok_or_else(not_found)?).clone();
        latch.resolution = Some(Resolution {
            principal: actor.0.clone(),
            reason: reason.to_owned(),
            at: edit.now(),
            expires_at,
        });
        let launch = self.store.launch(latch.launch).await?;
        let message = format!("{} opened the latch: {reason}", actor.0);
        let said = Said {
            kind: DecisionKind::Allow,
            action: DecisionAction::ResolveLatch,
            arm: latch.arm.clone(),
            reasons: vec![Reason::of_launch(ReasonCode::Operator, message)],
            judgement: None,
            latch: None,
        };
        if let Some(launch) = launch {
            let percentage = in_force(edit.catalogue(), &launch.target);
            edit.decide(&launch, percentage, said);
        }
        edit.put_latch(latch.clone());
        edit.commit().await?;
        Ok(latch)
    }
}

/// The share of a target's units that get the treatment now; for an experiment its allocation.
pub(super) fn in_force(catalogue: &Catalogue, target: &Target) -> f64 {
    let rule = |rules: &[Rule], id: &str| rules.iter().find(|rule| rule.id == id).map(|rule| rule.percentage);
    let share = match target {
        Target::GateRule { gate, rule: id } => {
            catalogue.gates.get(gate).and_then(|stored| rule(&stored.document.rules, id))
        }
        Target::ConfigRule { config, rule: id } => {
            catalogue.configs.get(config).and_then(|stored| rule(&stored.document.rules, id))
        }
        Target::Experiment { experiment } => {
            catalogue.experiments.get(experiment).map(|stored| stored.document.allocation)
        }
        Target::Shipment { experiment } => {
            catalogue.experiments.get(experiment).and_then(|stored| match &stored.document.status {
                Status::Decided { percentage, .. } => Some(*percentage),
                _ => None,
            })
        }
        Target::Holdout { .. } => catalogue.live_launch(target).map(|launch| launch.percentage()),
    };
    share.unwrap_or(0.0)
}
