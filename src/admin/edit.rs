//! A change in the making: it gathers what is written, then writes all of it and puts it in force.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::policies::check_guardrails;
use super::references::{self, Pending};
use super::{Admin, Principal};
use crate::analysis::answer::{answer, answer_raise};
use crate::analysis::decision::{
    Decision, DecisionAction, DecisionId, DecisionKind, Judgement, Reason, ReasonCode,
};
use crate::analysis::left_behind::left_behind;
use crate::analysis::plan::latch_reason;
use crate::clock::new_id;
use crate::domain::catalogue::Catalogue;
use crate::domain::latch::{Latch, LatchId};
use crate::domain::launch::{GuardrailChoice, Launch, LaunchPlan, LaunchState, Needs, Target};
use crate::domain::policy::PinnedPolicy;
use crate::domain::stored::Stored;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::engine::form::Ruleset;
use crate::error::{Error, Result};
use crate::live::InForce;
use crate::store::change::{Change, Kept, Write};
use crate::store::lease::Fence;
use crate::store::outbox::{Notice, NoticeId};
use tokio::sync::OwnedMutexGuard;

/// A change in the making. While it lives no other change can be made.
///
/// It has one step or more. Each is made from the configuration that the steps before leave, and all are written together.
#[derive(Debug)]
pub struct Edit {
    admin: Admin,
    writer: OwnedMutexGuard<()>,
    in_force: Arc<InForce>,
    change: Change,
    /// What the steps before leave; none in the first step.
    before: Option<Catalogue>,
    /// How many of the writes are of steps before.
    written: usize,
    /// What is checked when all steps are done, since it may rest on any of them.
    pub(super) pending: Pending,
}

/// What a decision says, besides what the launch and the edit say already.
pub(super) struct Said {
    pub(super) kind: DecisionKind,
    pub(super) action: DecisionAction,
    pub(super) arm: Option<String>,
    pub(super) reasons: Vec<Reason>,
    pub(super) judgement: Option<Judgement>,
    /// The latch that was closed when the guard looked.
    pub(super) latch: Option<Latch>,
}

impl Admin {
    /// Begins a change, made by `actor` through the function named `action`.
    pub(super) async fn edit(&self, actor: &Principal, action: impl Into<String>) -> Edit {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        let in_force = self.live.in_force();
        let change = Change {
            base_revision: in_force.catalogue.revision,
            at: self.clock.now(),
            actor: actor.0.clone(),
            action: action.into(),
            writes: Vec::new(),
            fence: None,
        };
        let pending = Pending::default();
        Edit { admin: self.clone(), writer, in_force, change, before: None, written: 0, pending }
    }
}

impl Edit {
    /// Makes the change under the guard's number; it is refused once another server acts.
    pub(super) fn under(mut self, fence: Fence) -> Self {
        self.change.fence = Some(fence);
        self
    }

    /// The configuration that the step is made from.
    pub(super) fn catalogue(&self) -> &Catalogue {
        self.before.as_ref().unwrap_or(&self.in_force.catalogue)
    }

    /// The configuration in force in the one rule form.
    pub(super) fn ruleset(&self) -> &Ruleset {
        &self.in_force.ruleset
    }

    /// The configuration as it will be with what has been written so far.
    pub(super) fn after(&self) -> Catalogue {
        let mut after = self.catalogue().clone();
        self.step().iter().for_each(|write| write.apply_to(&mut after));
        after
    }

    /// What the step has written so far.
    fn step(&self) -> &[Write] {
        self.since(self.written)
    }

    /// How much is written.
    pub(super) fn mark(&self) -> usize {
        self.change.writes.len()
    }

    /// What was written since a mark was taken.
    pub(super) fn since(&self, mark: usize) -> &[Write] {
        self.change.writes.get(mark..).unwrap_or_default()
    }

    /// Ends the step; the next one is made from what it leaves.
    pub(super) fn next_step(&mut self) {
        let mut before = self.before.take().unwrap_or_else(|| self.in_force.catalogue.clone());
        self.step().iter().for_each(|write| write.apply_to(&mut before));
        self.written = self.change.writes.len();
        self.before = Some(before);
        self.pending.next_step();
    }

    /// Takes back what the step has written.
    pub(super) fn undo_step(&mut self) {
        self.change.writes.truncate(self.written);
        self.pending.undo_step();
    }

    /// Whether a launch was there before the change.
    pub(super) fn is_launched(&self, launch: &Launch) -> bool {
        self.in_force.catalogue.launches.contains_key(&launch.id)
    }

    /// Whether nothing is written.
    pub(super) fn is_empty(&self) -> bool {
        self.change.writes.is_empty()
    }

    /// Who makes the change.
    pub(super) fn actor(&self) -> &str {
        &self.change.actor
    }

    /// When the change is made.
    pub(super) fn now(&self) -> Timestamp {
        self.change.at
    }

    /// A document in use, at the revision the caller read it at.
    pub(super) fn current<T: Kept>(&self, key: &str, revision: i64) -> Result<Arc<Stored<T>>> {
        let stored = self.in_use::<T>(key)?;
        if stored.revision == revision {
            return Ok(stored);
        }
        Err(Error::Conflict { kind: T::KIND, key: key.to_owned(), given: revision, found: stored.revision })
    }

    /// A document in use.
    pub(super) fn in_use<T: Kept>(&self, key: &str) -> Result<Arc<Stored<T>>> {
        let stored = T::shelf(self.catalogue()).get(key);
        let stored = stored.ok_or_else(|| Error::NotFound { kind: T::KIND, key: key.to_owned() })?;
        if stored.archived {
            return Err(Error::WrongState(format!("{} `{key}` is archived", T::KIND)));
        }
        Ok(Arc::clone(stored))
    }

    /// Writes a document.
    pub(super) fn put<T: Kept>(&mut self, stored: Stored<T>) {
        self.change.writes.push(T::write(stored));
    }

    /// Writes a new or changed launch; its revision must still be that of the stored one.
    pub(super) fn put_launch(&mut self, mut launch: Launch) {
        if self.catalogue().launches.contains_key(&launch.id) {
            launch.revision += 1;
        }
        self.change.writes.push(Write::Launch(Box::new(launch)));
    }

    /// Writes a latch.
    pub(super) fn put_latch(&mut self, latch: Latch) {
        self.change.writes.push(Write::Latch(latch));
    }

    /// Refuses while a latch bears on a gate or experiment, or while the guard holds a launch of it that was live before the
    /// change. One that begins with the change has nothing to be judged by.
    pub(super) fn allow_wider(&self, target: &Target) -> Result<()> {
        self.refuse_latched(target, None)?;
        let launches = self.in_force.catalogue.launches.values();
        launches.filter(|launch| launch.is_live() && launch.target.is_same_entity(target)).try_for_each(
            |launch| {
                let judgement = self.admin.judgement(launch, self.now());
                let (kind, reasons) = match launch.target {
                    // What an experiment needs evidence for is shipping a group; more units are how it gets there.
                    Target::Experiment { .. } => {
                        answer_raise(launch, judgement.as_deref(), None, Needs::Time, self.now())
                    }
                    _ => answer(launch, judgement.as_deref(), None, self.now()),
                };
                refuse_unless_allowed(kind, reasons)
            },
        )
    }

    /// The same for several gates and experiments.
    pub(super) fn allow_all_wider(&self, targets: &BTreeSet<Target>) -> Result<()> {
        targets.iter().try_for_each(|target| self.allow_wider(target))
    }

    /// Changes a launch in a person's name, and records it with what the guard last knew of the launch as it was.
    pub(super) fn change_launch(
        &mut self,
        launch: &Launch,
        action: DecisionAction,
        what: &str,
        change: impl FnOnce(&mut Launch, Timestamp),
    ) {
        let mut changed = launch.clone();
        change(&mut changed, self.now());
        let percentage = if changed.state == LaunchState::Cancelled { 0.0 } else { changed.percentage() };
        self.decide_by_hand(launch, percentage, action, what);
        self.put_launch(changed);
    }

    /// Ends a launch in a person's name, with `percentage` in force from then on.
    pub(super) fn cancel(&mut self, launch: &Launch, percentage: f64, what: &str) {
        let mut changed = launch.clone();
        changed.end(LaunchState::Cancelled, self.now());
        self.decide_by_hand(launch, percentage, DecisionAction::Cancel, what);
        self.put_launch(changed);
    }

    /// Begins a new epoch of a launch that other units reach from now on. One that begins with the change has none yet.
    pub(super) fn regroup(&mut self, launch: &Launch, what: &str) {
        if !self.is_launched(launch) {
            return;
        }
        self.change_launch(launch, DecisionAction::Edit, what, Launch::regroup);
    }

    /// The same for all live launches of gates and experiments.
    pub(super) fn regroup_all(&mut self, targets: &BTreeSet<Target>, what: &str) {
        let concerned = |launch: &&Arc<Launch>| {
            launch.is_live() && targets.iter().any(|target| launch.target.is_same_entity(target))
        };
        let launches: Vec<_> = self.catalogue().launches.values().filter(concerned).cloned().collect();
        for launch in launches {
            self.regroup(&launch, what);
        }
    }

    /// Begins a launch in a person's name, under the policy of the environment, which may refuse it. Where it takes the place
    /// of one that a person has let pass, what was shown against that one holds this one until it is known better.
    pub(super) fn begin_launch(
        &mut self,
        mut plan: LaunchPlan,
        choice: GuardrailChoice,
        what: &str,
    ) -> Result<()> {
        self.refuse_archived_policy(&self.admin.environment)?;
        let policy = self.policy();
        plan.metrics = self.catalogue().pin_metrics(&policy.policy, &plan.unit_type);
        check_guardrails(&policy.policy, &choice, &plan.metrics, &plan.unit_type)?;
        let before = self.catalogue().live_launch(&plan.target);
        let warned = before.is_some_and(|before| !self.left_behind(before).is_empty());
        let mut launch = Launch::begin_under(policy, choice, plan, self.now());
        launch.warned = warned;
        self.decide_by_hand(&launch, launch.percentage(), DecisionAction::Start, what);
        self.put_launch(launch);
        Ok(())
    }

    /// The policy of the environment.
    pub(super) fn policy(&self) -> PinnedPolicy {
        self.catalogue().pin_policy(&self.admin.environment)
    }

    fn decide_by_hand(&mut self, launch: &Launch, percentage: f64, action: DecisionAction, what: &str) {
        let message = format!("{what} by {}", self.actor());
        let kind = if action == DecisionAction::Pause { DecisionKind::Hold } else { DecisionKind::Allow };
        let said = Said {
            kind,
            action,
            arm: None,
            reasons: vec![Reason::of_launch(ReasonCode::Operator, message)],
            judgement: self.judgement(launch),
            latch: None,
        };
        self.decide(launch, percentage, said);
    }

    /// Closes a latch on a launch's target, or on one arm of it.
    pub(super) fn close_latch(&mut self, launch: &Launch, arm: Option<&str>, cause: String) {
        self.put_latch(Latch {
            id: LatchId(new_id(self.now())),
            target: launch.target.clone(),
            arm: arm.map(str::to_owned),
            launch: launch.id,
            cause,
            closed_at: self.now(),
            resolution: None,
        });
    }

    /// Refuses while a latch is closed that bears on the target, or on the arm of it that is to be raised.
    pub(super) fn refuse_latched(&self, target: &Target, arm: Option<&str>) -> Result<()> {
        match self.catalogue().closed_latch(target, arm, self.now()) {
            Some(latch) if !self.is_overridden(target) => {
                Err(Error::Refused { decision: DecisionKind::Block, reasons: vec![latch_reason(latch)] })
            }
            _ => Ok(()),
        }
    }

    /// Refuses while any latch of a target is closed, be it of one arm.
    pub(super) fn refuse_any_latched(&self, target: &Target) -> Result<()> {
        let mut latches = self.catalogue().latches_of(target);
        match latches.find(|latch| latch.is_closed(self.now())) {
            Some(latch) => {
                Err(Error::Refused { decision: DecisionKind::Block, reasons: vec![latch_reason(latch)] })
            }
            None => Ok(()),
        }
    }

    /// Whether a live launch of just this target is let pass by a person. That of another rule of a gate is not enough.
    fn is_overridden(&self, target: &Target) -> bool {
        let launch = self.in_force.catalogue.live_launch(target);
        launch.is_some_and(|launch| launch.override_at(self.now()).is_some())
    }

    /// The guard's latest judgement of a launch.
    pub(super) fn judgement(&self, launch: &Launch) -> Option<Judgement> {
        self.admin.judgement(launch, self.now()).map(|judgement| (*judgement).clone())
    }

    /// What outlives a launch that a person ends, by the latest judgement, however old and of whichever share.
    pub(super) fn left_behind(&self, launch: &Launch) -> Vec<Reason> {
        left_behind(launch, self.admin.live.judgement(launch.id).as_deref())
    }

    /// Records a decision about a launch; `launch` is what it was judged as, `percentage` what is in force afterwards.
    pub(super) fn decide(&mut self, launch: &Launch, percentage: f64, said: Said) {
        let decision = Decision {
            id: DecisionId(new_id(self.now())),
            launch: launch.clone(),
            judgement: said.judgement,
            kind: said.kind,
            action: said.action,
            arm: said.arm,
            reasons: said.reasons,
            percentage,
            actor: self.change.actor.clone(),
            at: self.now(),
            config_revision: self.catalogue().revision + 1,
            guard_age_ms: self.admin.guard_age_ms(launch.id, self.now()),
            target_revision: target_revision(self.catalogue(), &launch.target),
            latch: said.latch,
            tells_undecided: true,
        };
        let wanted = self.catalogue().webhooks.values().filter(|stored| {
            !stored.archived && stored.document.wants(decision.kind, &decision.launch.target)
        });
        let notice = |stored: &Arc<Stored<Webhook>>| Notice {
            id: NoticeId(new_id(decision.at)),
            webhook: stored.document.key.clone(),
            decision: decision.id,
            at: decision.at,
        };
        let notices: Vec<Write> = wanted.map(|stored| Write::Notice(notice(stored))).collect();
        self.change.writes.push(Write::Decision(Box::new(decision)));
        self.change.writes.extend(notices);
    }

    /// Writes everything and puts it in force. It goes on when the caller goes away, so that what is stored is served.
    pub(super) async fn commit(self) -> Result<Arc<InForce>> {
        references::check(&self)?;
        let Self { admin, writer, in_force, change, .. } = self;
        let commit = async move {
            let cursor = match admin.store.commit(&change).await {
                Ok(cursor) => cursor,
                Err(error) => {
                    drop(writer);
                    return Err(admin.refused(error).await);
                }
            };
            admin.live.replace(change.applied_to(&in_force.catalogue), cursor);
            drop(writer);
            tracing::info!(
                revision = change.revision(),
                actor = change.actor,
                action = change.action,
                "configuration changed"
            );
            Ok(admin.live.in_force())
        };
        tokio::spawn(commit).await.map_err(Error::internal)?
    }
}

impl Admin {
    /// Where another server was first, the next change is made from what it left.
    async fn refused(&self, error: Error) -> Error {
        if matches!(error, Error::Conflict { .. })
            && let Err(cause) = self.catch_up().await
        {
            tracing::warn!(error = cause.in_full(), "what another server changed could not be read");
        }
        error
    }
}

/// Revision of the document that a target belongs to.
fn target_revision(catalogue: &Catalogue, target: &Target) -> Option<i64> {
    match target {
        Target::GateRule { gate, .. } => catalogue.gates.get(gate).map(|stored| stored.revision),
        Target::ConfigRule { config, .. } => catalogue.configs.get(config).map(|stored| stored.revision),
        Target::Holdout { holdout } => catalogue.holdouts.get(holdout).map(|stored| stored.revision),
        Target::Experiment { experiment } | Target::Shipment { experiment } => {
            catalogue.experiments.get(experiment).map(|stored| stored.revision)
        }
    }
}

/// Turns anything but `allow` into a refusal.
pub(super) fn refuse_unless_allowed(decision: DecisionKind, reasons: Vec<Reason>) -> Result<()> {
    if decision == DecisionKind::Allow { Ok(()) } else { Err(Error::Refused { decision, reasons }) }
}
