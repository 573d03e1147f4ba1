//! How a command writes its result: as a text for people, or as JSON.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

/// The flags that say how.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(super) json: bool,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

impl Output {
    /// Writes a result, whose text is written by `text`. A reader that has seen enough is no failure.
    pub(super) fn write<R: Serialize>(
        self,
        result: &R,
        text: impl FnOnce(&R, &mut dyn Write) -> io::Result<()>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let written = if self.json || self.format == Format::Json {
            serde_json::to_writer_pretty(&mut *out, result)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            text(result, out)
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}
