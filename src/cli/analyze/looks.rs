//! Moments by look: lines of JSON, each what was known of one metric in one arm at one look.
//!
//! They are cumulative, as published tables have them: a line speaks of all units up to its look. What a look added is the
//! difference of two of them.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde_json::Number;

use super::guardrail::Guardrail;
use super::measure::{Arm, Arms};
use super::moments_line::MomentsLine;
use super::names::{Names, Of};
use super::table::MAX_LISTED;
use crate::domain::experiment::MAX_GROUPS;
use crate::domain::violation::{Invalid, Violation};
use crate::stats::outcome::Outcome;

/// All lines of a file.
#[derive(Debug)]
pub(super) struct Lines {
    file: String,
    lines: Vec<MomentsLine>,
}

/// What was known at one look.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Its number, as the file has it.
    pub(super) number: Number,
    /// All arms; one without a line at this look is as it was at the one before.
    pub(super) arms: Arms,
    /// How many lines of the guardrails are missing, of arms that had one before.
    pub(super) missing: u64,
}

impl Lines {
    /// Reads all lines; blank ones are passed over. `file` is what messages call the file.
    pub(super) fn read(source: Box<dyn BufRead>, file: &str) -> io::Result<Result<Self, Invalid>> {
        let (mut lines, mut wrong) = (Vec::new(), Wrong::default());
        for (index, text) in source.split(b'\n').enumerate() {
            let text = text?;
            if text.trim_ascii().is_empty() {
                continue;
            }
            match MomentsLine::read(index as u64 + 1, &text, file) {
                Ok(line) => lines.push(line),
                Err(Invalid(violations)) => wrong.0.extend(violations),
            }
        }
        // Looks are taken in the order of their numbers, whatever that of the lines is.
        lines.sort_by(|one, other| one.at().total_cmp(&other.at()));
        Ok(wrong.finish().map(|()| Self { file: file.to_owned(), lines }))
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.lines.len() as u64
    }

    /// Names of the metrics.
    pub(super) fn metrics(&self) -> Names {
        let mut names: Vec<String> = self.lines.iter().map(|line| line.metric.clone()).collect();
        names.sort_unstable();
        names.dedup();
        Names::new(names, Of::Metrics)
    }

    /// The looks at some guardrails in some arms, in their order; all arms where none are known.
    pub(super) fn looks(
        &self,
        guardrails: &[Guardrail],
        metrics: &Names,
        known_arms: Option<&[String]>,
    ) -> Result<Vec<Look>, Invalid> {
        let guardrail = |line: &MomentsLine| {
            guardrails.iter().position(|one| metrics.at(one.measure.value) == line.metric)
        };
        let is_known = |line: &MomentsLine| known_arms.is_none_or(|known| known.contains(&line.arm));
        let taken: Vec<(&MomentsLine, usize)> = self
            .lines
            .iter()
            .filter(|line| is_known(line))
            .filter_map(|line| Some((line, guardrail(line)?)))
            .collect();
        let measures: Vec<_> = guardrails.iter().map(|guardrail| guardrail.measure).collect();
        let (mut arms, mut latest, mut wrong) = (Arms::new(), Latest::new(), Wrong::default());
        let mut looks = Vec::new();
        for of_look in taken.chunk_by(|(one, _), (other, _)| one.at().total_cmp(&other.at()).is_eq()) {
            let before = latest.len();
            let mut repeated = 0;
            for (line, guardrail) in of_look {
                let place = (line.arm.as_str(), *guardrail);
                if let Some(earlier) = latest.insert(place, *line) {
                    wrong.0.extend(line.after(earlier, &self.file));
                    repeated += 1;
                }
                let arm = arms.entry(line.arm.clone()).or_insert_with(|| Arm::empty(&measures));
                if let Some(outcome) = arm.outcomes.get_mut(*guardrail) {
                    *outcome = line.moments().into();
                }
                arm.units = arm.outcomes.iter().map(Outcome::n).max().unwrap_or(0);
            }
            let missing = before.saturating_sub(repeated) as u64;
            let number = of_look.first().map(|(line, _)| line.look.clone());
            looks.extend(number.map(|number| Look { number, arms: arms.clone(), missing }));
        }
        wrong.finish()?;
        if arms.len() > MAX_GROUPS {
            let message = format!("must have at most {MAX_GROUPS} different arms, has {}", arms.len());
            return Err(Invalid::field(self.file.clone(), message));
        }
        Ok(looks)
    }

    /// Whether a guardrail's metric is 0 or 1 for every unit.
    pub(super) fn is_proportion(&self, metric: &str) -> bool {
        self.lines.iter().filter(|line| line.metric == metric).all(MomentsLine::is_proportion)
    }
}

/// Which looks lack lines.
pub(super) fn missing_lines(looks: &[Look]) -> Vec<String> {
    let count = looks.iter().filter(|look| look.missing > 0).count();
    let first = looks.iter().find(|look| look.missing > 0);
    let told = |look: &Look| {
        format!(
            "{count} look(s) lack lines of an arm that had one before, the first at look {}; such an arm is taken to be as \
             it was",
            look.number
        )
    };
    first.map(told).into_iter().collect()
}

/// The latest line of each arm and guardrail.
type Latest<'l> = BTreeMap<(&'l str, usize), &'l MomentsLine>;

/// All that is wrong with a file; only the first of it is told.
#[derive(Default)]
struct Wrong(Vec<Violation>);

impl Wrong {
    fn finish(mut self) -> Result<(), Invalid> {
        let more = self.0.len().saturating_sub(MAX_LISTED);
        self.0.truncate(MAX_LISTED);
        if let Some(last) = self.0.last_mut().filter(|_| more > 0) {
            last.message = format!("{}; and {more} more like these", last.message);
        }
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.0)) }
    }
}
