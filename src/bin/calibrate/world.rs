//! One simulated launch: units come, are dealt to arms, do things, and are measured as the guard measures them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use portcullis::analysis::measurement::{ArmMoments, ArmUnits, KEPT_BUCKETS, Measurement, Past};
use portcullis::domain::launch::{
    CONTROL, Launch, LaunchId, LaunchPlan, PinnedMetric, Step, TREATMENT, Target,
};
use portcullis::domain::metric::{GUARDRAIL_TAG, Metric};
use portcullis::domain::time::Timestamp;
use rand::rngs::SmallRng;
use uuid::Uuid;

use crate::outcomes::{Kind, Source, Sums, binomial};

/// Milliseconds of a tick, and so of one bucket of event time.
pub(crate) const TICK_MS: i64 = 10_000;
/// Correlation of any two guardrails of one unit.
const CORRELATION: f64 = 0.3;

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    pub(crate) kind: Kind,
    pub(crate) guardrails: usize,
    /// Steps of the ramp: share in percent, and ticks after which the next one is taken.
    pub(crate) steps: Vec<(f64, u32)>,
    /// New units by tick.
    pub(crate) arrivals: Vec<u64>,
    /// The guard looks every so many ticks.
    pub(crate) ticks_a_look: i64,
    /// Share by which the treatment is worse, from the beginning on.
    pub(crate) drop: f64,
    /// Share by which the baseline falls with each step.
    pub(crate) drift: f64,
    /// Mean delay of what a unit does, in ticks; none: at once.
    pub(crate) delay: Option<f64>,
}

/// The launch that a design is of.
pub(crate) fn begin(design: &Design) -> Launch {
    let metric = |index: usize| Metric {
        tags: vec![GUARDRAIL_TAG.to_owned()],
        ..Metric::of(&format!("guardrail_{index}"), design.kind.metric_kind(), "done")
    };
    let pin = |metric| PinnedMetric { metric, revision: 1, scale: None };
    let step = |(percentage, ticks): &(f64, u32)| Step {
        min_duration_ms: i64::from(*ticks) * TICK_MS,
        ..Step::at_once(*percentage)
    };
    let plan = LaunchPlan {
        id: LaunchId(Uuid::nil()),
        target: Target::GateRule { gate: "simulated".to_owned(), rule: "everyone".to_owned() },
        unit_type: "user_id".to_owned(),
        steps: design.steps.iter().map(step).collect(),
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: (0..design.guardrails).map(metric).map(pin).collect(),
        rollback_percentage: 0.0,
        principal: "calibration".to_owned(),
    };
    Launch::begin(plan, at(0))
}

/// The end of a tick, from 1.
pub(crate) fn at(tick: i64) -> Timestamp {
    Timestamp(tick * TICK_MS)
}

/// Units of one epoch that share an arm, and whether that arm is theirs whatever step comes.
struct Group {
    epoch: u32,
    treated: bool,
    settled: bool,
    /// Units that have not done yet what they will do.
    idle: u64,
}

/// What a group did under one guardrail: while its epoch lasted, and until now.
#[derive(Clone, Copy)]
struct Did {
    within: Sums,
    so_far: Sums,
}

/// The units of one simulated launch.
pub(crate) struct World<'d> {
    design: &'d Design,
    groups: Vec<Group>,
    /// By group, and in it by guardrail.
    did: Vec<Did>,
    /// The same after the latest ticks, oldest first.
    past: VecDeque<(Timestamp, Vec<Did>)>,
    /// Of control and treatment, by number of the epoch.
    sources: Vec<[Source; 2]>,
}

impl<'d> World<'d> {
    pub(crate) fn new(design: &'d Design) -> Self {
        let of_epoch = |epoch: usize| {
            let baseline = (1.0 - design.drift).powi(i32::try_from(epoch).unwrap_or(i32::MAX));
            [baseline, baseline * (1.0 - design.drop)].map(|factor| Source::new(design.kind, factor))
        };
        let sources = (0..design.steps.len()).map(of_epoch).collect();
        let past = VecDeque::from([(at(0), Vec::new())]);
        Self { design, groups: Vec::new(), did: Vec::new(), past, sources }
    }

    /// The units of one tick come, and do what they do.
    pub(crate) fn go_on(&mut self, launch: &Launch, tick: i64, random: &mut SmallRng) {
        let Some(epoch) = launch.epoch() else {
            return;
        };
        let index = usize::try_from(tick - 1).unwrap_or(usize::MAX);
        let arrivals = self.design.arrivals.get(index).copied().unwrap_or_default();
        let treated = binomial(random, arrivals, epoch.percentage / 100.0);
        let untreated = arrivals - treated;
        let settled = binomial(random, untreated, (100.0 - epoch.ceiling) / (100.0 - epoch.percentage));
        for (units, is_treated, is_settled) in
            [(treated, true, true), (settled, false, true), (untreated - settled, false, false)]
        {
            self.arrive(epoch.number, is_treated, is_settled, units);
        }
        let done_in_a_tick = self.design.delay.map_or(1.0, |mean| 1.0 - (-1.0 / mean).exp());
        let guardrails = self.design.guardrails.max(1);
        for (group, did) in self.groups.iter_mut().zip(self.did.chunks_mut(guardrails)) {
            let doing = binomial(random, group.idle, done_in_a_tick);
            group.idle -= doing;
            let sources = usize::try_from(group.epoch - 1).ok().and_then(|epoch| self.sources.get(epoch));
            if let Some([control, treatment]) = sources.filter(|_| doing > 0) {
                let source = if group.treated { treatment } else { control };
                act(did, source, doing, group.epoch == epoch.number, random);
            }
        }
    }

    fn arrive(&mut self, epoch: u32, treated: bool, settled: bool, units: u64) {
        if units == 0 {
            return;
        }
        let same =
            |group: &Group| group.epoch == epoch && group.treated == treated && group.settled == settled;
        let guardrails = self.design.guardrails;
        let place = self.groups.iter().position(same).unwrap_or_else(|| {
            self.groups.push(Group { epoch, treated, settled, idle: 0 });
            let nothing = Did { within: Sums::default(), so_far: Sums::default() };
            self.did.extend(std::iter::repeat_n(nothing, guardrails));
            self.groups.len() - 1
        });
        if let Some(group) = self.groups.get_mut(place) {
            group.idle += units;
        }
        for did in self.did.iter_mut().skip(place * guardrails).take(guardrails) {
            did.within.add(&Sums::idle(units));
            did.so_far.add(&Sums::idle(units));
        }
    }

    /// Keeps how things stand, as the end of a bucket.
    pub(crate) fn keep(&mut self, now: Timestamp) {
        let most = usize::try_from(KEPT_BUCKETS).unwrap_or(usize::MAX);
        // The oldest one's place is taken by the latest.
        let oldest = if self.past.len() > most { self.past.pop_front() } else { None };
        let mut kept = oldest.map(|(_, kept)| kept).unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(&self.did);
        self.past.push_back((now, kept));
    }

    /// What the guard measures now; with the kept buckets or without.
    pub(crate) fn measure(&self, launch: &Launch, now: Timestamp, with_buckets: bool) -> Measurement {
        let arms = [(CONTROL, false), (TREATMENT, true)];
        let units = |epoch: u32, (arm, treated): (&str, bool)| {
            let (_, so_far) = self.sum(&self.did, 0, epoch, treated, |_| true);
            ArmUnits { epoch, arm: arm.to_owned(), units: so_far.units }
        };
        let epochs = || launch.epochs.iter().map(|epoch| epoch.number);
        let row = |guardrail: usize, epoch: u32, (arm, treated): (&str, bool)| {
            let of = |did: &[Did]| {
                let (moments, _) = self.sum(did, guardrail, epoch, treated, |_| true);
                let (_, settled) = self.sum(did, guardrail, epoch, treated, |group| group.settled);
                (moments.outcome(self.design.kind), settled.outcome(self.design.kind))
            };
            let past = |(at, did): &(Timestamp, Vec<Did>)| {
                let (moments, settled) = of(did);
                Past { at: *at, moments, settled }
            };
            let past = if with_buckets { self.past.iter().map(past).collect() } else { Vec::new() };
            let (moments, settled) = of(&self.did);
            ArmMoments { epoch, week: 0, arm: arm.to_owned(), moments, settled, past }
        };
        let rows = |guardrail: usize| {
            epochs().flat_map(|epoch| arms.map(|arm| row(guardrail, epoch, arm))).collect::<Vec<_>>()
        };
        let metrics = launch.metrics.iter().enumerate();
        Measurement {
            as_of: now,
            watermark: now,
            units: epochs().flat_map(|epoch| arms.map(|arm| units(epoch, arm))).collect(),
            shares: BTreeMap::new(),
            kept_from: if with_buckets { self.past.front().map(|(at, _)| *at) } else { None },
            stripped: BTreeSet::new(),
            metrics: metrics.map(|(index, pinned)| (pinned.metric.key.clone(), rows(index))).collect(),
            ..Measurement::default()
        }
    }

    /// Within the epoch and until then, what an arm of an epoch did under a guardrail, in the groups that count.
    fn sum(
        &self,
        did: &[Did],
        guardrail: usize,
        epoch: u32,
        treated: bool,
        counts: impl Fn(&Group) -> bool,
    ) -> (Sums, Sums) {
        let (mut within, mut so_far) = (Sums::default(), Sums::default());
        for (group, did) in self.groups.iter().zip(did.chunks(self.design.guardrails.max(1))) {
            if let Some(did) = did.get(guardrail)
                && group.epoch == epoch
                && group.treated == treated
                && counts(group)
            {
                within.add(&did.within);
                so_far.add(&did.so_far);
            }
        }
        (within, so_far)
    }
}

/// Units do what they do, under every guardrail. A share of them does the same under all, which gives the guardrails
/// exactly their correlation.
fn act(did: &mut [Did], source: &Source, units: u64, in_epoch: bool, random: &mut SmallRng) {
    let alike = if did.len() > 1 { binomial(random, units, CORRELATION) } else { 0 };
    let same = source.draw(random, alike);
    for did in did {
        let mut done = source.draw(random, units - alike);
        done.add(&same);
        did.so_far.add(&done);
        if in_epoch {
            did.within.add(&done);
        }
    }
}
