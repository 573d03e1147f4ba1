//! What a file offers by name: the columns of a table, or the metrics of moments by look.

use crate::domain::violation::Invalid;

/// Names in their order.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<String>,
    of: Of,
}

/// What the names are those of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The columns of a table with one row a unit.
    Columns,
    /// The metrics of moments by look.
    Metrics,
}

impl Names {
    pub(super) fn new(names: Vec<String>, of: Of) -> Self {
        Self { names, of }
    }

    /// What they are those of.
    pub(super) fn of(&self) -> Of {
        self.of
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// The name at a position.
    pub(super) fn at(&self, position: usize) -> &str {
        self.names.get(position).map_or("", String::as_str)
    }

    /// The one position of a name that `flag` gave.
    pub(super) fn position(&self, flag: &str, name: &str) -> Result<usize, Invalid> {
        let mut found = self.names.iter().enumerate().filter(|(_, other)| *other == name);
        let there = || self.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = match (found.next(), found.next(), self.of) {
            (Some((position, _)), None, _) => return Ok(position),
            (Some(_), Some(_), _) => {
                format!("must name one column; there are several of the columns {}", there())
            }
            (None, _, Of::Columns) => {
                format!("must be a column of the table; its columns are {}", there())
            }
            (None, _, Of::Metrics) => format!("must be a metric of the file; its metrics are {}", there()),
        };
        Err(Invalid::field(format!("{flag} {name}"), message))
    }

    /// Splits a text into a name and what follows it, which is nothing or begins with a colon. A name may have colons of
    /// its own, so the longest that is there wins; where none is, the text up to the first colon stands for one.
    pub(super) fn split<'t>(&self, text: &'t str) -> (&'t str, &'t str) {
        let mut ends = text.rmatch_indices(':').map(|(at, _)| at);
        let longest = std::iter::once(text.len()).chain(&mut ends).find_map(|at| {
            let (name, rest) = text.split_at_checked(at)?;
            self.names.iter().any(|other| other == name).then_some((name, rest))
        });
        longest.unwrap_or_else(|| {
            let at = text.find(':').unwrap_or(text.len());
            text.split_at_checked(at).unwrap_or((text, ""))
        })
    }
}
