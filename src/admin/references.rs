//! What documents refer to: it is there, it is in use, and nothing refers to itself.

use super::documents::Administered;
use super::edit::Edit;
use crate::domain::catalogue::{Catalogue, Shelf};
use crate::domain::condition::{Condition, Operator, Subject};
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::rule::Rule;
use crate::domain::segment::Segment;
use crate::domain::stored::Stored;
use crate::domain::time::Timestamp;
use crate::domain::violation::Checks;
use crate::engine::form::segment_name;
use crate::engine::lower::lower;
use crate::engine::nesting::nesting_faults;
use crate::error::{Error, Result};
use crate::store::change::Write;

/// What is left to be checked once a change is complete: its steps may bring what others of them refer to.
#[derive(Debug, Default)]
pub(super) struct Pending {
    referring: Vec<Referring>,
    retired: Vec<String>,
    /// How many of both are of steps that are done.
    done: (usize, usize),
    /// The path of the document at hand, where it is not that of its kind.
    place: Option<String>,
}

/// A new or changed document that refers to others.
#[derive(Debug)]
struct Referring {
    /// Its name in the rule form, whichever of the two it is.
    names: [String; 2],
    /// Its conditions that refer, each with its path.
    conditions: Vec<(String, Condition)>,
    /// The document at the time when all its conditions are in use.
    in_full_use: Write,
}

impl Pending {
    /// Says where the next documents stand in the request; none is the path of their kind.
    pub(super) fn set_place(&mut self, place: Option<String>) {
        self.place = place;
    }

    /// What the conditions of a document refer to is to be there.
    pub(super) fn refers<T: Administered>(&mut self, document: &T, now: Timestamp) {
        let conditions = document.conditions().into_iter();
        let referring = conditions.filter(|(_, condition)| Referent::of(condition).is_some());
        let path = |path: String| match &self.place {
            Some(place) => format!("{place}{}", path.strip_prefix(T::KIND).unwrap_or(&path)),
            None => path,
        };
        let conditions: Vec<(String, Condition)> =
            referring.map(|(field, condition)| (path(field), condition.clone())).collect();
        if !conditions.is_empty() {
            let names = [document.key().to_owned(), segment_name(document.key())];
            let in_full_use = T::write(Stored::new(document.in_full_use(), now));
            self.referring.push(Referring { names, conditions, in_full_use });
        }
    }

    /// Ends a step.
    pub(super) fn next_step(&mut self) {
        self.done = (self.referring.len(), self.retired.len());
    }

    /// Forgets what the step has added.
    pub(super) fn undo_step(&mut self) {
        self.referring.truncate(self.done.0);
        self.retired.truncate(self.done.1);
    }

    /// Nothing is to refer to this any more.
    pub(super) fn retires(&mut self, referent: Referent<'_>) {
        self.retired.push(referent.name());
    }
}

/// Checks what documents refer to, in the configuration as it will be.
pub(super) fn check(edit: &Edit) -> Result<()> {
    let Pending { referring, retired, .. } = &edit.pending;
    if referring.is_empty() && retired.is_empty() {
        return Ok(());
    }
    let after = edit.after();
    refuse_referred(&after, retired)?;
    let mut checks = Checks::default();
    for (path, condition) in referring.iter().flat_map(|referring| &referring.conditions) {
        if let Some(referent) = Referent::of(condition) {
            referent.check(&mut checks, &after, &referent.field(path));
        }
    }
    checks.finish()?;
    if referring.is_empty() { Ok(()) } else { check_nesting(edit, after) }
}

fn check_nesting(edit: &Edit, mut after: Catalogue) -> Result<()> {
    let referring = &edit.pending.referring;
    // A draft's conditions are not served yet. They shall not be the ones that fail on the day of its start.
    for referring in referring {
        referring.in_full_use.apply_to(&mut after);
    }
    let ruleset = lower(&after);
    let faults = nesting_faults(&ruleset.gates);
    let known = if faults.is_empty() { faults.clone() } else { nesting_faults(&edit.ruleset().gates) };
    let new = faults.iter().filter(|(name, _)| !known.contains_key(*name));
    // The one that closes the cycle is named first, for its path begins and ends with itself.
    let is_own = |name: &str| referring.iter().any(|each| each.names.iter().any(|own| own == name));
    let Some((name, fault)) = new.min_by_key(|(name, _)| (!is_own(name), **name)) else {
        return Ok(());
    };
    let own = referring.iter().find(|each| each.names.iter().any(|own| own == name));
    let conditions = own.or(referring.first()).into_iter().flat_map(|referring| &referring.conditions);
    let fields: Vec<(Referent<'_>, String)> = conditions
        .filter_map(|(path, condition)| {
            Referent::of(condition).map(|referent| (referent, referent.field(path)))
        })
        .collect();
    let to_blame = fields.iter().find(|(referent, _)| faults.contains_key(referent.name().as_str()));
    let field = to_blame.or(fields.first()).map(|(_, field)| field.clone());
    Err(Error::field(field.unwrap_or_default(), format!("`{name}` {fault}")))
}

/// Refuses to take something out of use that others refer to.
fn refuse_referred(after: &Catalogue, retired: &[String]) -> Result<()> {
    for name in retired {
        let refers =
            |condition: &Condition| Referent::of(condition).is_some_and(|other| other.name() == *name);
        let referrers = referrers(after, refers);
        if !referrers.is_empty() {
            let referrers = referrers.join(", ");
            return Err(Error::WrongState(format!(
                "`{name}` is referred to by {referrers}; change these first"
            )));
        }
    }
    Ok(())
}

/// The documents in use that have such a condition, each with its kind.
pub(super) fn referrers(catalogue: &Catalogue, refers: impl Fn(&Condition) -> bool) -> Vec<String> {
    let mut found = of_kind::<Gate>(catalogue, &refers);
    found.extend(of_kind::<Segment>(catalogue, &refers));
    found.extend(of_kind::<Experiment>(catalogue, &refers));
    found.extend(of_kind::<DynamicConfig>(catalogue, &refers));
    found
}

fn of_kind<T: Administered>(catalogue: &Catalogue, refers: impl Fn(&Condition) -> bool) -> Vec<String> {
    let in_use = T::shelf(catalogue).values().filter(|stored| !stored.archived);
    let referring =
        in_use.filter(|stored| stored.document.conditions().iter().any(|(_, condition)| refers(condition)));
    referring.map(|stored| format!("{} `{}`", T::KIND, stored.document.key())).collect()
}

/// Conditions of rules, each with its path; `kind` is the field of the document.
pub(super) fn rule_conditions<'r>(kind: &str, rules: &'r [Rule]) -> Vec<(String, &'r Condition)> {
    let of_rule = |(index, rule): (usize, &'r Rule)| {
        numbered(&format!("{kind}.rules[{index}].conditions"), &rule.conditions)
    };
    rules.iter().enumerate().flat_map(of_rule).collect()
}

/// The conditions of a list, each with its path.
pub(super) fn numbered<'c>(field: &str, conditions: &'c [Condition]) -> Vec<(String, &'c Condition)> {
    let indexed = conditions.iter().enumerate();
    indexed.map(|(index, condition)| (format!("{field}[{index}]"), condition)).collect()
}

/// What a condition refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Referent<'c> {
    /// A gate or a holdout.
    Gate(&'c str),
    /// A segment.
    Segment(&'c str),
    /// The id list of a segment.
    List(&'c str),
}

impl<'c> Referent<'c> {
    /// What a condition refers to, if anything.
    pub(super) fn of(condition: &'c Condition) -> Option<Self> {
        match (&condition.subject, condition.operator) {
            (Subject::Gate(key), _) => Some(Self::Gate(key)),
            (Subject::Segment(key), _) => Some(Self::Segment(key)),
            (_, Operator::InSegmentList | Operator::NotInSegmentList) => {
                condition.single().and_then(|key| key.as_str()).map(Self::List)
            }
            _ => None,
        }
    }

    /// Its name in the rule form.
    pub(super) fn name(self) -> String {
        match self {
            Self::Gate(key) => key.to_owned(),
            Self::Segment(key) | Self::List(key) => segment_name(key),
        }
    }

    /// The path of the field that names it, in the condition with this path.
    fn field(self, condition: &str) -> String {
        match self {
            Self::Gate(_) => format!("{condition}.gate"),
            Self::Segment(_) => format!("{condition}.segment"),
            Self::List(_) => format!("{condition}.values[0]"),
        }
    }

    fn check(self, checks: &mut Checks, catalogue: &Catalogue, field: &str) {
        match self {
            Self::Gate(key) => {
                let known =
                    in_use(&catalogue.gates, key).is_some() || in_use(&catalogue.holdouts, key).is_some();
                checks.require(known, field, format!("there is no gate or holdout `{key}` in use"));
            }
            Self::Segment(key) => {
                let known = in_use(&catalogue.segments, key).is_some();
                checks.require(known, field, format!("there is no segment `{key}` in use"));
            }
            Self::List(key) => {
                let known = in_use(&catalogue.segments, key).is_some_and(|segment| segment.ids.is_some());
                checks.require(known, field, format!("there is no segment `{key}` with an id list in use"));
            }
        }
    }
}

fn in_use<'c, T>(shelf: &'c Shelf<T>, key: &str) -> Option<&'c T> {
    shelf.get(key).filter(|stored| !stored.archived).map(|stored| &stored.document)
}
