//! What became of the rows of a file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Most reasons that are told apart; what comes after them is counted together.
const MAX_REASONS: usize = 100;
/// What stands for the reasons beyond that.
const FURTHER: &str = "further reasons";

/// Counts of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Stored.
    pub(super) accepted: u64,
    /// Stored before.
    pub(super) duplicate: u64,
    /// Left out by `--only`.
    pub(super) skipped: u64,
    /// Refused, by reason.
    refused: BTreeMap<String, Refused>,
}

/// Rows that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Refused {
    count: u64,
    first_row: u64,
    /// As it was said of the first row.
    message: String,
}

impl Tally {
    /// Counts a row that was refused. Messages that differ in numbers and quoted values alone are one reason.
    pub(super) fn refuse(&mut self, row: u64, message: String) {
        let mut reason = reason(&message);
        let mut message = message;
        if !self.refused.contains_key(&reason) && self.refused.len() >= MAX_REASONS {
            (reason, message) = (FURTHER.to_owned(), FURTHER.to_owned());
        }
        let refused = self.refused.entry(reason).or_insert(Refused { count: 0, first_row: row, message });
        refused.count += 1;
    }

    /// How many rows were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.values().map(|refused| refused.count).sum()
    }

    /// Writes the counts of a file, and the reasons in the order of their first rows.
    pub(super) fn write(&self, path: &Path, out: &mut impl Write) -> io::Result<()> {
        let (accepted, duplicate, refused) = (self.accepted, self.duplicate, self.refused());
        write!(out, "{}: {accepted} accepted, {duplicate} duplicate, {refused} refused", path.display())?;
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        writeln!(out)?;
        let mut reasons: Vec<&Refused> = self.refused.values().collect();
        reasons.sort_by_key(|refused| refused.first_row);
        for Refused { count, first_row, message } in reasons {
            writeln!(out, "  {count} refused, the first in row {first_row}: {message}")?;
        }
        Ok(())
    }
}

/// A message without its numbers and quoted values.
fn reason(message: &str) -> String {
    let mut reason = String::with_capacity(message.len());
    let mut is_quoted = false;
    for character in message.chars() {
        if character == '`' {
            is_quoted = !is_quoted;
        } else if is_quoted {
            continue;
        }
        if !(character.is_ascii_digit() && reason.ends_with('#')) {
            reason.push(if character.is_ascii_digit() { '#' } else { character });
        }
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_by_their_words() {
        let mut tally = Tally { accepted: 5, duplicate: 1, skipped: 2, ..Tally::default() };
        tally.refuse(7, "value: must be a number, is `x`".to_owned());
        tally.refuse(3, "time: must be at most 300 ms in the future, is 12 ms".to_owned());
        tally.refuse(9, "value: must be a number, is `a 12`".to_owned());
        tally.refuse(11, "time: must be at most 300 ms in the future, is 4567 ms".to_owned());
        let mut out = Vec::new();
        tally.write(Path::new("a.csv"), &mut out).unwrap();
        let expected = "a.csv: 5 accepted, 1 duplicate, 4 refused, 2 skipped\n  \
                        2 refused, the first in row 3: time: must be at most 300 ms in the future, is 12 ms\n  \
                        2 refused, the first in row 7: value: must be a number, is `x`\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_kept_of_reasons_is_bounded() {
        let mut tally = Tally::default();
        for row in 1..=300 {
            tally.refuse(row, "x".repeat(usize::try_from(row).unwrap()));
        }
        assert_eq!((tally.refused(), tally.refused.len()), (300, MAX_REASONS + 1));
    }
}
