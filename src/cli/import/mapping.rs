//! Which field is read from which column.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Serialize;

/// What a number counts that is a time, from 1970 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimeUnit {
    /// Seconds; fractions count.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
}

/// What the flags say, before any file is known.
#[derive(Debug)]
pub(super) struct Mapping {
    fields: &'static [&'static str],
    columns: BTreeMap<String, String>,
    constants: BTreeMap<String, String>,
    only: Vec<(String, String)>,
    properties: Vec<String>,
}

/// What is read of one file.
#[derive(Debug, Serialize)]
pub(super) struct Chosen {
    /// The columns that are read.
    pub(super) columns: Vec<String>,
    /// Places of fields among them.
    pub(super) fields: BTreeMap<String, usize>,
    /// Fields that are the same in every row.
    pub(super) constants: BTreeMap<String, String>,
    /// Places among the columns, and what must be there.
    pub(super) only: Vec<(usize, String)>,
    /// Places of properties among the columns.
    pub(super) properties: Vec<usize>,
}

impl Mapping {
    /// Reads the flags. A field that ends with a dot in `fields` stands for all that begin so.
    pub(super) fn new(
        fields: &'static [&'static str],
        maps: &[String],
        sets: &[String],
        only: &[String],
        properties: &[String],
    ) -> Result<Self, String> {
        let mut mapping = Self {
            fields,
            columns: BTreeMap::new(),
            constants: BTreeMap::new(),
            only: Vec::new(),
            properties: properties.to_vec(),
        };
        for map in maps {
            let (field, column) = mapping.assignment("--map", map, "FIELD=COLUMN")?;
            mapping.columns.insert(field, column);
        }
        for set in sets {
            let (field, value) = mapping.assignment("--set", set, "FIELD=VALUE")?;
            mapping.constants.insert(field, value);
        }
        for each in only {
            let (column, value) =
                each.split_once('=').ok_or_else(|| format!("--only {each}: must be COLUMN=VALUE"))?;
            mapping.only.push((column.to_owned(), value.to_owned()));
        }
        Ok(mapping)
    }

    fn assignment(&self, flag: &str, text: &str, form: &str) -> Result<(String, String), String> {
        let (field, value) = text.split_once('=').ok_or_else(|| format!("{flag} {text}: must be {form}"))?;
        let is_known = self.fields.iter().any(|known| match known.strip_suffix('.') {
            Some(_) => field.len() > known.len() && field.starts_with(known),
            None => *known == field,
        });
        if !is_known {
            let named = |known: &&str| {
                if known.ends_with('.') { format!("{known}NAME") } else { (*known).to_owned() }
            };
            let known: Vec<String> = self.fields.iter().map(named).collect();
            return Err(format!(
                "{flag} {text}: there is no field `{field}`; there are: {}",
                known.join(", ")
            ));
        }
        if self.columns.contains_key(field) || self.constants.contains_key(field) {
            return Err(format!("{flag} {text}: `{field}` is given already"));
        }
        Ok((field.to_owned(), value.to_owned()))
    }

    /// What is read of a file with these columns.
    pub(super) fn choose(&self, columns: &[String]) -> Result<Chosen, String> {
        let mut chosen = Chosen {
            columns: Vec::new(),
            fields: BTreeMap::new(),
            constants: self.constants.clone(),
            only: Vec::new(),
            properties: Vec::new(),
        };
        for (field, column) in &self.columns {
            let place = chosen.place(columns, column, &format!("--map {field}={column}"))?;
            chosen.fields.insert(field.clone(), place);
        }
        for field in self.fields {
            let is_given = self.columns.contains_key(*field) || self.constants.contains_key(*field);
            if !is_given && columns.iter().any(|column| column == field) {
                let place = chosen.place(columns, field, field)?;
                chosen.fields.insert((*field).to_owned(), place);
            }
        }
        for (column, value) in &self.only {
            let place = chosen.place(columns, column, &format!("--only {column}={value}"))?;
            chosen.only.push((place, value.clone()));
        }
        for column in &self.properties {
            let place = chosen.place(columns, column, &format!("--properties {column}"))?;
            chosen.properties.push(place);
        }
        Ok(chosen)
    }
}

impl Chosen {
    /// Whether a field is given in any way.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field) || self.constants.contains_key(field)
    }

    fn place(&mut self, columns: &[String], column: &str, flag: &str) -> Result<usize, String> {
        if !columns.iter().any(|known| known == column) {
            let known = columns.join(", ");
            return Err(format!("{flag}: there is no column `{column}`; there are: {known}"));
        }
        if let Some(place) = self.columns.iter().position(|known| known == column) {
            return Ok(place);
        }
        self.columns.push(column.to_owned());
        Ok(self.columns.len() - 1)
    }
}
