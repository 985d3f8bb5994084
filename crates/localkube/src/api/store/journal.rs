//! The store on disk: an append-only file of JSON lines, rewritten as a snapshot when the store opens.
//!
//! A change is written (one `write(2)`, to the page cache) before anyone sees it, so a killed server forgets nothing that
//! it answered. It is forced to the disk in batches: only a crash of the whole machine can lose the last tenth of a
//! second, and with the machine go the pods, the only clients there are. A torn last line is a write that was never
//! answered, and is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::resource::GroupResource;
use super::state::Key;

/// The journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Not retried: the state directory is not usable.
    #[error("failed to read the journal {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line that is not the last cannot be read: the file was damaged by something else.
    #[error("failed to understand line {line} of the journal {path}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// May be retried when the disk has room again.
    #[error("failed to write the journal")]
    Write(#[source] io::Error),
    /// Cannot happen for JSON values.
    #[error("failed to encode an object")]
    Encode(#[source] serde_json::Error),
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Version that the change made.
    pub version: u64,
    /// Group of the resource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural of the resource; empty for a line that only carries the version.
    pub plural: String,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The object, absent when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Arc<Value>>,
}

impl Record {
    /// A record of one change.
    pub fn new(version: u64, gr: &GroupResource, key: &Key, object: Option<Arc<Value>>) -> Self {
        let (group, plural) = (gr.group.clone(), gr.plural.clone());
        Self { version, group, plural, namespace: key.namespace.clone(), name: key.name.clone(), object }
    }
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Arc<File>,
    length: u64,
    unsynced: bool,
}

impl Journal {
    /// Reads the records of a directory's journal. Absent means empty.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged before its last line.
    pub fn read(directory: &Path) -> Result<Vec<Record>, JournalError> {
        let path = directory.join("journal.jsonl");
        let failed = |source| JournalError::Read { path: path.clone(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let mut reader = match File::open(&path) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut records = Vec::new();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 || !line.ends_with(b"\n") {
                break;
            }
            match serde_json::from_slice(&line) {
                Ok(record) => records.push(record),
                Err(source) => {
                    let last = reader.fill_buf().map_err(failed)?.is_empty();
                    if !last {
                        return Err(JournalError::Damaged { path: path.clone(), line: number, source });
                    }
                }
            }
        }
        Ok(records)
    }

    /// Replaces the journal by the given records, crash-safe, and opens it for appending.
    ///
    /// # Errors
    /// If the disk fails; the old journal is then still there.
    pub fn rewrite(directory: &Path, records: impl Iterator<Item = Record>) -> Result<Self, JournalError> {
        let path = directory.join("journal.jsonl");
        let fresh = directory.join("journal.jsonl.new");
        let mut writer = BufWriter::new(File::create(&fresh).map_err(JournalError::Write)?);
        for record in records {
            writer.write_all(&line(&record)?).map_err(JournalError::Write)?;
        }
        let file = writer.into_inner().map_err(|error| JournalError::Write(error.into_error()))?;
        file.sync_all().map_err(JournalError::Write)?;
        fs::rename(&fresh, &path).map_err(JournalError::Write)?;
        File::open(directory).and_then(|d| d.sync_all()).map_err(JournalError::Write)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(JournalError::Write)?;
        let length = file.metadata().map_err(JournalError::Write)?.len();
        Ok(Self { path, file: Arc::new(file), length, unsynced: false })
    }

    /// Appends one record; on failure nothing of it stays in the file.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let line = line(record)?;
        if let Err(error) = (&*self.file).write_all(&line) {
            // A part of the line may be there: cut it off, so that the next one starts cleanly.
            self.file.set_len(self.length).map_err(JournalError::Write)?;
            return Err(JournalError::Write(error));
        }
        self.length = self.length.saturating_add(line.len() as u64);
        self.unsynced = true;
        Ok(())
    }

    /// The file, if something was written since the last call.
    pub fn take_unsynced(&mut self) -> Option<Arc<File>> {
        std::mem::take(&mut self.unsynced).then(|| Arc::clone(&self.file))
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The directory it lies in.
    pub fn directory(&self) -> PathBuf {
        self.path.parent().map(Path::to_path_buf).unwrap_or_default()
    }
}

fn line(record: &Record) -> Result<Vec<u8>, JournalError> {
    let mut line = serde_json::to_vec(record).map_err(JournalError::Encode)?;
    line.push(b'\n');
    Ok(line)
}
