//! Apache Parquet, row by row; only the columns that are asked for are read.

use std::fs::File;
use std::sync::Arc;

use indicatif::ProgressBar;
use parquet::basic::Repetition;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::{Cell, Row, Rows};
use crate::domain::time::{DAY_MS, Timestamp};

pub(super) fn columns(file: File) -> Result<Vec<String>, String> {
    let reader = reader(file)?;
    let schema = reader.metadata().file_metadata().schema();
    Ok(schema.get_fields().iter().map(|field| field.name().to_owned()).collect())
}

pub(super) fn rows(file: File, columns: &[String], bar: &ProgressBar) -> Result<Rows, String> {
    let reader = reader(file)?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema();
    bar.set_length(u64::try_from(metadata.num_rows()).unwrap_or_default());
    let wanted = schema.get_fields().iter().filter(|field| columns.iter().any(|name| name == field.name()));
    let wanted: Vec<Arc<Type>> = wanted.cloned().collect();
    let places: Vec<Option<usize>> =
        columns.iter().map(|name| wanted.iter().position(|field| field.name() == name)).collect();
    let projection = Type::group_type_builder(schema.name())
        .with_fields(wanted)
        .build()
        .map_err(|error| text_of(&error))?;
    let rows = RowIter::from_file_into(Box::new(reader))
        .project(Some(projection))
        .map_err(|error| text_of(&error))?;
    let bar = bar.clone();
    Ok(Box::new(rows.map(move |row| {
        bar.inc(1);
        let mut fields: Vec<Option<Field>> = row
            .map_err(|error| text_of(&error))?
            .into_columns()
            .into_iter()
            .map(|(_, field)| Some(field))
            .collect();
        let mut take = |place: &Option<usize>| fields.get_mut((*place)?).and_then(Option::take);
        let cells: Row = places.iter().map(|place| take(place).map_or(Ok(None), cell)).collect();
        Ok(cells)
    })))
}

fn reader(file: File) -> Result<SerializedFileReader<File>, String> {
    let reader = SerializedFileReader::new(file).map_err(|error| text_of(&error))?;
    let metadata = reader.metadata().file_metadata();
    // The reader of rows takes what repeats for a list, and a list is no row.
    let repeated = |field: &&Arc<Type>| {
        field.get_basic_info().has_repetition() && field.get_basic_info().repetition() == Repetition::REPEATED
    };
    match metadata.schema().get_fields().iter().find(repeated) {
        Some(field) => Err(format!("column `{}` must not be repeated", field.name())),
        None => Ok(reader),
    }
}

fn cell(field: Field) -> Result<Option<Cell>, String> {
    let text = match field {
        Field::Null => return Ok(None),
        Field::Str(text) => text,
        Field::Bytes(bytes) => {
            let text = bytes.as_utf8().map_err(|_| "a column must hold texts, not bytes".to_owned())?;
            text.to_owned()
        }
        Field::TimestampMillis(ms) => return Ok(Some(Cell::Time(Timestamp(ms)))),
        Field::TimestampMicros(us) => return Ok(Some(Cell::Time(Timestamp(us.div_euclid(1_000))))),
        Field::Date(days) => return Ok(Some(Cell::Time(Timestamp(i64::from(days) * DAY_MS)))),
        Field::Double(number) => number.to_string(),
        Field::Float(number) => number.to_string(),
        other => other.to_string(),
    };
    Ok((!text.is_empty()).then_some(Cell::Text(text)))
}

fn text_of(error: &ParquetError) -> String {
    error.to_string()
}
