//! A table while it is read: every row is accounted for, and units are remembered.

use std::collections::HashMap;

use csv::ByteRecord;

use super::guardrail::Guardrail;
use super::measure::{Arm, Arms, Beside, Measure};
use super::names::Names;
use super::table::{BadRow, Columns, CrossedUnit, Table};

/// Most characters of a cell that a message repeats.
const MAX_SHOWN: usize = 60;
/// What a unit is said to be of whose cell names no segment.
const NO_SEGMENT: &str = "(empty)";

/// A table while it is read. Values are summed at the end in the order of the units' first rows, so that the same table
/// gives the same digits.
pub(super) struct Reading<'t> {
    names: &'t Names,
    columns: &'t Columns,
    measures: Vec<Measure>,
    table: Table,
    arms: Vec<String>,
    segments: Vec<String>,
    units: HashMap<Box<str>, usize>,
    seen: Vec<Seen>,
    /// The values of every seen unit, one after another, each guardrail's with what is taken beside it.
    values: Vec<[f64; 2]>,
}

/// The first row of a unit.
struct Seen {
    line: u64,
    arm: usize,
    segment: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Counted,
    /// Its row was bad, but it was seen in its arm.
    Unread,
    Crossed,
}

/// A row whose unit and arm could be read.
struct Row<'r> {
    line: u64,
    unit: &'r str,
    arm: usize,
    segment: usize,
    /// By guardrail, or why they are bad.
    values: Result<Vec<[f64; 2]>, String>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(names: &'t Names, columns: &'t Columns, guardrails: &[Guardrail]) -> Self {
        let measures: Vec<Measure> = guardrails.iter().map(|guardrail| guardrail.measure).collect();
        let plain = |measure: &Measure| measure.beside == Beside::Nothing && measure.cap.is_none();
        let table = Table {
            proportions: measures.iter().map(plain).collect(),
            capped: vec![0; measures.len()],
            ..Table::default()
        };
        let (arms, segments, units, seen, values) = Default::default();
        Self { names, columns, measures, table, arms, segments, units, seen, values }
    }

    /// How many arms and segments were found.
    pub(super) fn found(&self) -> (usize, usize) {
        (self.arms.len(), self.segments.len())
    }

    /// Takes one row, which may be a bad one.
    pub(super) fn take(&mut self, line: u64, record: &ByteRecord) {
        self.table.rows += 1;
        // A unit is seen in its arm even where its values cannot be read.
        if let Err(reason) = self.read(line, record).and_then(|row| self.see(row)) {
            self.table.bad_rows.add(BadRow { line, reason });
        }
    }

    fn read<'r>(&mut self, line: u64, record: &'r ByteRecord) -> Result<Row<'r>, String> {
        if record.len() != self.names.count() {
            return Err(format!("has {} fields, the header has {}", record.len(), self.names.count()));
        }
        if let Some(position) = record.iter().position(|cell| str::from_utf8(cell).is_err()) {
            return Err(format!("column `{}` is not UTF-8", self.names.at(position)));
        }
        let cell = |position: usize| {
            record.get(position).and_then(|cell| str::from_utf8(cell).ok()).unwrap_or_default()
        };
        let unit = cell(self.columns.unit);
        if unit.is_empty() {
            return Err(format!("column `{}`, the unit, is empty", self.names.at(self.columns.unit)));
        }
        let arm = self.arm(cell(self.columns.arm))?;
        let segment = self.columns.segment.map_or(0, |column| {
            let name = Some(cell(column)).filter(|name| !name.is_empty());
            number(&mut self.segments, name.unwrap_or(NO_SEGMENT))
        });
        let values = self.measures.iter().map(|measure| self.values_of(measure, cell)).collect();
        Ok(Row { line, unit, arm, segment, values })
    }

    fn values_of<'r>(&self, measure: &Measure, cell: impl Fn(usize) -> &'r str) -> Result<[f64; 2], String> {
        let read = |position: usize| {
            let text = cell(position);
            value(text).ok_or_else(|| {
                let name = self.names.at(position);
                format!("column `{name}` is neither true, false nor a finite number: `{}`", shown(text))
            })
        };
        let beside = match measure.beside {
            Beside::Nothing => 0.0,
            // Nothing is known of the unit from before: 0 for all such units alike leaves the effect unbiased.
            Beside::Covariate(column) if cell(column).is_empty() => 0.0,
            Beside::Per(column) | Beside::Covariate(column) => read(column)?,
        };
        Ok([read(measure.value)?, beside])
    }

    /// The number of an arm.
    fn arm(&mut self, name: &str) -> Result<usize, String> {
        let column = self.names.at(self.columns.arm);
        if name.is_empty() {
            return Err(format!("column `{column}`, the arm, is empty"));
        }
        if self.columns.known_arms.as_ref().is_some_and(|known| known.iter().all(|arm| arm != name)) {
            return Err(format!("column `{column}` is `{}`, an arm that was not named", shown(name)));
        }
        Ok(number(&mut self.arms, name))
    }

    /// Takes a row beside the unit's first one, if there was one.
    fn see(&mut self, row: Row<'_>) -> Result<(), String> {
        let Row { line, unit, arm, segment, values } = row;
        let width = self.measures.len();
        let Some((index, first)) =
            self.units.get(unit).and_then(|index| Some((*index, self.seen.get_mut(*index)?)))
        else {
            let state = if values.is_ok() { State::Counted } else { State::Unread };
            self.units.insert(unit.into(), self.seen.len());
            self.seen.push(Seen { line, arm, segment, state });
            self.values.extend(values.as_ref().unwrap_or(&vec![[0.0; 2]; width]));
            return values.map(|_| ());
        };
        if first.state != State::Crossed && first.arm != arm {
            let name = |arm: usize| self.arms.get(arm).cloned().unwrap_or_default();
            self.table.units_in_two_arms.add(CrossedUnit {
                unit: shown(unit),
                arms: [name(first.arm), name(arm)],
                lines: [first.line, line],
            });
            self.table.rows_in_two_arms += u64::from(first.state == State::Counted);
            first.state = State::Crossed;
        }
        let values = values?;
        match first.state {
            State::Crossed => self.table.rows_in_two_arms += 1,
            State::Counted => {
                return Err(format!("unit `{}` has a row on line {} already", shown(unit), first.line));
            }
            State::Unread => {
                (first.state, first.segment) = (State::Counted, segment);
                let places = self.values.iter_mut().skip(index * width);
                places.zip(values).for_each(|(place, value)| *place = value);
            }
        }
        Ok(())
    }

    /// The table, once all rows are taken.
    pub(super) fn finish(mut self) -> Table {
        let none = || vec![Arm::empty(&self.measures); self.arms.len()];
        let mut whole = none();
        let mut segments = vec![none(); self.segments.len()];
        for (seen, values) in self.seen.iter().zip(self.values.chunks(self.measures.len().max(1))) {
            if seen.state != State::Counted {
                continue;
            }
            self.table.units += 1;
            let of_segment = segments.get_mut(seen.segment).and_then(|arms| arms.get_mut(seen.arm));
            for arm in whole.get_mut(seen.arm).into_iter().chain(of_segment) {
                arm.units += 1;
                for ((outcome, measure), [value, beside]) in
                    arm.outcomes.iter_mut().zip(&self.measures).zip(values)
                {
                    measure.add(outcome, *value, *beside);
                }
            }
            let notes = self.table.proportions.iter_mut().zip(&mut self.table.capped);
            for ((measure, [value, _]), (proportion, capped)) in self.measures.iter().zip(values).zip(notes) {
                *proportion &= matches!(*value, 0.0 | 1.0);
                *capped += u64::from(measure.cap.is_some_and(|cap| *value > cap));
            }
        }
        self.table.arms = named(&self.arms, whole);
        let segments = segments.into_iter().map(|arms| named(&self.arms, arms));
        self.table.segments = self.segments.iter().cloned().zip(segments).collect();
        self.table
    }
}

/// Arms by their names.
fn named(names: &[String], arms: Vec<Arm>) -> Arms {
    names.iter().cloned().zip(arms).collect()
}

/// The number of a name, which is new or was seen before.
fn number(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|other| other == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// The number in a cell.
fn value(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("true") {
        Some(1.0)
    } else if text.eq_ignore_ascii_case("false") {
        Some(0.0)
    } else {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

/// A text short enough for a message.
fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
