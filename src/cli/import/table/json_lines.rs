//! Lines of JSON objects.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{Cell, Row, Rows};

/// Lines that are looked at for the names of columns, since an object may leave some out.
const LOOKED_AT: usize = 1_000;

pub(super) fn columns(text: Box<dyn BufRead>) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().take(LOOKED_AT) {
        let line = line.map_err(|error| error.to_string())?;
        for name in object(&line).unwrap_or_default().keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Ok(names)
}

pub(super) fn rows(text: Box<dyn BufRead>, columns: &[String]) -> Rows {
    let columns = columns.to_vec();
    let lines =
        text.split(b'\n').filter(|line| !line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty()));
    Box::new(lines.map(move |line| {
        let line = line.map_err(|error| error.to_string())?;
        let row = match str::from_utf8(&line) {
            Ok(line) => row(line, &columns),
            Err(_) => Err("the row must be text in UTF-8".to_owned()),
        };
        Ok(row)
    }))
}

fn row(line: &str, columns: &[String]) -> Row {
    let mut object = object(line)?;
    Ok(columns.iter().map(|column| cell(object.remove(column)?)).collect())
}

fn object(line: &str) -> Result<Map<String, Value>, String> {
    let line = line.trim_start_matches('\u{feff}');
    serde_json::from_str(line).map_err(|error| format!("the row must be a JSON object: {error}"))
}

fn cell(value: Value) -> Option<Cell> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then_some(Cell::Text(text)),
        other => Some(Cell::Text(other.to_string())),
    }
}
