//! A container's log: its stdout and stderr, whole lines with the time at which each came, rotated once it is long.
//!
//! The format is that of the kubelet's runtime: `2026-11-23T22:30:00.123456789Z stdout F text`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Rotated at this length; one older file is kept.
const ROTATE_AT: u64 = 10 << 20;

/// An open log file.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    inner: Mutex<(File, u64)>,
}

impl Log {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), inner: Mutex::new((file, length)) })
    }

    /// Copies lines until the other end is closed by everyone. A full disk loses lines, never blocks the container.
    pub fn copy(&self, stream: &'static str, source: impl Read) {
        let mut reader = BufReader::with_capacity(64 << 10, source);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let _lost_when_disk_is_full = self.append(stream, line.strip_suffix(b"\n").unwrap_or(&line));
                }
            }
        }
    }

    fn append(&self, stream: &str, line: &[u8]) -> io::Result<()> {
        let mut text = format!("{:.9} {stream} F ", jiff::Timestamp::now()).into_bytes();
        text.extend_from_slice(line);
        text.push(b'\n');
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.1 >= ROTATE_AT {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            std::fs::rename(&self.path, older)?;
            *inner = (OpenOptions::new().append(true).create(true).open(&self.path)?, 0);
        }
        inner.0.write_all(&text)?;
        inner.1 = inner.1.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}
