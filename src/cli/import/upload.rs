//! One file on its way to the server, batch by batch.

use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::journal::Journal;
use super::mapping::{Chosen, TimeUnit};
use super::record::{Kind, Record};
use super::send::Sender;
use super::table::Table;
use super::tally::Tally;
use crate::domain::event::MAX_BATCH;
use crate::transport::grpc::wire::EventOutcome;

/// Most bytes of one batch; half of what the server takes.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// What is brought in of one file, and how.
#[derive(Debug)]
pub(super) struct Upload<'u, K> {
    pub(super) kind: &'u K,
    pub(super) table: &'u Table,
    pub(super) chosen: &'u Chosen,
    pub(super) time_unit: Option<TimeUnit>,
    pub(super) server: &'u str,
}

/// Rows that are sent together, with their numbers.
#[derive(Debug)]
struct Batch<M> {
    messages: Vec<M>,
    numbers: Vec<u64>,
    bytes: usize,
}

impl<K: Kind> Upload<'_, K> {
    /// Brings in what is not done yet, and tells what became of all rows.
    pub(super) async fn run(&self, sender: &Sender) -> Result<Tally, String> {
        let name = self.table.path.display();
        let mut journal = Journal::open(&self.table.path, self.fingerprint()?)?;
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{elapsed:>5} [{bar:30}] {percent:>3} %, {eta} left  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(name.to_string());
        let done = journal.progress.rows;
        let mut batch = Batch::new();
        let mut number = 0;
        for row in self.table.rows(&self.chosen.columns, &bar)? {
            number += 1;
            let row = row.map_err(|error| format!("{name}: row {number}: {error}"))?;
            if number <= done {
                continue;
            }
            match row {
                Ok(cells) => {
                    let (path, time_unit) = (self.table.path.as_path(), self.time_unit);
                    let record = Record { path, number, chosen: self.chosen, cells, time_unit };
                    if !record.is_wanted() {
                        journal.progress.tally.skipped += 1;
                        continue;
                    }
                    match self.kind.message(&record) {
                        Ok(message) if message.encoded_len() > MAX_BATCH_BYTES => {
                            let reason = format!("the row must have at most {MAX_BATCH_BYTES} bytes");
                            journal.progress.tally.refuse(number, reason);
                        }
                        Ok(message) => batch.push(number, message),
                        Err(reason) => journal.progress.tally.refuse(number, reason),
                    }
                }
                Err(reason) => journal.progress.tally.refuse(number, reason),
            }
            if batch.is_full() {
                batch.send::<K>(sender, &mut journal.progress.tally).await?;
                journal.save(number)?;
            }
        }
        batch.send::<K>(sender, &mut journal.progress.tally).await?;
        bar.finish_and_clear();
        journal.finish()
    }

    /// Tells this import from others of the same file.
    fn fingerprint(&self) -> Result<String, String> {
        let path = &self.table.path;
        let found = std::fs::metadata(path).and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
        let (bytes, modified) = found.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
        let import = json!([K::NAME, self.server, bytes, modified, self.chosen, self.time_unit]);
        let hash = Sha256::digest(import.to_string());
        Ok(BASE64_STANDARD.encode(hash))
    }
}

impl<M: Message> Batch<M> {
    fn new() -> Self {
        Self { messages: Vec::new(), numbers: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, number: u64, message: M) {
        self.bytes += message.encoded_len();
        self.messages.push(message);
        self.numbers.push(number);
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES
    }

    /// Sends what there is, and counts what became of it.
    async fn send<K: Kind<Message = M>>(&mut self, sender: &Sender, tally: &mut Tally) -> Result<(), String> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let outcomes = sender.send::<K>(&self.messages).await?;
        for (number, (outcome, message)) in self.numbers.iter().zip(outcomes) {
            match outcome {
                EventOutcome::Stored => tally.accepted += 1,
                EventOutcome::Duplicate => tally.duplicate += 1,
                EventOutcome::Refused | EventOutcome::Unspecified => tally.refuse(*number, message),
            }
        }
        *self = Self::new();
        Ok(())
    }
}
