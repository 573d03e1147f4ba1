//! What would change, for people.

use std::io::{self, Write};

use crate::transport::grpc::wire::{ConfigurationAction, ConfigurationChange, PlanConfigurationResponse};

/// Writes each change with its lines, and the count of all.
pub(super) fn write(plan: &PlanConfigurationResponse, out: &mut impl Write) -> io::Result<()> {
    for change in &plan.changes {
        write_change(change, out)?;
    }
    let count = |action: ConfigurationAction| plan.changes.iter().filter(|it| it.action() == action).count();
    if plan.changes.is_empty() {
        writeln!(out, "nothing to change: {} documents are as wanted", plan.unchanged_count)?;
    } else {
        writeln!(
            out,
            "to create: {}, to change: {}, to archive: {}, as wanted: {}",
            count(ConfigurationAction::Create),
            count(ConfigurationAction::Change),
            count(ConfigurationAction::Archive),
            plan.unchanged_count,
        )?;
    }
    out.flush()
}

fn write_change(change: &ConfigurationChange, out: &mut impl Write) -> io::Result<()> {
    let what = match change.action() {
        ConfigurationAction::Create => "create",
        ConfigurationAction::Change => "change",
        ConfigurationAction::Archive => "archive",
        ConfigurationAction::Unspecified => "touch",
    };
    writeln!(out, "{what} {} {}", change.kind, change.key)?;
    for line in change.difference.lines() {
        writeln!(out, "  {line}")?;
    }
    for effect in &change.effects {
        writeln!(out, "  > {effect}")?;
    }
    if !change.refusal.is_empty() {
        writeln!(out, "  ! refused: {}", change.refusal)?;
    }
    writeln!(out)
}
