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
use crate::domain::violation::Checks;
use crate::engine::form::segment_name;
use crate::engine::lower::lower;
use crate::engine::nesting::nesting_faults;
use crate::error::{Error, Result};

/// Checks what the conditions of a document refer to, in the configuration as it will be.
pub(super) fn check<T: Administered>(edit: &Edit, document: &T) -> Result<()> {
    let conditions = document.conditions();
    let referring = conditions.iter().filter_map(|(path, condition)| Some((path, Referent::of(condition)?)));
    let referring: Vec<(&String, Referent<'_>)> = referring.collect();
    if referring.is_empty() {
        return Ok(());
    }
    let mut after = edit.after();
    let mut checks = Checks::default();
    for (path, referent) in &referring {
        referent.check(&mut checks, &after, &referent.field(path));
    }
    checks.finish()?;
    // A draft's conditions are not served yet. They shall not be the ones that fail on the day of its start.
    T::write(Stored::new(document.in_full_use(), edit.now())).apply_to(&mut after);
    let ruleset = lower(&after);
    let faults = nesting_faults(&ruleset.gates);
    let known = if faults.is_empty() { faults.clone() } else { nesting_faults(&edit.ruleset().gates) };
    let new = faults.iter().filter(|(name, _)| !known.contains_key(*name));
    // The one that closes the cycle is named first, for its path begins and ends with itself.
    let own = [document.key().to_owned(), segment_name(document.key())];
    let Some((name, fault)) = new.min_by_key(|(name, _)| (!own.iter().any(|own| own == *name), **name))
    else {
        return Ok(());
    };
    let to_blame = referring.iter().find(|(_, referent)| faults.contains_key(referent.name().as_str()));
    let field = to_blame.or(referring.first()).map(|(path, referent)| referent.field(path));
    Err(Error::field(field.unwrap_or_default(), format!("`{name}` {fault}")))
}

/// Refuses to take something out of use that others refer to.
pub(super) fn refuse_referred(edit: &Edit, referent: Referent<'_>) -> Result<()> {
    let name = referent.name();
    let refers = |condition: &Condition| Referent::of(condition).is_some_and(|other| other.name() == name);
    let referrers = referrers(edit.catalogue(), refers);
    if referrers.is_empty() {
        return Ok(());
    }
    let referrers = referrers.join(", ");
    Err(Error::WrongState(format!("`{name}` is referred to by {referrers}; change these first")))
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
