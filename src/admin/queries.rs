//! What can be asked.

use std::sync::Arc;

use uuid::Uuid;

use super::Admin;
use super::ruled::Ruled;
use crate::analysis::answer::answer;
use crate::analysis::decision::{DecisionId, DecisionKind, Judgement, Reason, ReasonCode};
use crate::analysis::plan::latch_reason;
use crate::analysis::recovery::Recovery;
use crate::domain::catalogue::Catalogue;
use crate::domain::latch::Latch;
use crate::domain::launch::{Launch, LaunchId, Target};
use crate::domain::stored::Stored;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::store::change::Kept;
use crate::store::{DecisionQuery, LaunchQuery, Recorded};

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<String>,
}

/// What a check is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A launch.
    Launch(LaunchId),
    /// A target: its live launch, else its latest.
    Target(Target),
}

/// What the guard says of a subject.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether exposure may be raised.
    pub kind: DecisionKind,
    /// Why, the weightiest first.
    pub reasons: Vec<Reason>,
    /// The launch it is about; none where the target never had one.
    pub launch: Option<Launch>,
    /// The latest look at it.
    pub judgement: Option<Judgement>,
    /// Latches of the target.
    pub latches: Vec<Latch>,
    /// What became of harmed guardrails since a rollback.
    pub recoveries: Vec<Recovery>,
    /// When this was said.
    pub now: Timestamp,
}

impl Admin {
    /// One document, archived or not.
    pub fn get<T: Kept>(&self, key: &str) -> Result<Arc<Stored<T>>> {
        super::documents::stored_in(&self.live.in_force(), key)
    }

    /// Documents in the order of their keys, after `token`.
    #[must_use]
    pub fn list<T: Kept>(&self, token: &str, size: usize, archived: bool) -> Page<Arc<Stored<T>>> {
        let in_force = self.live.in_force();
        let wanted = |stored: &&Arc<Stored<T>>| {
            (archived || !stored.archived) && (token.is_empty() || stored.document.key() > token)
        };
        let mut entries: Vec<_> =
            T::shelf(&in_force.catalogue).values().filter(wanted).take(size + 1).cloned().collect();
        let more = entries.len() > size;
        entries.truncate(size);
        let next = entries.last().filter(|_| more).map(|stored| stored.document.key().to_owned());
        Page { entries, next }
    }

    /// One launch.
    pub async fn launch(&self, id: LaunchId) -> Result<Launch> {
        let not_found = || Error::NotFound { kind: "launch", key: id.to_string() };
        self.store.launch(id).await?.ok_or_else(not_found)
    }

    /// Launches, newest first.
    pub async fn launches(&self, mut query: LaunchQuery) -> Result<Page<Launch>> {
        let size = usize::try_from(query.limit).unwrap_or_default();
        query.limit += 1;
        let mut entries = self.store.launches(&query).await?;
        let more = entries.len() > size;
        entries.truncate(size);
        let next = entries.last().filter(|_| more).map(|launch| launch.id.to_string());
        Ok(Page { entries, next })
    }

    /// Decisions, oldest first.
    pub async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<Recorded>> {
        self.store.decisions(query).await
    }

    /// One decision.
    pub async fn decision(&self, id: DecisionId) -> Result<Recorded> {
        let not_found = || Error::NotFound { kind: "decision", key: id.0.to_string() };
        self.store.decision(id).await?.ok_or_else(not_found)
    }

    /// Cursor of the latest decision; 0 when there is none.
    pub async fn last_cursor(&self) -> Result<i64> {
        self.store.last_cursor().await
    }

    /// Tells when decisions are added, by the latest cursor.
    #[must_use]
    pub fn watch_decisions(&self) -> tokio::sync::watch::Receiver<i64> {
        self.live.watch_decisions()
    }

    /// The target of a rule; an empty rule id stands for the only one.
    pub fn rule_target<T: Ruled>(&self, key: &str, rule: &str) -> Result<Target> {
        let stored = self.get::<T>(key)?;
        super::rollouts::rule_target(&stored.document, rule)
    }

    /// What the guard says now.
    pub async fn check(&self, subject: Subject) -> Result<Answer> {
        let in_force = self.live.in_force();
        let catalogue = &in_force.catalogue;
        let now = self.clock.now();
        let (target, launch) = self.launch_of(catalogue, subject).await?;
        let judgement = match &launch {
            Some(launch) if launch.is_live() => self.judgement(launch, now),
            // An ended launch is not looked at any more; what was found last is on record.
            Some(launch) => {
                let last = self.store.latest_decision(launch.id, true).await?;
                last.and_then(|decision| decision.judgement).map(Arc::new)
            }
            None => None,
        };
        let latches: Vec<Latch> = catalogue.latches_of(&target).map(|latch| (**latch).clone()).collect();
        let closed = catalogue.closed_latch(&target, None, now);
        let closed = closed.map(AsRef::as_ref);
        let (kind, reasons) = say(launch.as_ref(), judgement.as_deref(), closed, now);
        let judgement = judgement.map(|judgement| (*judgement).clone());
        let recoveries = launch.as_ref().map(|launch| self.live.recoveries(launch.id)).unwrap_or_default();
        Ok(Answer { kind, reasons, launch, judgement, latches, recoveries, now })
    }
}

impl Admin {
    /// What is asked about: a target, and its live launch or else its latest.
    pub(super) async fn launch_of(
        &self,
        catalogue: &Catalogue,
        subject: Subject,
    ) -> Result<(Target, Option<Launch>)> {
        Ok(match subject {
            Subject::Launch(id) => {
                let known = catalogue.launches.get(&id).map(|launch| (**launch).clone());
                let launch = match known {
                    Some(launch) => launch,
                    None => self.launch(id).await?,
                };
                (launch.target.clone(), Some(launch))
            }
            Subject::Target(target) => {
                let launch = catalogue.latest_launch(&target).map(|launch| (**launch).clone());
                (target, launch)
            }
        })
    }
}

fn say(
    launch: Option<&Launch>,
    judgement: Option<&Judgement>,
    closed: Option<&Latch>,
    now: Timestamp,
) -> (DecisionKind, Vec<Reason>) {
    match (launch, closed) {
        (Some(launch), closed) if launch.is_live() => answer(launch, judgement, closed, now),
        (_, Some(latch)) => (DecisionKind::Block, vec![latch_reason(latch)]),
        (Some(_), None) => {
            let reason = Reason::of_launch(ReasonCode::Ended, "the launch has ended, and no latch is closed");
            (DecisionKind::Allow, vec![reason])
        }
        (None, None) => {
            let reason =
                Reason::of_launch(ReasonCode::NoLaunch, "the target has no launch, and no latch is closed");
            (DecisionKind::Allow, vec![reason])
        }
    }
}

/// The id in a text, or an error that names the field.
pub(crate) fn parse_id(field: &str, text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|_| Error::field(field, format!("must be an id such as {}", Uuid::nil())))
}
