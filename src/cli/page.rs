//! Lines and tables of a text for people.

use std::io::{self, Write};

/// Writes one line. Names from a file may hold control characters, which must not reach a terminal.
pub(super) fn line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let shown: String =
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    writeln!(out, "{}", shown.trim_end())
}

/// Writes rows below one another, the head among them. The columns `left` hold words and stand left, the others right.
pub(super) fn table(out: &mut dyn Write, rows: &[Vec<String>], left: &[usize]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if left.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        line(out, &cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}
