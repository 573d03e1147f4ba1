//! A table with one row a unit: its columns, and what it holds once it is read.

use std::collections::BTreeMap;
use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder, Trim};
use serde::Serialize;

use super::guardrail::Guardrail;
use super::lines::Lines;
use super::measure::Arms;
use super::names::{Names, Of};
use super::reading::Reading;
use crate::domain::experiment::MAX_GROUPS;
use crate::domain::violation::Invalid;

/// Most bad rows, and most units in two arms, that are named one by one.
pub(super) const MAX_LISTED: usize = 20;
/// Most segments: evidence is shared among them.
const MAX_SEGMENTS: usize = 10;

/// The table's rows, as they come.
pub(super) type Reader = csv::Reader<Lines>;

/// Begins to read a table.
pub(super) fn reader(source: Box<dyn Read>) -> Reader {
    // The header is read as a row, and rows of another length are told of and not fatal.
    ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(Lines::new(source))
}

/// Reads the names of the columns, which are the first row; `file` is what messages call the table.
pub(super) fn columns(reader: &mut Reader, file: &str) -> io::Result<Result<Names, Invalid>> {
    let mut record = ByteRecord::new();
    let found = reader.read_byte_record(&mut record)?;
    let names = record.iter().map(|cell| String::from_utf8(cell.to_vec()));
    Ok(match names.collect::<Result<Vec<_>, _>>() {
        _ if !found => Err(Invalid::field(file, "must have a header line, is empty")),
        Ok(names) => Ok(Names::new(names, Of::Columns)),
        Err(_) => Err(Invalid::field(file, "must be text in UTF-8, the header line is not")),
    })
}

/// Which columns are read, by position.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) unit: usize,
    pub(super) arm: usize,
    pub(super) segment: Option<usize>,
    /// The arms that may occur; none for any.
    pub(super) known_arms: Option<Vec<String>>,
}

/// What a table holds. Every row is that of a counted unit, a bad one, or one of a unit in two arms.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: u64,
    pub(super) units: u64,
    pub(super) arms: Arms,
    /// The same by segment, where a column says which.
    pub(super) segments: BTreeMap<String, Arms>,
    /// By guardrail: whether every value is 0 or 1.
    pub(super) proportions: Vec<bool>,
    /// By guardrail: how many values are above its cap.
    pub(super) capped: Vec<u64>,
    pub(super) bad_rows: Listed<BadRow>,
    pub(super) rows_in_two_arms: u64,
    pub(super) units_in_two_arms: Listed<CrossedUnit>,
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
    /// Counts another one, and lists it while it is among the first.
    pub(super) fn add(&mut self, item: T) {
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
    /// Reads all rows.
    pub(super) fn read(
        reader: &mut Reader,
        names: &Names,
        columns: &Columns,
        guardrails: &[Guardrail],
    ) -> io::Result<Result<Self, Invalid>> {
        let mut reading = Reading::new(names, columns, guardrails);
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record)? {
            let offset = record.position().map_or(0, csv::Position::byte);
            let line = reader.get_mut().line_of(offset);
            reading.take(line, &record);
            let (arms, segments) = reading.found();
            let too_many = |flag: &str, column: usize, most: usize| {
                let message =
                    format!("must have at most {most} different values; is this the {flag}'s column?");
                Ok(Err(Invalid::field(format!("--{flag} {}", names.at(column)), message)))
            };
            if arms > MAX_GROUPS {
                return too_many("arm", columns.arm, MAX_GROUPS);
            }
            if let Some(column) = columns.segment.filter(|_| segments > MAX_SEGMENTS) {
                return too_many("segment", column, MAX_SEGMENTS);
            }
        }
        Ok(Ok(reading.finish()))
    }
}
