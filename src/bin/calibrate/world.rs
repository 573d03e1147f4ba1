//! One simulated launch: units come, are dealt to arms, do things, and are measured as the guard measures them.

use std::collections::{BTreeMap, VecDeque};

use portcullis::analysis::measurement::{ArmMoments, ArmUnits, KEPT_BUCKETS, Measurement, Past};
use portcullis::domain::launch::{
    CONTROL, Launch, LaunchId, LaunchPlan, PinnedMetric, Step, TREATMENT, Target,
};
use portcullis::domain::metric::{
    DEFAULT_FRESHNESS_MS, DEFAULT_MIN_UNITS, DEFAULT_SHIP_MARGIN, Direction, GUARDRAIL_TAG, Metric,
};
use portcullis::domain::time::Timestamp;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::outcomes::{Kind, Source, Sums, binomial};

/// Milliseconds from one look to the next, and so of one bucket.
pub(crate) const LOOK_MS: i64 = 10_000;
/// Correlation of any two guardrails of one unit.
const CORRELATION: f64 = 0.3;

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    pub(crate) kind: Kind,
    pub(crate) guardrails: usize,
    /// Steps of the ramp: share in percent, and looks after which the next one is taken.
    pub(crate) steps: Vec<(f64, u32)>,
    /// New units by look.
    pub(crate) arrivals: Vec<u64>,
    /// Share by which the treatment is worse, from the beginning on.
    pub(crate) drop: f64,
    /// Share by which the baseline falls with each step.
    pub(crate) drift: f64,
    /// Mean delay of what a unit does, in looks; none: at once.
    pub(crate) delay: Option<f64>,
}

/// The launch that a design is of.
pub(crate) fn begin(design: &Design) -> Launch {
    let metric = |index: usize| Metric {
        key: format!("guardrail_{index}"),
        description: String::new(),
        owner: String::new(),
        tags: vec![GUARDRAIL_TAG.to_owned()],
        kind: design.kind.metric_kind(),
        event: "done".to_owned(),
        direction: Direction::HigherIsBetter,
        margin: 0.0,
        ship_margin: DEFAULT_SHIP_MARGIN,
        weight: 1.0,
        window_ms: None,
        freshness_ms: DEFAULT_FRESHNESS_MS,
        min_units: DEFAULT_MIN_UNITS,
    };
    let pin = |metric| PinnedMetric { metric, revision: 1, scale: None };
    let step = |(percentage, looks): &(f64, u32)| Step {
        min_duration_ms: i64::from(*looks) * LOOK_MS,
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

/// The time of a look, from 1.
pub(crate) fn at(look: i64) -> Timestamp {
    Timestamp(look * LOOK_MS)
}

/// Units of one epoch that share an arm, and whether that arm is theirs whatever step comes.
struct Group {
    epoch: u32,
    treated: bool,
    settled: bool,
    /// Units that have not done yet what they will do.
    idle: u64,
    /// What they did, by guardrail: while their epoch lasted, and until now.
    within: Vec<Sums>,
    so_far: Vec<Sums>,
}

/// What a group did, by guardrail: while its epoch lasted, and until then.
type Views = (Vec<Sums>, Vec<Sums>);

/// The units of one simulated launch.
pub(crate) struct World<'d> {
    design: &'d Design,
    groups: Vec<Group>,
    /// How the groups stood after the latest looks, oldest first: by group and guardrail.
    past: VecDeque<(Timestamp, Vec<Views>)>,
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
        Self { design, groups: Vec::new(), past: VecDeque::from([(at(0), Vec::new())]), sources }
    }

    /// The units of one look come, and do what they do.
    pub(crate) fn go_on(&mut self, launch: &Launch, look: i64, random: &mut StdRng) {
        let Some(epoch) = launch.epoch() else {
            return;
        };
        let index = usize::try_from(look - 1).unwrap_or(usize::MAX);
        let arrivals = self.design.arrivals.get(index).copied().unwrap_or_default();
        let treated = binomial(random, arrivals, epoch.percentage / 100.0);
        let untreated = arrivals - treated;
        let settled = binomial(random, untreated, (100.0 - epoch.ceiling) / (100.0 - epoch.percentage));
        for (units, is_treated, is_settled) in
            [(treated, true, true), (settled, false, true), (untreated - settled, false, false)]
        {
            self.arrive(epoch.number, is_treated, is_settled, units);
        }
        let done_in_a_look = self.design.delay.map_or(1.0, |mean| 1.0 - (-1.0 / mean).exp());
        for group in &mut self.groups {
            let doing = binomial(random, group.idle, done_in_a_look);
            group.idle -= doing;
            let source = usize::try_from(group.epoch - 1).ok().and_then(|epoch| self.sources.get(epoch));
            let Some(source) =
                source.map(|[control, treatment]| if group.treated { treatment } else { control })
            else {
                continue;
            };
            group.act(source, doing, group.epoch == epoch.number, random);
        }
    }

    fn arrive(&mut self, epoch: u32, treated: bool, settled: bool, units: u64) {
        let known = self
            .groups
            .iter_mut()
            .find(|group| group.epoch == epoch && group.treated == treated && group.settled == settled);
        let nothing = || vec![Sums::default(); self.design.guardrails];
        let group = match known {
            Some(group) => group,
            None => {
                let (within, so_far) = (nothing(), nothing());
                self.groups.push(Group { epoch, treated, settled, idle: 0, within, so_far });
                let Some(group) = self.groups.last_mut() else {
                    return;
                };
                group
            }
        };
        group.idle += units;
        for sums in group.within.iter_mut().chain(&mut group.so_far) {
            sums.add(&Sums::idle(units));
        }
    }

    /// Keeps how things stand, as the end of a bucket.
    pub(crate) fn keep(&mut self, now: Timestamp) {
        let kept = self.groups.iter().map(|group| (group.within.clone(), group.so_far.clone())).collect();
        self.past.push_back((now, kept));
        let most = usize::try_from(KEPT_BUCKETS).unwrap_or(usize::MAX);
        while self.past.len() > most + 1 {
            self.past.pop_front();
        }
    }

    /// What the guard measures now; with the kept buckets or without.
    pub(crate) fn measure(&self, launch: &Launch, now: Timestamp, with_buckets: bool) -> Measurement {
        let arms = [(CONTROL, false), (TREATMENT, true)];
        let mut units = Vec::new();
        for epoch in &launch.epochs {
            units.extend(arms.map(|(arm, treated)| {
                let groups = self.groups.iter().filter(|group| group.epoch == epoch.number);
                let of_arm = groups.filter(|group| group.treated == treated);
                let count = of_arm.filter_map(|group| group.so_far.first()).map(|sums| sums.units).sum();
                ArmUnits { epoch: epoch.number, arm: arm.to_owned(), units: count }
            }));
        }
        let rows = |guardrail: usize| {
            let row = |epoch: u32, (arm, treated): (&str, bool)| {
                let past = if with_buckets { self.pasts(guardrail, epoch, treated) } else { Vec::new() };
                let now = |group: usize| {
                    let group = self.groups.get(group)?;
                    Some((*group.within.get(guardrail)?, *group.so_far.get(guardrail)?))
                };
                let (moments, settled) = self.sum(epoch, treated, now);
                ArmMoments {
                    epoch,
                    week: 0,
                    arm: arm.to_owned(),
                    moments: moments.outcome(self.design.kind),
                    settled: settled.outcome(self.design.kind),
                    past,
                }
            };
            let epochs = launch.epochs.iter();
            epochs.flat_map(|epoch| arms.map(|arm| row(epoch.number, arm))).collect()
        };
        let metrics = launch.metrics.iter().enumerate();
        Measurement {
            as_of: now,
            watermark: now,
            units,
            shares: BTreeMap::new(),
            kept_from: if with_buckets { self.past.front().map(|(at, _)| *at) } else { None },
            metrics: metrics.map(|(index, pinned)| (pinned.metric.key.clone(), rows(index))).collect(),
        }
    }

    fn pasts(&self, guardrail: usize, epoch: u32, treated: bool) -> Vec<Past> {
        let past = |(at, kept): &(Timestamp, Vec<Views>)| {
            let then = |group: usize| {
                let (within, so_far) = kept.get(group)?;
                Some((*within.get(guardrail)?, *so_far.get(guardrail)?))
            };
            let (moments, settled) = self.sum(epoch, treated, then);
            let outcome = |sums: Sums| sums.outcome(self.design.kind);
            Past { at: *at, moments: outcome(moments), settled: outcome(settled) }
        };
        self.past.iter().map(past).collect()
    }

    /// Both views of an arm in an epoch, from what each group did.
    fn sum(&self, epoch: u32, treated: bool, did: impl Fn(usize) -> Option<(Sums, Sums)>) -> (Sums, Sums) {
        let (mut within, mut settled) = (Sums::default(), Sums::default());
        for (index, group) in self.groups.iter().enumerate() {
            let Some((of_epoch, so_far)) =
                did(index).filter(|_| group.epoch == epoch && group.treated == treated)
            else {
                continue;
            };
            within.add(&of_epoch);
            if group.settled {
                settled.add(&so_far);
            }
        }
        (within, settled)
    }
}

impl Group {
    /// Units of the group do what they do, under every guardrail. A share of them does the same under all, which gives the
    /// guardrails exactly their correlation.
    fn act(&mut self, source: &Source, units: u64, in_epoch: bool, random: &mut StdRng) {
        if units == 0 {
            return;
        }
        let alike = if self.so_far.len() > 1 { binomial(random, units, CORRELATION) } else { 0 };
        let same = source.draw(random, alike);
        for (within, so_far) in self.within.iter_mut().zip(&mut self.so_far) {
            let mut done = source.draw(random, units - alike);
            done.add(&same);
            so_far.add(&done);
            if in_epoch {
                within.add(&done);
            }
        }
    }
}
