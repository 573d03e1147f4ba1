//! What gates and dynamic configs have in common: rules that let shares of units through, each a launch of its own.

use super::documents::{Administered, check_fixed};
use super::edit::Edit;
use super::rollouts::{begin_launch_at_once, cancel_launch, unit_type};
use crate::domain::launch::Target;
use crate::domain::rule::Rule;
use crate::domain::violation::Checks;
use crate::error::Result;

/// A document whose rules let shares of units through.
pub trait Ruled: Administered {
    /// Its rules, in order.
    fn rules(&self) -> &[Rule];

    /// Its rules, to be changed.
    fn rules_mut(&mut self) -> &mut Vec<Rule>;

    /// Which id is bucketed.
    fn unit_type(&self) -> &str;

    /// What is hashed with the id.
    fn salt(&self) -> &str;

    /// Whether it is switched on.
    fn is_enabled(&self) -> bool;

    /// Whether units that pass no rule get something else than before.
    fn changes_control(&self, _before: &Self) -> bool {
        false
    }

    /// The target of one of its rules.
    fn target(key: &str, rule: &str) -> Target;
}

/// A new document begins a launch for each rule above 0 percent.
pub(super) fn begin_launches<T: Ruled>(edit: &mut Edit, made: &T) -> Result<()> {
    let rules = made.rules().iter().filter(|rule| made.is_enabled() && rule.percentage > 0.0);
    rules.into_iter().try_for_each(|rule| begin_launch_at_once(edit, made, rule))
}

/// A changed document: percentages stay, and whatever may let more units in, or gives them something else, passes the guard.
pub(super) fn change_rules<T: Ruled>(edit: &mut Edit, before: &T, after: &T) -> Result<()> {
    check_unchanged(before, after)?;
    let key = after.key();
    let wider: Vec<&Rule> = wider_rules(before, after).collect();
    let revalued: Vec<&Rule> = revalued_rules(before, after).collect();
    let changes_control = after.changes_control(before);
    if !wider.is_empty() || !revalued.is_empty() || changes_control {
        edit.allow_wider(&T::target(key, ""))?;
    }
    for rule in after.rules() {
        if revalued.contains(&rule) {
            // What was seen of the old value says nothing of this one.
            replace_launch(edit, after, rule, "the rule gives another value")?;
        } else if wider.contains(&rule) {
            widen_rule(edit, after, rule)?;
        } else if changes_control
            && after.is_enabled()
            && let Some(launch) = edit.catalogue().live_launch(&T::target(key, &rule.id)).cloned()
        {
            edit.regroup(&launch, "what the control gets was changed");
        }
    }
    let is_gone = |rule: &&Rule| !after.is_enabled() || after.rules().iter().all(|other| other.id != rule.id);
    for rule in before.rules().iter().filter(is_gone) {
        cancel_launch(edit, &T::target(key, &rule.id), "the rule was taken out of use");
    }
    Ok(())
}

/// Ends all launches of a document.
pub(super) fn end_launches<T: Ruled>(edit: &mut Edit, document: &T, what: &str) {
    for rule in document.rules() {
        cancel_launch(edit, &T::target(document.key(), &rule.id), what);
    }
}

fn check_unchanged<T: Ruled>(stored: &T, given: &T) -> Result<()> {
    let (mut checks, kind) = (Checks::default(), T::KIND);
    check_fixed(&mut checks, &format!("{kind}.unit_type"), &stored.unit_type(), &given.unit_type());
    check_fixed(&mut checks, &format!("{kind}.salt"), &stored.salt(), &given.salt());
    for (index, rule) in given.rules().iter().enumerate() {
        let before =
            stored.rules().iter().find(|before| before.id == rule.id).map(|before| before.percentage);
        #[expect(clippy::float_cmp, reason = "the stored number itself is expected back")]
        let same = before.is_none_or(|before| before == rule.percentage);
        checks.require(
            same,
            format!("{kind}.rules[{index}].percentage"),
            format!("is changed with SetRollout; it is {}", before.unwrap_or_default()),
        );
    }
    Ok(checks.finish()?)
}

/// The rules that other units may reach than before: all when the document is switched on, else those from the first one on
/// that is new, moved, or has other conditions. None while it is off.
fn wider_rules<'d, T: Ruled>(stored: &T, given: &'d T) -> impl Iterator<Item = &'d Rule> {
    let same = |(before, after): &(&Rule, &Rule)| !after.reaches_others(before);
    let unmoved = match (stored.is_enabled(), given.is_enabled()) {
        (true, true) => stored.rules().iter().zip(given.rules()).take_while(same).count(),
        (false, true) => 0,
        (_, false) => given.rules().len(),
    };
    given.rules().iter().skip(unmoved)
}

/// The rules that give another value than before, while the document is on.
fn revalued_rules<'d, T: Ruled>(stored: &T, given: &'d T) -> impl Iterator<Item = &'d Rule> {
    let gives_another = |rule: &&Rule| {
        let before = stored.rules().iter().find(|before| before.id == rule.id);
        given.is_enabled() && before.is_some_and(|before| before.value != rule.value)
    };
    given.rules().iter().filter(gives_another)
}

/// A rule whose units may be others from now on: its live launch begins a new epoch; without one, a launch begins.
fn widen_rule<T: Ruled>(edit: &mut Edit, document: &T, rule: &Rule) -> Result<()> {
    let launch = edit.catalogue().live_launch(&T::target(document.key(), &rule.id)).cloned();
    match launch {
        Some(launch) if launch.unit_type == unit_type(document, rule) => {
            edit.regroup(&launch, "the rule's conditions, draw or place were changed");
            Ok(())
        }
        // What was seen of units of another kind says nothing of these.
        _ => replace_launch(edit, document, rule, "the rule draws units of another type"),
    }
}

/// The live launch of a rule ends, and another one takes its place where the rule lets anybody through.
fn replace_launch<T: Ruled>(edit: &mut Edit, document: &T, rule: &Rule, what: &str) -> Result<()> {
    let target = T::target(document.key(), &rule.id);
    if rule.percentage <= 0.0 {
        cancel_launch(edit, &target, what);
        return Ok(());
    }
    if let Some(launch) = edit.catalogue().live_launch(&target).cloned() {
        edit.cancel(&launch, 0.0, what);
    }
    begin_launch_at_once(edit, document, rule)
}
