//! Tables of CSV.

use std::io::BufRead;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{Cell, Row, Rows};

pub(super) fn columns(text: Box<dyn BufRead>) -> Result<Vec<String>, String> {
    names(&mut reader(text))
}

pub(super) fn rows(text: Box<dyn BufRead>, columns: &[String]) -> Result<Rows, String> {
    let mut reader = reader(text);
    let names = names(&mut reader)?;
    let places: Vec<Option<usize>> =
        columns.iter().map(|column| names.iter().position(|name| name == column)).collect();
    let rows = reader.into_records().map(move |record| match record {
        Ok(record) => Ok(row(&record, names.len(), &places)),
        // What is no text in UTF-8 spoils its own row alone.
        Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
            Ok(Err("the row must be text in UTF-8".to_owned()))
        }
        Err(error) => Err(error.to_string()),
    });
    Ok(Box::new(rows))
}

fn reader(text: Box<dyn BufRead>) -> Reader<Box<dyn BufRead>> {
    ReaderBuilder::new().flexible(true).from_reader(text)
}

fn names(reader: &mut Reader<Box<dyn BufRead>>) -> Result<Vec<String>, String> {
    let names = reader.headers().map_err(|error| error.to_string())?;
    Ok(names.iter().map(str::to_owned).collect())
}

fn row(record: &StringRecord, width: usize, places: &[Option<usize>]) -> Row {
    if record.len() != width {
        return Err(format!("the row has {} columns, the first line has {width}", record.len()));
    }
    let cell = |place: &Option<usize>| {
        let text = record.get((*place)?).filter(|text| !text.is_empty());
        text.map(|text| Cell::Text(text.to_owned()))
    };
    Ok(places.iter().map(cell).collect())
}
