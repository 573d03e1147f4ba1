//! A plan for people to read.

use std::io::{self, Write};

use super::figures::{HarmPlan, PlanReport, Sizes};
use crate::cli::figures::{share, significant, thousands};
use crate::cli::page::{line, table};

const HOURS_A_DAY: f64 = 24.0;
const MINUTES_AN_HOUR: f64 = 60.0;

/// Writes the whole plan.
pub(super) fn write(report: &PlanReport, out: &mut dyn Write) -> io::Result<()> {
    let pace = report.daily.map_or_else(String::new, |daily| format!(", {} units a day", whole(daily)));
    line(
        out,
        &format!(
            "standard deviation over mean {}; {} of the units are treated{pace}; power {}",
            significant(report.variation),
            share(report.share),
            share(report.power)
        ),
    )?;
    line(out, "")?;
    let roll_back = significant(1.0 / report.level);
    line(
        out,
        &format!(
            "Harm that is there is found, at an e-value of {roll_back} for this guardrail and arm alone:"
        ),
    )?;
    let head = ["harm", "how it is looked at", "treated", "control", "time"].map(str::to_owned).to_vec();
    let rows = report.harm.iter().flat_map(|harm| rows_of_harm(harm, report.power));
    table(out, &std::iter::once(head.clone()).chain(rows).collect::<Vec<_>>(), &[0, 1])?;
    line(out, "")?;
    let safety = &report.safety;
    line(
        out,
        &format!(
            "Harm of {} is excluded where there is none (each guardrail with power {}):",
            share(safety.ship_margin),
            share(safety.power_each)
        ),
    )?;
    let rows = [("at every look", safety.every_look), ("one planned look", safety.one_look)];
    let rows = rows.map(|(how, sizes)| row(&share(safety.ship_margin), how, sizes));
    table(out, &std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[0, 1])?;
    if let Some(found) = &report.detectable {
        line(out, "")?;
        let (units, every_look) = (whole(found.units), share(found.every_look));
        line(
            out,
            &format!(
                "{units} treated units find harm of {every_look} at every look, and of {} at one planned look.",
                share(found.one_look)
            ),
        )?;
    }
    Ok(())
}

fn rows_of_harm(harm: &HarmPlan, power: f64) -> Vec<Vec<String>> {
    let size = share(harm.effect);
    let mut rows = vec![
        row(&size, &format!("one planned look, power {}", share(power)), harm.one_look),
        row("", &format!("at every look, power {}", share(power)), harm.every_look),
    ];
    rows.extend(
        harm.delays
            .iter()
            .map(|delay| row("", &format!("  found in {} of launches", share(delay.found)), delay.sizes)),
    );
    rows.push(row("", "  mean", harm.mean));
    rows
}

fn row(harm: &str, how: &str, sizes: Sizes) -> Vec<String> {
    let time = sizes.days.map_or_else(|| "-".to_owned(), duration);
    vec![harm.to_owned(), how.to_owned(), whole(sizes.treated), whole(sizes.control), time]
}

/// A time in the unit that shows it best.
fn duration(days: f64) -> String {
    let hours = HOURS_A_DAY * days;
    if hours < 2.0 {
        format!("{:.0} min", (MINUTES_AN_HOUR * hours).max(1.0))
    } else if days < 3.0 {
        format!("{hours:.1} h")
    } else {
        format!("{days:.1} days")
    }
}

/// A number of units, none of them left over.
fn whole(units: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast clamps at both ends"
    )]
    let units = units.ceil() as u64;
    thousands(units)
}
