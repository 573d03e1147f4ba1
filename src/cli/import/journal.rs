//! How far the import of a file has come, in a small file beside it, so that the next run goes on from there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// What the name of the small file ends with.
const ENDING: &str = ".portcullis-import";

/// How far an import has come.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    pub(super) progress: Progress,
}

/// What is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    /// What is imported, how, and where to; another import does not go on from here.
    import: String,
    /// All rows up to this one are done.
    pub(super) rows: u64,
    /// What became of them.
    pub(super) tally: Tally,
}

impl Journal {
    /// Goes on from what an earlier run of the same import left, or begins.
    pub(super) fn open(file: &Path, import: String) -> Result<Self, String> {
        let path = beside(file, ENDING);
        let name = path.display();
        let progress = match fs::read(&path) {
            Ok(text) => {
                let found: Option<Progress> = serde_json::from_slice(&text).ok();
                found.filter(|found| found.import == import).ok_or_else(|| {
                    format!(
                        "{name} was left by an import of another file, with other flags or to another server: \
                         run that one to its end, or remove {name} to begin anew"
                    )
                })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Progress { import, rows: 0, tally: Tally::default() }
            }
            Err(error) => return Err(format!("cannot read {name}: {error}")),
        };
        let journal = Self { path, progress };
        // Said before anything is sent, rather than once it could not be noted.
        let new = journal.write()?;
        fs::remove_file(&new).map_err(|error| format!("cannot remove {}: {error}", new.display()))?;
        Ok(journal)
    }

    /// Writes down that all rows up to `rows` are done. The file is replaced whole, so that a kill leaves the one or the
    /// other.
    pub(super) fn save(&mut self, rows: u64) -> Result<(), String> {
        self.progress.rows = rows;
        let new = self.write()?;
        fs::rename(&new, &self.path).map_err(|error| self.unwritable(&error))
    }

    /// Writes it beside its place; gives where.
    fn write(&self) -> Result<PathBuf, String> {
        let new = beside(&self.path, ".new");
        let text = serde_json::to_vec(&self.progress).map_err(|error| error.to_string())?;
        fs::write(&new, text).map_err(|error| self.unwritable(&error))?;
        Ok(new)
    }

    fn unwritable(&self, error: &io::Error) -> String {
        let name = self.path.display();
        format!(
            "cannot write {name}, where is noted how far the import has come: {error}; its folder must be writable"
        )
    }

    /// All is done; what became of it.
    pub(super) fn finish(self) -> Result<Tally, String> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", self.path.display()))
            }
            _ => Ok(self.progress.tally),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
