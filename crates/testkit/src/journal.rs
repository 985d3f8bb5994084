//! The journal: one line per acknowledged row, written after the acknowledgement and before the next attempt.
//!
//! Format: `row boottime-nanoseconds timeline`, decimal, one line each. A row number is used for one attempt only,
//! so that every number in the journal must be in the table exactly once. A last line without its newline was cut
//! off by a kill, and is not a promise.

use nix::time::{ClockId, clock_gettime};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// One acknowledged row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The row's number.
    pub row: u64,
    /// When the acknowledgement came, in nanoseconds of `CLOCK_BOOTTIME`.
    pub at: u64,
    /// The timeline of the instance that acknowledged.
    pub timeline: u32,
}

/// A journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file.
    #[error("failed to read the journal")]
    Io(#[from] io::Error),
    /// A line is not one of ours.
    #[error("failed to read line {0} of the journal")]
    Line(usize),
}

/// Nanoseconds of `CLOCK_BOOTTIME`.
#[must_use]
pub fn boottime() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}

/// The writing end.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// A new journal; what was at that path is gone.
    ///
    /// # Errors
    /// Of the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        Ok(Self { file })
    }

    /// Writes one entry in one write.
    ///
    /// # Errors
    /// Of the file.
    pub fn record(&mut self, entry: Entry) -> io::Result<()> {
        self.file.write_all(format!("{} {} {}\n", entry.row, entry.at, entry.timeline).as_bytes())
    }
}

/// Reads a whole journal.
///
/// # Errors
/// [`JournalError`] names the line.
pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    parse(&std::fs::read_to_string(path)?)
}

fn parse(text: &str) -> Result<Vec<Entry>, JournalError> {
    let Some((whole, _cut_off)) = text.rsplit_once('\n') else { return Ok(Vec::new()) };
    whole.lines().enumerate().map(|(index, line)| entry(line).ok_or(JournalError::Line(index + 1))).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let entry = Entry {
        row: words.next()?.parse().ok()?,
        at: words.next()?.parse().ok()?,
        timeline: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(entry)
}

/// The longest time between two acknowledgements that follow each other, of which the second came after `since`:
/// the gap in writes that a fault at `since` caused. `None` without an acknowledgement after it.
#[must_use]
pub fn longest_gap(entries: &[Entry], since: u64) -> Option<Gap> {
    entries
        .iter()
        .zip(entries.iter().skip(1))
        .filter(|(_, after)| after.at >= since)
        .map(|(before, after)| Gap { before: *before, after: *after })
        .max_by_key(Gap::nanos)
}

/// The gap between the last acknowledgement of the timeline that was written at `since` and the first one of a later
/// timeline; where the timeline did not change, the longest gap. Entries are in the order of their times.
#[must_use]
pub fn takeover_gap(entries: &[Entry], since: u64) -> Option<Gap> {
    let before = entries.iter().rev().find(|entry| entry.at < since)?.timeline;
    let after = entries.iter().find(|entry| entry.timeline > before);
    let Some(after) = after.copied() else { return longest_gap(entries, since) };
    let last = entries.iter().rev().find(|entry| entry.at <= after.at && entry.timeline == before)?;
    Some(Gap { before: *last, after })
}

/// Two acknowledgements that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last one before the gap.
    pub before: Entry,
    /// The first one after it.
    pub after: Entry,
}

impl Gap {
    /// Its length in nanoseconds.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        self.after.at.saturating_sub(self.before.at)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        core::time::Duration::from_nanos(self.nanos()).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(row: u64, at: u64, timeline: u32) -> Entry {
        Entry { row, at, timeline }
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::create(&path).unwrap();
        let entries = [entry(1, boottime(), 1), entry(2, boottime(), 2)];
        for entry in entries {
            journal.record(entry).unwrap();
        }
        assert_eq!(read(&path).unwrap(), entries);
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_promise_and_a_foreign_line_is_an_error() {
        assert_eq!(parse("1 10 1\n2 2").unwrap(), [entry(1, 10, 1)]);
        assert_eq!(parse("1").unwrap(), []);
        assert_eq!(parse("").unwrap(), []);
        for bad in ["x 1 1\n", "1 1\n", "1 1 1 1\n", "\n\n"] {
            assert!(matches!(parse(bad), Err(JournalError::Line(1))), "{bad:?}");
        }
    }

    #[test]
    fn the_gap_of_a_fault_is_the_longest_that_ends_after_it() {
        let entries = [entry(1, 0, 1), entry(2, 900, 1), entry(3, 1000, 1), entry(9, 1500, 2), entry(10, 1510, 2)];
        let gap = longest_gap(&entries, 1001).unwrap();
        assert_eq!((gap.before.row, gap.after.row, gap.nanos()), (3, 9, 500));
        assert_eq!(longest_gap(&entries, 1511), None);
    }

    #[test]
    fn the_gap_of_a_takeover_ends_on_the_new_timeline_whatever_comes_later() {
        let entries = [entry(1, 900, 1), entry(2, 1000, 1), entry(9, 1500, 2), entry(10, 9000, 2)];
        let gap = takeover_gap(&entries, 950).unwrap();
        assert_eq!((gap.before.row, gap.after.row, gap.nanos()), (2, 9, 500));
        let in_place = [entry(1, 900, 1), entry(2, 1000, 1), entry(3, 1600, 1)];
        assert_eq!(takeover_gap(&in_place, 950).unwrap().nanos(), 600);
    }
}
