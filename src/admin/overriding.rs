//! Overriding: a person lets one launch pass what holds or blocks it, for a while.

use super::{Admin, Principal};
use crate::analysis::decision::DecisionAction;
use crate::domain::launch::{Launch, LaunchId, Override};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::violation::Checks;
use crate::error::Result;

/// Longest time that an override may last.
const MAX_OVERRIDE_MS: i64 = 7 * DAY_MS;

impl Admin {
    /// Lets a live launch pass what holds or blocks it until an expiry. Harm that is shown goes on being acted on, and
    /// neither a pause nor a missing approval is passed.
    pub async fn override_launch(
        &self,
        actor: &Principal,
        id: LaunchId,
        reason: &str,
        expires_at: Timestamp,
    ) -> Result<Launch> {
        let mut edit = self.edit(actor, "override_launch").await;
        let launch = edit.live_launch(id, reason)?;
        edit.check_listed(|policy| &policy.overriders, "override launches")?;
        let mut checks = Checks::default();
        let lasts = expires_at.ms_since(edit.now());
        checks.require((1..=MAX_OVERRIDE_MS).contains(&lasts), "expire_time", "must be in the next 7 days");
        checks.finish()?;
        let what = format!("the launch was overridden ({reason})");
        edit.change_launch(&launch, DecisionAction::Override, &what, |launch, now| {
            let (principal, reason) = (actor.0.clone(), reason.to_owned());
            launch.overridden = Some(Override { principal, reason, at: now, expires_at });
        });
        edit.commit_launch(id).await
    }
}
