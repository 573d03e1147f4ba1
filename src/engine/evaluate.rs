//! A snapshot and a user in, a decision with its reason out. Total: it always decides.

use std::collections::BTreeMap;

use super::bucketing;
use super::condition::kept_attributes;
use super::form::{self, SEGMENT_PREFIX, SpecKind, Watch, WatchedArms};
use super::reason::Reason;
use super::snapshot::{Rule, Snapshot, Spec};
use crate::domain::event::{Assignment, Exposure};
use crate::domain::launch::{CONTROL, LaunchId, TREATMENT};
use crate::domain::parameters::Parameters;
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// Rule id where an entity is switched off.
pub const DISABLED_RULE: &str = "disabled";
/// Rule id where no rule matched.
pub const DEFAULT_RULE: &str = "default";
/// Rule id where the user has no id of the unit type.
pub const MISSING_UNIT_RULE: &str = "missing_unit";

/// Which kind of entity a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A gate, a segment by its name, or a holdout.
    Gate,
    /// A dynamic config.
    Config,
    /// An experiment.
    Experiment,
    /// A layer.
    Layer,
}

/// What a user gets, and why.
#[derive(Debug, PartialEq)]
pub struct Decision<'s> {
    /// Yes from a gate; the rule's value, not the default one, from the others.
    pub passed: bool,
    /// What the user gets; empty from a gate.
    pub value: &'s Parameters,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, or `default`, `disabled`, `missing_unit`; empty for an unknown key.
    pub rule_id: &'s str,
    /// The group the user is in.
    pub group: Option<&'s str>,
    /// The group is one that a running experiment compares.
    pub is_in_experiment: bool,
    /// The experiment of a layer that decided.
    pub experiment: Option<&'s str>,
    /// What to record, unless the caller asks not to.
    pub exposure: Option<Exposed<'s>>,
    /// The gates, holdouts and segments that were asked on the way, each once, in the order they were decided.
    pub nested: Vec<Nested<'s>>,
    /// How many of the nested ones were asked before a layer's experiment was.
    pub own_nested: usize,
}

/// A gate or holdout that another entity's conditions asked.
#[derive(Debug, PartialEq)]
pub struct Nested<'s> {
    /// Its name.
    pub gate: &'s str,
    /// What it said.
    pub passed: bool,
    /// The rule that decided.
    pub rule_id: &'s str,
    /// What to record of it.
    pub exposure: Option<Exposed<'s>>,
}

/// That a unit was seen, and in which arm of which launch.
#[derive(Debug, PartialEq, Eq)]
pub struct Exposed<'s> {
    /// Unit type of the unit.
    pub unit_type: &'s str,
    /// When.
    pub at: Timestamp,
    /// The arm; none where nothing is being launched.
    pub arm: Option<ExposedArm<'s>>,
}

/// An arm of a launch.
#[derive(Debug, PartialEq, Eq)]
pub struct ExposedArm<'s> {
    /// The launch.
    pub launch: LaunchId,
    /// Number of its epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: &'s str,
    /// No planned step changes the unit's arm.
    pub settled: bool,
    /// The guard has turned the arm off, and the unit got the default.
    pub reverted: bool,
    /// Attributes of the user that the launch keeps with the exposure.
    pub segments: &'s [String],
}

impl Exposed<'_> {
    /// The record of this exposure for the user it was made for, with the user's values of the attributes that the launch
    /// keeps.
    #[must_use]
    pub fn record(&self, user: &User) -> Option<Exposure> {
        Some(Exposure {
            unit_type: self.unit_type.to_owned(),
            unit_id: user.unit(self.unit_type)?.to_owned(),
            at: self.at,
            assignment: self.arm.as_ref().map(|arm| Assignment {
                launch: arm.launch,
                epoch: arm.epoch,
                arm: arm.arm.to_owned(),
                settled: arm.settled,
                reverted: arm.reverted,
            }),
            attributes: kept_attributes(user, self.arm.as_ref().map_or(&[], |arm| arm.segments)),
        })
    }
}

impl Decision<'_> {
    /// Everything to record: the entity's own exposure, and those of launches on what it asked.
    pub fn exposures(&self) -> impl Iterator<Item = &Exposed<'_>> {
        let nested = self.nested.iter().filter_map(|nested| nested.exposure.as_ref());
        self.exposure.iter().chain(nested.filter(|exposed| exposed.arm.is_some()))
    }
}

/// Decides what a user gets from an entity.
#[must_use]
pub fn evaluate<'s>(
    snapshot: &'s Snapshot,
    entity: Entity,
    key: &str,
    user: &User,
    now: Timestamp,
) -> Decision<'s> {
    match snapshot.find(entity, key) {
        Some(spec) => {
            let mut asked = Asked::default();
            let decision = Call { snapshot, user, now }.decide(spec, &mut asked);
            Decision { nested: asked.nested, ..decision }
        }
        None => Decision { rule_id: "", ..nothing(Reason::UnknownKey) },
    }
}

impl Snapshot {
    pub(super) fn find(&self, entity: Entity, key: &str) -> Option<&Spec> {
        let place = match entity {
            Entity::Gate => self.gates.get(key),
            Entity::Config | Entity::Experiment => self.configs.get(key),
            Entity::Layer => self.layers.get(key),
        };
        let spec = self.specs.get(*place?)?;
        let fits = match entity {
            Entity::Config => spec.form.kind == SpecKind::Config,
            Entity::Experiment => spec.form.kind == SpecKind::Experiment,
            Entity::Gate | Entity::Layer => true,
        };
        fits.then_some(spec)
    }
}

const EMPTY: &Parameters = &Parameters::new();

/// A decision that gives nothing.
fn nothing<'s>(reason: Reason) -> Decision<'s> {
    Decision {
        passed: false,
        value: EMPTY,
        reason,
        rule_id: DEFAULT_RULE,
        group: None,
        is_in_experiment: false,
        experiment: None,
        exposure: None,
        nested: Vec::new(),
        own_nested: 0,
    }
}

/// One call: what is the same for everything that is asked on the way.
#[derive(Clone, Copy)]
pub(super) struct Call<'s, 'u> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) user: &'u User,
    pub(super) now: Timestamp,
}

/// What was asked in one call. Nothing is decided twice, however many ways lead to it.
#[derive(Default)]
pub(super) struct Asked<'s> {
    /// Whether gates, segments and holdouts pass, by place.
    answers: BTreeMap<usize, bool>,
    /// Those that are reported, in the order they were decided.
    nested: Vec<Nested<'s>>,
}

impl<'s> Call<'s, '_> {
    /// The first rule that matches decides. What was asked on the way is left in `asked`.
    fn decide(self, spec: &'s Spec, asked: &mut Asked<'s>) -> Decision<'s> {
        if !spec.form.enabled {
            return Decision { rule_id: DISABLED_RULE, ..fallback(spec, spec.fallback()) };
        }
        if spec.form.requires_unit && !spec.rules.is_empty() && spec.unit.of(self.user).is_none() {
            return missing_unit(spec, asked);
        }
        for (rule, form) in spec.rules.iter().zip(&spec.form.rules) {
            if self.matches(rule, asked) {
                return self.matched(spec, rule, form, asked);
            }
        }
        let exposure = Some(self.exposed(&spec.form.unit_type, None));
        Decision { exposure, own_nested: asked.nested.len(), ..fallback(spec, spec.fallback()) }
    }

    /// Whether all conditions hold. Gates are asked even after a condition failed, so that they are recorded.
    fn matches(self, rule: &'s Rule, asked: &mut Asked<'s>) -> bool {
        let mut holds = true;
        for condition in &rule.conditions {
            if holds || condition.is_nested() {
                holds &= condition.holds(self.user, self.now, |place| self.ask(place, asked));
            }
        }
        holds
    }

    /// Whether a gate, segment or holdout passes.
    pub(super) fn ask(self, place: usize, asked: &mut Asked<'s>) -> bool {
        if let Some(passed) = asked.answers.get(&place) {
            return *passed;
        }
        let Some(spec) = self.snapshot.specs.get(place) else {
            return false;
        };
        let Decision { passed, rule_id, exposure, .. } = self.decide(spec, asked);
        asked.answers.insert(place, passed);
        if !spec.name.starts_with(SEGMENT_PREFIX) {
            asked.nested.push(Nested { gate: &spec.name, passed, rule_id, exposure });
        }
        passed
    }

    fn matched(
        self,
        spec: &'s Spec,
        rule: &'s Rule,
        form: &'s form::Rule,
        asked: &mut Asked<'s>,
    ) -> Decision<'s> {
        let own_nested = asked.nested.len();
        if let Some(experiment) = rule.delegate.and_then(|place| self.snapshot.specs.get(place)) {
            let decision = self.decide(experiment, asked);
            return Decision { experiment: Some(&experiment.name), own_nested, ..decision };
        }
        if spec.form.requires_unit && rule.unit.of(self.user).is_none() {
            return missing_unit(spec, asked);
        }
        let (passed, arm) = self.draw(rule, form);
        Decision {
            passed,
            value: if passed { &form.value } else { &spec.form.default_value },
            reason: form.reason,
            rule_id: &form.id,
            group: form.group.as_deref(),
            is_in_experiment: form.is_experiment_group && passed,
            experiment: None,
            exposure: Some(self.exposed(&form.unit_type, arm)),
            nested: Vec::new(),
            own_nested,
        }
    }

    /// Whether the unit is within the rule's percentage, and its arm where a launch watches.
    fn draw(self, rule: &Rule, form: &'s form::Rule) -> (bool, Option<ExposedArm<'s>>) {
        let unit = rule.unit.of(self.user);
        let share_is_watched =
            form.watch.as_ref().is_some_and(|watch| !matches!(watch.arms, WatchedArms::Group { .. }));
        let is_drawn = form.percentage > 0.0 && form.percentage < 100.0;
        let part = (is_drawn || share_is_watched).then(|| rule.prefix.part(unit.unwrap_or_default()));
        let passed = match part {
            Some(part) if is_drawn => bucketing::is_within(part, form.percentage),
            _ => form.percentage >= 100.0,
        };
        // A unit without an id can not be told from others, and is in no arm.
        let watch = form.watch.as_ref().filter(|_| unit.is_some());
        (passed, watch.and_then(|watch| exposed_arm(watch, part.unwrap_or_default(), passed)))
    }

    fn exposed(self, unit_type: &'s str, arm: Option<ExposedArm<'s>>) -> Exposed<'s> {
        Exposed { unit_type, at: self.now, arm }
    }
}

/// A decision for a user whom no rule of an entity gives a value.
fn fallback(spec: &Spec, reason: Reason) -> Decision<'_> {
    Decision { value: &spec.form.default_value, ..nothing(reason) }
}

/// A decision for a user without an id of the unit type of an entity, or of the rule that matched.
fn missing_unit<'s>(spec: &'s Spec, asked: &Asked<'s>) -> Decision<'s> {
    let own_nested = asked.nested.len();
    Decision { rule_id: MISSING_UNIT_RULE, own_nested, ..fallback(spec, Reason::MissingUnit) }
}

/// The arm of a unit that a rule in force decided for; none where the launch does not compare it.
pub(super) fn exposed_arm(watch: &Watch, part: u64, passed: bool) -> Option<ExposedArm<'_>> {
    let (arm, settled, reverted) = match &watch.arms {
        WatchedArms::Group { arm, reverted } => (arm.as_str(), true, *reverted),
        WatchedArms::Released { held, .. } if bucketing::is_within(part, *held) => (CONTROL, true, false),
        WatchedArms::Released { until, reverted, .. } if bucketing::is_within(part, *until) => {
            (TREATMENT, true, *reverted)
        }
        WatchedArms::Released { .. } => return None,
        WatchedArms::Share { percentage, ceiling } => {
            let treated = bucketing::is_within(part, *percentage);
            let settled = treated || !bucketing::is_within(part, *ceiling);
            (if treated { TREATMENT } else { CONTROL }, settled, treated && !passed)
        }
    };
    Some(ExposedArm {
        launch: watch.launch,
        epoch: watch.epoch,
        arm,
        settled,
        reverted,
        segments: &watch.segments,
    })
}
