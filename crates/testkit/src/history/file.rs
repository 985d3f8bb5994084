//! One file per client.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file.
    #[error("failed to read {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is not one of ours.
    #[error("failed to read line {line} of {path}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// The writing end.
#[derive(Debug)]
pub struct Recorder {
    file: File,
}

impl Recorder {
    /// A new file; what was at that path is gone.
    ///
    /// # Errors
    /// Of the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        Ok(Self { file })
    }

    /// Writes one line in one write.
    ///
    /// # Errors
    /// Of the file.
    pub fn record(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}

/// Every line of a file.
///
/// # Errors
/// [`HistoryError`] names the line.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, HistoryError> {
    let failed = |source| HistoryError::Io { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let Some((whole, _cut_off)) = text.rsplit_once('\n') else { return Ok(Vec::new()) };
    let line = |(index, line): (usize, &str)| {
        let refused = |source| HistoryError::Line { path: path.to_owned(), line: index + 1, source };
        serde_json::from_str(line).map_err(refused)
    };
    whole.lines().enumerate().map(line).collect()
}

/// The files of clients in a directory (`client-*.jsonl`), in the order of their names.
///
/// # Errors
/// Of the directory.
pub fn clients_of(directory: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let failed = |source| HistoryError::Io { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("client-") && name.ends_with(".jsonl") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Did, Event, Outcome, Where};
    use pgherd_core::lsn::Lsn;

    #[test]
    fn what_was_recorded_is_read_again_and_a_line_cut_off_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client-1.jsonl");
        let at = Where { instance: "c-1".into(), timeline: 1, term: 1, lsn: Lsn(77) };
        let did = Did::Transfer { n: 3, source: 1, target: 2, amount: 5 };
        let event = Event { client: 1, began: 5, ended: 9, did, outcome: Outcome::Acknowledged, at: Some(at) };
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.record(&event).unwrap();
        recorder.file.write_all(b"{\"client\":1,").unwrap();
        assert_eq!(read::<Event>(&path).unwrap(), [event]);
        assert_eq!(clients_of(dir.path()).unwrap(), [path]);
    }

    #[test]
    fn a_foreign_line_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client-1.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(matches!(read::<Event>(&path), Err(HistoryError::Line { line: 1, .. })));
    }
}
