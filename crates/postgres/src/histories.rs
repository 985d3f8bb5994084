//! History files in `pg_wal` that postgres itself does not put there: stand-ins for timeline ids that were given up
//! (docs/adr/0012-stand-ins-for-histories.md), and what it should have written where it was promoted short of its
//! target (docs/adr/0019-a-parent-that-was-not-reached.md). Everything here blocks, and may be done again.

use std::io;
use std::path::{Path, PathBuf};

use pgherd_core::timeline::{History, HistoryError, TimelineId, is_stand_in};

use crate::files::{FileError, read_optional, remove_durable, rename_durable, write_durable};
use crate::waltail::{WalTailError, history_of};

/// The histories could not be completed. Whatever was done stays, each file whole.
#[derive(Debug, thiserror::Error)]
pub enum HistoriesError {
    /// A file was not read, written or renamed.
    #[error("failed to complete the histories in pg_wal")]
    File(#[from] FileError),
    /// The history of the timeline itself cannot be read.
    #[error("failed to read the history that the others follow from")]
    Own(#[from] WalTailError),
    /// The folder cannot be listed.
    #[error("failed to list {path:?}")]
    List {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Puts stand-ins for the ids that were given up on the way to `timeline`, which this instance was promoted to: without
/// them no standby of an earlier one can follow. Before it is opened to clients. Answers for which ids it did.
///
/// # Errors
/// [`HistoriesError`].
pub fn fill_gaps(pg_wal: &Path, timeline: TimelineId) -> Result<Vec<TimelineId>, HistoriesError> {
    let Some(own) = history_of(pg_wal, timeline)? else { return Ok(Vec::new()) };
    let mut filled = Vec::new();
    for id in own.recent() {
        let Some(text) = own.stand_in(id) else { continue };
        let path = history_file(pg_wal, id);
        // A blank one is what postgres was told during the promotion, where it kept that.
        if read_optional(&path)?.is_none_or(|present| is_blank(id, &present)) {
            write_durable(&path, text.as_bytes(), 0o600)?;
            filled.push(id);
        }
    }
    Ok(filled)
}

/// Has the archiver look at the histories of the last two promotions, the ids among them that were given up and the
/// parent's: a restore to the latest timeline stops below the first one that the archive lacks, and whoever had to
/// archive them may have died before it did. What is there already is found equal. Answers how many there are.
///
/// # Errors
/// [`HistoriesError`].
pub fn offer_to_archive(pg_wal: &Path, timeline: TimelineId) -> Result<usize, HistoriesError> {
    let Some(own) = history_of(pg_wal, timeline)? else { return Ok(0) };
    let mut offered = 0;
    for id in own.recent().filter(|id| history_file(pg_wal, *id).exists()) {
        let status = |state: &str| pg_wal.join(format!("archive_status/{:08X}.history.{state}", id.0));
        if status("done").exists() {
            rename_durable(&status("done"), &status("ready"))?;
        } else if !status("ready").exists() {
            write_durable(&status("ready"), b"", 0o600)?;
        }
        offered += 1;
    }
    Ok(offered)
}

/// Takes away what a promotion that failed may have left: a standby would find a timeline that descends from nothing,
/// look for WAL of it, and not come up. Answers which ids' they were.
///
/// # Errors
/// [`HistoriesError`].
pub fn drop_blanks(pg_wal: &Path) -> Result<Vec<TimelineId>, HistoriesError> {
    let mut dropped = Vec::new();
    for id in listed(pg_wal)? {
        let path = history_file(pg_wal, id);
        if read_optional(&path)?.is_some_and(|present| is_blank(id, &present)) {
            remove_durable(&path)?;
            dropped.push(id);
        }
    }
    Ok(dropped)
}

/// Takes ancestors that were never reached out of every history, as [`mend_one`] does: before a start, since a manager
/// may have been killed right after a promotion, or a receiver have been faster. Answers which ids' it was.
///
/// # Errors
/// [`HistoriesError`].
pub fn mend(pg_wal: &Path) -> Result<Vec<TimelineId>, HistoriesError> {
    let mut mended = Vec::new();
    for id in listed(pg_wal)? {
        if mend_one(pg_wal, id)? {
            mended.push(id);
        }
    }
    Ok(mended)
}

/// Takes ancestors that were never reached out of a history ([`History::mended`]): that of a promotion, before anybody may
/// follow it or it is archived. What cannot be read is left as it is. Answers whether there was one.
///
/// # Errors
/// [`HistoriesError`].
pub fn mend_one(pg_wal: &Path, id: TimelineId) -> Result<bool, HistoriesError> {
    let path = history_file(pg_wal, id);
    let text = read_optional(&path)?.and_then(|present| History::mended(id, &present).ok().flatten());
    let Some(text) = text else { return Ok(false) };
    write_durable(&path, text.as_bytes(), 0o600)?;
    Ok(true)
}

/// The ids that there is a history file of, in ascending order.
fn listed(pg_wal: &Path) -> Result<Vec<TimelineId>, HistoriesError> {
    let failed = |source| HistoriesError::List { path: pg_wal.to_owned(), source };
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(pg_wal).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".history")).filter(|digits| digits.len() == 8);
        ids.extend(digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).map(TimelineId));
    }
    ids.sort_unstable();
    Ok(ids)
}

fn is_blank(id: TimelineId, text: &str) -> bool {
    let history: Result<History, HistoryError> = History::parse(id, text);
    is_stand_in(text.as_bytes()) && history.is_ok_and(|history| history.ancestors().is_empty())
}

fn history_file(pg_wal: &Path, id: TimelineId) -> PathBuf {
    pg_wal.join(format!("{:08X}.history", id.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::timeline::BLANK;
    use std::fs;

    fn pg_wal(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("archive_status")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_missing_or_blank_is_filled_once_and_nothing_else_is_touched() {
        let five = "1\t0/10\twhy\n";
        let real = "1\t0/9\tnever opened\n";
        let dir = pg_wal(&[("00000005.history", five), ("00000003.history", BLANK), ("00000004.history", real)]);
        assert_eq!(fill_gaps(dir.path(), TimelineId(5)).unwrap(), [TimelineId(2), TimelineId(3)]);
        let read = |id: u32| fs::read_to_string(history_file(dir.path(), TimelineId(id))).unwrap();
        assert!(read(2) == read(3) && read(2).ends_with(five), "{}", read(2));
        assert_eq!((read(4).as_str(), read(5).as_str()), (real, five));
        assert!(fill_gaps(dir.path(), TimelineId(5)).unwrap().is_empty());
    }

    #[test]
    fn a_timeline_without_a_past_has_no_gaps() {
        for (id, files) in [(1, vec![]), (2, vec![("00000002.history", "1\t0/10\twhy\n")]), (7, vec![])] {
            let dir = pg_wal(&files);
            assert!(fill_gaps(dir.path(), TimelineId(id)).unwrap().is_empty());
            assert_eq!(offer_to_archive(dir.path(), TimelineId(id)).unwrap(), 0);
            assert_eq!(names(dir.path()).len(), 1 + files.len());
        }
    }

    #[test]
    fn the_archiver_is_offered_what_the_last_two_promotions_left_whatever_was_made_of_it_before() {
        let dir = pg_wal(&[
            ("00000002.history", "1\t0/10\twhy\n"),
            ("00000004.history", "1\t0/10\twhy\n2\t0/20\twhy\n"),
            ("00000006.history", "1\t0/10\twhy\n2\t0/20\twhy\n4\t0/30\twhy\n"),
            ("archive_status/00000004.history.done", ""),
            ("archive_status/00000006.history.ready", ""),
        ]);
        assert_eq!(fill_gaps(dir.path(), TimelineId(6)).unwrap(), [TimelineId(3), TimelineId(5)]);
        for _ in 0..2 {
            assert_eq!(offer_to_archive(dir.path(), TimelineId(6)).unwrap(), 3);
            let status = names(&dir.path().join("archive_status"));
            assert_eq!(status, [3, 4, 5, 6].map(|id| format!("{id:08X}.history.ready")));
        }
    }

    #[test]
    fn a_history_with_a_parent_that_was_not_reached_is_mended_once() {
        let broken = "1\t0/9\tlost\n2\t0/5\tnow\n";
        let dir = pg_wal(&[
            ("00000002.history", "1\t0/9\tlost\n"),
            ("00000003.history", broken),
            ("00000004.history", "no history\n"),
            ("00000005.history", BLANK),
        ]);
        assert_eq!(mend(dir.path()).unwrap(), [TimelineId(3)]);
        assert_eq!(fs::read_to_string(dir.path().join("00000003.history")).unwrap(), "1\t0/5\tnow\n");
        assert!(mend(dir.path()).unwrap().is_empty());
        assert_eq!(listed(dir.path()).unwrap(), [2, 3, 4, 5].map(TimelineId));
    }

    #[test]
    fn what_a_failed_promotion_left_blank_goes_and_what_says_something_stays() {
        let stand_in = History::parse(TimelineId(4), "1\t0/10\twhy\n").unwrap().stand_in(TimelineId(3)).unwrap();
        let dir = pg_wal(&[
            ("00000002.history", BLANK),
            ("00000003.history", &stand_in),
            ("00000004.history", "1\t0/10\twhy\n"),
            ("notes.history", BLANK),
        ]);
        assert_eq!(drop_blanks(dir.path()).unwrap(), [TimelineId(2)]);
        assert_eq!(names(dir.path()), ["00000003.history", "00000004.history", "archive_status", "notes.history"]);
    }
}
