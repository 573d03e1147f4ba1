//! Reads a table with one row a unit, and accounts for every row of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};
use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::lines::Lines;
use crate::domain::experiment::MAX_GROUPS;
use crate::domain::violation::Invalid;
use crate::stats::moments::Moments;

/// Most bad rows, and most units in two arms, that are named one by one.
pub(super) const MAX_LISTED: usize = 20;
/// Most characters of a cell that a message repeats.
const MAX_SHOWN: usize = 60;
/// The first bytes of a file compressed with gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The table's rows, as they come.
pub(super) type Reader = csv::Reader<Lines>;

/// Opens a table, compressed or not.
pub(super) fn open(path: &Path) -> io::Result<Reader> {
    let mut file = BufReader::new(File::open(path)?);
    let compressed = file.fill_buf()?.starts_with(&GZIP);
    let source: Box<dyn Read> = if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    // The header is read as a row, and rows of another length are told of and not fatal.
    Ok(ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(Lines::new(source)))
}

/// Names of the columns.
#[derive(Debug)]
pub(super) struct Header(Vec<String>);

/// Reads the first row; `file` is what messages call the table.
pub(super) fn header(reader: &mut Reader, file: &str) -> io::Result<Result<Header, Invalid>> {
    let mut record = ByteRecord::new();
    let found = reader.read_byte_record(&mut record)?;
    let names = record.iter().map(|cell| String::from_utf8(cell.to_vec()));
    Ok(match names.collect::<Result<Vec<_>, _>>() {
        _ if !found => Err(Invalid::field(file, "must have a header line, is empty")),
        Ok(names) => Ok(Header(names)),
        Err(_) => Err(Invalid::field(file, "must be text in UTF-8, the header line is not")),
    })
}

impl Header {
    /// Whether there is such a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|column| column == name)
    }

    /// The name of a column.
    pub(super) fn name(&self, position: usize) -> &str {
        self.0.get(position).map_or("", String::as_str)
    }

    /// The one column of a name that `flag` gave.
    pub(super) fn position(&self, flag: &str, name: &str) -> Result<usize, Invalid> {
        let mut found = self.0.iter().enumerate().filter(|(_, column)| *column == name);
        let there = || self.0.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        let message = match (found.next(), found.next()) {
            (Some((position, _)), None) => return Ok(position),
            (Some(_), Some(_)) => {
                format!("must name one column; there are several of the columns {}", there())
            }
            (None, _) => format!("must be a column of the table; its columns are {}", there()),
        };
        Err(Invalid::field(format!("{flag} {name}"), message))
    }
}

/// Which columns are read.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) unit: usize,
    pub(super) arm: usize,
    pub(super) values: Vec<usize>,
    /// The arms that may occur; none for any.
    pub(super) known_arms: Option<Vec<String>>,
}

/// What a table holds. Every row is that of a counted unit, a bad one, or one of a unit in two arms.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: u64,
    pub(super) units: u64,
    pub(super) arms: BTreeMap<String, Arm>,
    /// By metric: whether every value is 0 or 1.
    pub(super) proportions: Vec<bool>,
    pub(super) bad_rows: Listed<BadRow>,
    pub(super) rows_in_two_arms: u64,
    pub(super) units_in_two_arms: Listed<CrossedUnit>,
}

/// One arm's units, and its sums by metric.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) units: u64,
    pub(super) moments: Vec<Moments>,
}

/// How many there are, and the first of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Listed<T> {
    pub(super) count: u64,
    pub(super) listed: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { count: 0, listed: Vec::new() }
    }
}

impl<T> Listed<T> {
    fn add(&mut self, item: T) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(item);
        }
    }
}

/// A row that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// A unit that does not count, for being in two arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct CrossedUnit {
    pub(super) unit: String,
    pub(super) arms: [String; 2],
    pub(super) lines: [u64; 2],
}

impl Table {
    /// Reads all rows. Units are remembered; everything else is summed at the end in the order of the rows, so that
    /// the same table gives the same digits.
    pub(super) fn read(
        reader: &mut Reader,
        header: &Header,
        columns: Columns,
    ) -> io::Result<Result<Self, Invalid>> {
        let mut reading = Reading::new(header, columns);
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record)? {
            let offset = record.position().map_or(0, csv::Position::byte);
            let line = reader.get_mut().line_of(offset);
            if let Err(reason) = reading.take(line, &record) {
                reading.table.bad_rows.add(BadRow { line, reason });
            }
            if reading.arms.len() > MAX_GROUPS {
                let field = format!("--arm {}", header.name(reading.columns.arm));
                let message =
                    format!("must have at most {MAX_GROUPS} different values; is this the arm's column?");
                return Ok(Err(Invalid::field(field, message)));
            }
        }
        Ok(Ok(reading.finish()))
    }
}

/// A table while it is read.
struct Reading<'h> {
    header: &'h Header,
    columns: Columns,
    table: Table,
    arms: Vec<String>,
    units: HashMap<Box<str>, usize>,
    seen: Vec<Seen>,
    /// The values of every seen unit, one after another.
    values: Vec<f64>,
}

/// The first row of a unit.
struct Seen {
    line: u64,
    arm: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Counted,
    /// Its row was bad, but it was seen in its arm.
    Unread,
    Crossed,
}

impl<'h> Reading<'h> {
    fn new(header: &'h Header, columns: Columns) -> Self {
        let table = Table { proportions: vec![true; columns.values.len()], ..Table::default() };
        let (arms, units, seen, values) = Default::default();
        Self { header, columns, table, arms, units, seen, values }
    }

    /// Takes one row; an error says why it is a bad one.
    fn take(&mut self, line: u64, record: &ByteRecord) -> Result<(), String> {
        self.table.rows += 1;
        if record.len() != self.header.0.len() {
            return Err(format!("has {} fields, the header has {}", record.len(), self.header.0.len()));
        }
        if let Some(position) = record.iter().position(|cell| str::from_utf8(cell).is_err()) {
            return Err(format!("column `{}` is not UTF-8", self.header.name(position)));
        }
        let cell = |position: usize| {
            record.get(position).and_then(|cell| str::from_utf8(cell).ok()).unwrap_or_default()
        };
        let unit = cell(self.columns.unit);
        if unit.is_empty() {
            return Err(format!("column `{}`, the unit, is empty", self.header.name(self.columns.unit)));
        }
        let arm = self.arm(cell(self.columns.arm))?;
        let read = |position: &usize| {
            let text = cell(*position);
            value(text).ok_or_else(|| {
                let name = self.header.name(*position);
                format!("column `{name}` is neither true, false nor a finite number: `{}`", shown(text))
            })
        };
        // A unit is seen in its arm even where its values cannot be read.
        let values = self.columns.values.iter().map(read).collect::<Result<Vec<f64>, String>>();
        self.see(line, unit, arm, values)
    }

    /// The number of an arm.
    fn arm(&mut self, name: &str) -> Result<usize, String> {
        let column = self.header.name(self.columns.arm);
        if name.is_empty() {
            return Err(format!("column `{column}`, the arm, is empty"));
        }
        if self.columns.known_arms.as_ref().is_some_and(|known| known.iter().all(|arm| arm != name)) {
            return Err(format!("column `{column}` is `{}`, an arm that was not named", shown(name)));
        }
        Ok(self.arms.iter().position(|arm| arm == name).unwrap_or_else(|| {
            self.arms.push(name.to_owned());
            self.arms.len() - 1
        }))
    }

    fn see(
        &mut self,
        line: u64,
        unit: &str,
        arm: usize,
        values: Result<Vec<f64>, String>,
    ) -> Result<(), String> {
        let Some((index, first)) =
            self.units.get(unit).and_then(|index| Some((*index, self.seen.get_mut(*index)?)))
        else {
            let state = if values.is_ok() { State::Counted } else { State::Unread };
            self.units.insert(unit.into(), self.seen.len());
            self.seen.push(Seen { line, arm, state });
            let width = self.columns.values.len();
            self.values.extend(values.as_ref().unwrap_or(&vec![0.0; width]));
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
                first.state = State::Counted;
                let width = values.len();
                let places = self.values.iter_mut().skip(index * width);
                places.zip(values).for_each(|(place, value)| *place = value);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Table {
        let width = self.columns.values.len();
        let mut arms: Vec<Arm> =
            self.arms.iter().map(|_| Arm { units: 0, moments: vec![Moments::default(); width] }).collect();
        for (seen, values) in self.seen.iter().zip(self.values.chunks(width.max(1))) {
            let Some(arm) = arms.get_mut(seen.arm).filter(|_| seen.state == State::Counted) else {
                continue;
            };
            arm.units += 1;
            self.table.units += 1;
            let sums = arm.moments.iter_mut().zip(&mut self.table.proportions);
            for ((moments, proportion), value) in sums.zip(values) {
                moments.add(*value);
                *proportion &= matches!(*value, 0.0 | 1.0);
            }
        }
        self.table.arms = self.arms.into_iter().zip(arms).collect();
        self.table
    }
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
