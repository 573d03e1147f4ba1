//! Files with one row each event or exposure, in the forms that history comes in.

mod csv;
mod json_lines;
mod parquet;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::domain::time::Timestamp;

/// The first bytes of a file packed by gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table with a line of names.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// A file whose form is known.
#[derive(Debug)]
pub(super) struct Table {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Names of its columns; of lines of JSON those of the first thousand.
    pub(super) columns: Vec<String>,
    format: Format,
}

/// What is in one place of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// A text, a number or a flag as a text.
    Text(String),
    /// A point in time that the file itself calls one.
    Time(Timestamp),
}

/// One row, in the order of the columns that were asked for; or why it can not be read.
pub(super) type Row = Result<Vec<Option<Cell>>, String>;
/// All rows; an error ends them.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row, String>>>;

/// Finds out the form and the columns of a file.
pub(super) fn describe(path: &Path, format: Option<Format>) -> Result<Table, String> {
    let Some(format) = format.or_else(|| by_name(path)) else {
        let name = path.display();
        return Err(format!("{name}: the name does not say what it is; give --format csv, jsonl or parquet"));
    };
    let columns = match format {
        Format::Csv => csv::columns(text(path, &ProgressBar::hidden())?),
        Format::Jsonl => json_lines::columns(text(path, &ProgressBar::hidden())?),
        Format::Parquet => parquet::columns(open(path)?),
    };
    let columns = columns.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Table { path: path.to_owned(), columns, format })
}

impl Table {
    /// Reads these columns of all rows. The bar counts bytes of the file where it is a text, else rows.
    pub(super) fn rows(&self, columns: &[String], bar: &ProgressBar) -> Result<Rows, String> {
        let name = self.path.display();
        let rows = match self.format {
            Format::Csv => csv::rows(text(&self.path, bar)?, columns),
            Format::Jsonl => Ok(json_lines::rows(text(&self.path, bar)?, columns)),
            Format::Parquet => parquet::rows(open(&self.path)?, columns, bar),
        };
        rows.map_err(|error| format!("{name}: {error}"))
    }
}

fn by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    match Path::new(plain).extension()?.to_str()? {
        "csv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "parquet" if plain == name => Some(Format::Parquet),
        _ => None,
    }
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A text, unpacked where its first bytes say so. The bar follows what is read of the file.
fn text(path: &Path, bar: &ProgressBar) -> Result<Box<dyn BufRead>, String> {
    let file = open(path)?;
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    bar.set_length(file.metadata().map_err(unreadable)?.len());
    let file: Box<dyn Read> = Box::new(bar.wrap_read(file));
    let mut file = BufReader::new(file);
    let is_packed = file.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
    Ok(if is_packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}
