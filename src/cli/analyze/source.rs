//! The file: compressed or not, a table or moments by look.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// The first bytes of a file compressed with gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What some programs put before a text in UTF-8.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// An open file, by what it begins with.
pub(super) enum Source {
    /// A CSV table with one row a unit.
    Table(Box<dyn Read>),
    /// Lines of JSON objects, each the moments of a metric in an arm at a look.
    Looks(Box<dyn BufRead>),
}

/// Opens a file. One whose first character is `{` is lines of JSON; everything else is a table.
pub(super) fn open(path: &Path) -> io::Result<Source> {
    let mut file = BufReader::new(File::open(path)?);
    let compressed = file.fill_buf()?.starts_with(&GZIP);
    let mut text: Box<dyn BufRead> =
        if compressed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
    let begin = text.fill_buf()?;
    let marked = begin.starts_with(&BYTE_ORDER_MARK);
    let begin = begin.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(begin);
    if begin.trim_ascii_start().starts_with(b"{") {
        if marked {
            text.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Source::Looks(text))
    } else {
        Ok(Source::Table(Box::new(text)))
    }
}
