//! One simulated launch under the guard: the same judgement and plan, look after look, as in service.

use portcullis::analysis::decision::Judgement;
use portcullis::analysis::judge::judge;
use portcullis::analysis::measurement::Measurement;
use portcullis::analysis::plan::{Action, plan};
use portcullis::domain::launch::{CONTROL, Launch, TREATMENT};
use portcullis::domain::metric::Direction;
use portcullis::domain::time::Timestamp;
use portcullis::stats::e_process::{Test, epoch_evidence};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::world::{Design, World, at, begin};

/// How a launch ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    /// Units of the treatment when the guard rolled it back; none where it did not.
    pub(crate) rolled_back: Option<u64>,
    /// The same of the test that knows the effect.
    pub(crate) by_known_effect: Option<u64>,
    /// Units of the treatment when the launch ended or was no longer watched.
    pub(crate) units: u64,
}

/// Watches a launch until the guard rolls it back, or to its last look. Where the effect is `known`, the test that knows it
/// runs on the same units, and the launch is watched until both have decided.
pub(crate) fn watch(design: &Design, known: bool, seed: u64) -> Ended {
    let mut random = StdRng::seed_from_u64(seed);
    let mut launch = begin(design);
    let mut world = World::new(design);
    let mut ended = Ended::default();
    for look in (1..).take(design.arrivals.len()) {
        let now = at(look);
        world.go_on(&launch, look, &mut random);
        let measurement = world.measure(&launch, now, false);
        ended.units = treated(&measurement);
        if known && ended.by_known_effect.is_none() && known_effect_shows(design, &measurement) {
            ended.by_known_effect = Some(ended.units);
        }
        if ended.rolled_back.is_none() && rolls_back(&mut launch, &world, &measurement, now) {
            ended.rolled_back = Some(ended.units);
        }
        if ended.rolled_back.is_some() && (!known || ended.by_known_effect.is_some()) {
            break;
        }
        world.keep(now);
    }
    ended
}

/// One look of the guard, and what it does. Buckets can only keep it from rolling back, so they are brought along only when
/// it would.
fn rolls_back(launch: &mut Launch, world: &World<'_>, measurement: &Measurement, now: Timestamp) -> bool {
    let look = |measurement: &Measurement| -> (Judgement, Action) {
        let judgement = judge(launch, Some(measurement), now);
        let action = plan(launch, &judgement, None, now).action;
        (judgement, action)
    };
    let (mut judgement, mut action) = look(measurement);
    if matches!(action, Action::RollBack | Action::StopArms(_)) {
        (judgement, action) = look(&world.measure(launch, now, true));
    }
    judgement.note_in(launch);
    match action {
        Action::RollBack | Action::StopArms(_) => true,
        Action::Advance => {
            launch.advance(now);
            false
        }
        Action::None | Action::Complete => false,
    }
}

fn treated(measurement: &Measurement) -> u64 {
    measurement.units.iter().filter(|row| row.arm == TREATMENT).map(|row| row.units).sum()
}

/// Wald's test of no effect against the true one: δS − δ²I/2 ≥ ln 1/alpha.
fn known_effect_shows(design: &Design, measurement: &Measurement) -> bool {
    let row = |arm| measurement.row("guardrail_0", (1, 0), arm).map(|row| row.moments);
    let Some((control, treatment)) = row(CONTROL).zip(row(TREATMENT)) else {
        return false;
    };
    let (test, scale) = (Test::Harm(0.0), design.kind.value());
    let found = epoch_evidence(&control, &treatment, Direction::HigherIsBetter, test, scale);
    found.is_ok_and(|found| {
        design.drop * found.score - design.drop * design.drop * found.information / 2.0
            >= -portcullis::domain::launch::ALPHA.ln()
    })
}
