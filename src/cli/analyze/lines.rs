//! Line numbers as an editor shows them.

use std::collections::VecDeque;
use std::io::{self, Read};

/// Passes bytes on, and remembers where lines begin.
///
/// The CSV reader places a row before the blank lines that it skips, and before the second half of the line end of
/// the row above, so its own line numbers are those of earlier lines.
pub(super) struct Lines {
    source: Box<dyn Read>,
    offset: u64,
    line: u64,
    previous: u8,
    /// Offset and number of every line that is not blank, from the row asked for last.
    starts: VecDeque<(u64, u64)>,
}

impl Lines {
    pub(super) fn new(source: Box<dyn Read>) -> Self {
        Self { source, offset: 0, line: 1, previous: b'\n', starts: VecDeque::new() }
    }

    /// The line on which the row begins that was placed at `offset`. Rows are asked for in their order.
    pub(super) fn line_of(&mut self, offset: u64) -> u64 {
        while self.starts.front().is_some_and(|(start, _)| *start < offset) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |(_, line)| *line)
    }

    fn pass(&mut self, byte: u8) {
        match (self.previous, byte) {
            (b'\r', b'\n') => {}
            (_, b'\r' | b'\n') => self.line += 1,
            (b'\r' | b'\n', _) => self.starts.push_back((self.offset, self.line)),
            _ => {}
        }
        self.previous = byte;
        self.offset += 1;
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        buffer.iter().take(count).for_each(|byte| self.pass(*byte));
        Ok(count)
    }
}
