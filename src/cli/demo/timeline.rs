//! What the demo prints: lines with their time, and a progress bar where the output is a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A running account of the demo.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Timeline {
    /// Starts the clock; `steps` is the length of the bar.
    pub(super) fn start(steps: u64) -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("{elapsed:>5} [{bar:30}] {pos}/{len} observed  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { begun: Instant::now(), bar }
    }

    /// Something happened.
    pub(super) fn line(&self, text: &str) {
        let line = format!("{:>6.1} s  {text}", self.begun.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.println(line),
            None => Self::after(&line),
        }
    }

    /// How things stand: beside the bar on a terminal, else a line.
    pub(super) fn status(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.line(text),
        }
    }

    /// Moves the bar.
    pub(super) fn observed(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(count);
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// A line without a time. A reader that has gone away is no reason to fail.
    pub(super) fn after(text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}
