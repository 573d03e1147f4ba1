//! One metric in one arm beside the control: what was measured of both, in the stretches that evidence is taken from.

use super::decision::{Bucket, Compared, EpochMoments, Judgement, MetricVerdict, PastMoments};
use super::measurement::{ArmMoments, LAST_WEEK, Measurement, Past, WEEK_MS};
use crate::domain::launch::{Epoch, Launch, PinnedMetric};
use crate::domain::time::Timestamp;
use crate::stats::outcome::{Counts, Outcome};

/// One metric in one arm beside the control.
#[derive(Clone, Debug)]
pub(super) struct Comparison<'l> {
    /// The metric.
    pub pinned: &'l PinnedMetric,
    /// Name of the arm.
    pub arm: &'l str,
    /// What effects are measured by; none before the burn-in.
    pub scale: Option<f64>,
    /// Event time up to which everything is counted.
    pub as_of: Timestamp,
    /// Weeks of epochs, oldest first, those without units as well: their order is by the clock alone.
    pub stretches: Vec<Stretch>,
}

/// A week of an epoch, in which arms were dealt with constant shares.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// What was measured.
    pub moments: EpochMoments,
    /// Share of the treatment among the units of both arms; none where it is not known.
    pub share: Option<f64>,
    /// The same among the units whose arm no planned step changes.
    pub settled_share: Option<f64>,
}

/// Two views of one launch, each an e-process of its own: what units did within the epoch of their first exposure, and
/// what those did so far whose arm no planned step changes. The first has all units and forgets those that come back, the
/// second keeps them. Their mean is an e-process too. In a launch of one step both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Within the epoch.
    Within,
    /// So far, of settled units.
    Settled,
}

impl View {
    /// What the view shows.
    pub(super) fn of(self, moments: &EpochMoments) -> &Compared {
        match self {
            Self::Within => &moments.within,
            Self::Settled => &moments.settled,
        }
    }

    /// The share of the treatment among its units.
    pub(super) fn share(self, stretch: &Stretch) -> Option<f64> {
        match self {
            Self::Within => stretch.share,
            Self::Settled => stretch.settled_share,
        }
    }
}

/// How much one view shows of control and treatment.
pub(super) fn counts<'m>(moments: impl Iterator<Item = &'m EpochMoments>, view: View) -> [Counts; 2] {
    moments.map(|moments| view.of(moments)).fold(<[Counts; 2]>::default(), |[control, treatment], more| {
        [control + more.control.counts(), treatment + more.treatment.counts()]
    })
}

/// One view's sums over all stretches, for scale and messages: evidence is never taken from pooled sums.
pub(super) fn total<'m>(moments: impl Iterator<Item = &'m EpochMoments>, view: View) -> Compared {
    moments.map(|moments| *view.of(moments)).fold(Compared::default(), Compared::merged)
}

impl<'l> Comparison<'l> {
    /// Compares an arm with the control as measured, of all units or of those of one segment.
    pub(super) fn new(
        launch: &'l Launch,
        pinned: &'l PinnedMetric,
        arm: &'l str,
        segment: Option<&str>,
        measurement: Option<&Measurement>,
    ) -> Self {
        let as_of = measurement.map_or(launch.started_at, |found| found.as_of);
        let of_epoch = |epoch: &'l Epoch| {
            let share = share(launch, epoch, arm, measurement);
            let settled_share = if launch.target.splits_by_share() {
                Some(epoch.percentage / (epoch.percentage + 100.0 - epoch.ceiling))
            } else {
                share
            };
            let of_week = move |week| {
                let place = (epoch.number, week);
                let (measured, key) = (measurement, &pinned.metric.key);
                let row = |arm| match segment {
                    None => measured?.row(key, place, arm),
                    Some(segment) => measured?.row_of_segment(segment, key, place, arm),
                };
                Stretch { moments: compare(place, row(launch.control()), row(arm)), share, settled_share }
            };
            (0..=weeks(epoch, as_of)).map(of_week)
        };
        let stretches = launch.epochs.iter().flat_map(of_epoch).collect();
        Self { pinned, arm, scale: None, as_of, stretches }
    }

    /// The comparison behind a recorded verdict, without the arms' shares.
    pub(super) fn of_verdict(
        launch: &'l Launch,
        judgement: &Judgement,
        verdict: &'l MetricVerdict,
    ) -> Option<Self> {
        let pinned = launch.metrics.iter().find(|pinned| pinned.metric.key == verdict.metric)?;
        let stretch =
            |moments: &EpochMoments| Stretch { moments: moments.clone(), share: None, settled_share: None };
        let stretches = verdict.epochs.iter().map(stretch).collect();
        let (scale, as_of) = (pinned.scale.or(verdict.scale), judgement.as_of?);
        Some(Self { pinned, arm: &verdict.arm, scale, as_of, stretches })
    }

    /// What was measured, oldest first.
    pub(super) fn moments(&self) -> impl DoubleEndedIterator<Item = &EpochMoments> {
        self.stretches.iter().map(|stretch| &stretch.moments)
    }

    /// The views that differ.
    pub(super) fn views(&self) -> &'static [View] {
        let same = self.stretches.iter().all(|stretch| {
            stretch.moments.within == stretch.moments.settled && stretch.share == stretch.settled_share
        });
        if same { &[View::Within] } else { &[View::Within, View::Settled] }
    }

    /// The comparison without what came in a bucket.
    pub(super) fn without(&self, bucket: &Bucket) -> Self {
        let without = |stretch: &Stretch| {
            let moments = &stretch.moments;
            let (before, after) = (self.as_of(moments, bucket.from), self.as_of(moments, bucket.to));
            let moments = EpochMoments {
                within: moments.within.without(&before.0, &after.0),
                settled: moments.settled.without(&before.1, &after.1),
                past: Vec::new(),
                ..*moments
            };
            Stretch { moments, ..*stretch }
        };
        Self { stretches: self.stretches.iter().map(without).collect(), ..*self }
    }

    /// Both views as they were at a moment.
    fn as_of(&self, moments: &EpochMoments, at: Timestamp) -> (Compared, Compared) {
        if at >= self.as_of {
            return (moments.within, moments.settled);
        }
        let past = moments.past.iter().take_while(|past| past.at <= at).last();
        past.map_or_else(Default::default, |past| (past.within, past.settled))
    }
}

/// Share of an arm among the units of it and the control, where it is known.
fn share(launch: &Launch, epoch: &Epoch, arm: &str, measurement: Option<&Measurement>) -> Option<f64> {
    let of_arm = |arm: &str| designed_share(launch, epoch, arm, measurement);
    let (control, treatment) = (of_arm(launch.control())?, of_arm(arm)?);
    Some(treatment / (control + treatment))
}

/// The share that an arm was to get in an epoch, in any unit that all arms of the launch have in common; none where it is
/// not known.
pub(super) fn designed_share(
    launch: &Launch,
    epoch: &Epoch,
    arm: &str,
    measurement: Option<&Measurement>,
) -> Option<f64> {
    if !launch.target.splits_by_share() {
        return measurement?.shares.get(arm).copied();
    }
    Some(if arm == launch.control() { 100.0 - epoch.percentage } else { epoch.percentage })
}

/// Number of the last week of an epoch, from 0.
pub(super) fn weeks(epoch: &Epoch, as_of: Timestamp) -> u32 {
    let end = epoch.ended_at.map_or(as_of, |end| end.min(as_of));
    let last = end.ms_since(epoch.started_at).saturating_sub(1).max(0) / WEEK_MS;
    u32::try_from(last).map_or(LAST_WEEK, |last| last.min(LAST_WEEK))
}

/// Both arms of one week side by side.
fn compare(
    (epoch, week): (u32, u32),
    control: Option<&ArmMoments>,
    treatment: Option<&ArmMoments>,
) -> EpochMoments {
    let compared = |pick: fn(&ArmMoments) -> Outcome| Compared {
        control: control.map(pick).unwrap_or_default(),
        treatment: treatment.map(pick).unwrap_or_default(),
    };
    let pasts = |arm: Option<&'_ ArmMoments>| arm.map(|arm| arm.past.clone()).unwrap_or_default();
    let (control_past, treatment_past) = (pasts(control), pasts(treatment));
    let mut moments: Vec<Timestamp> =
        control_past.iter().chain(&treatment_past).map(|past| past.at).collect();
    moments.sort_unstable();
    moments.dedup();
    let past = moments.into_iter().map(|at| {
        let [control, treatment] = [&control_past, &treatment_past].map(|pasts| latest(pasts, at));
        let compared = |pick: fn(&Past) -> Outcome| Compared {
            control: control.map(pick).unwrap_or_default(),
            treatment: treatment.map(pick).unwrap_or_default(),
        };
        PastMoments { at, within: compared(|past| past.moments), settled: compared(|past| past.settled) }
    });
    let mut past: Vec<PastMoments> = past.collect();
    // Only what changed something in this comparison, from nothing on: the control's moments are shared with other arms, and
    // a record must not depend on when those got theirs.
    let mut known = <[Compared; 2]>::default();
    past.retain(|past| {
        std::mem::replace(&mut known, [past.within, past.settled]) != [past.within, past.settled]
    });
    EpochMoments {
        epoch,
        week,
        within: compared(|row| row.moments),
        settled: compared(|row| row.settled),
        past,
    }
}

/// The latest of them up to a moment.
fn latest(pasts: &[Past], at: Timestamp) -> Option<&Past> {
    pasts.iter().take_while(|past| past.at <= at).last()
}
