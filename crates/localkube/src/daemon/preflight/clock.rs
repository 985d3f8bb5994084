//! The wall clock: certificates are valid from when they were made, and S3 refuses requests from another time.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Finding;
use crate::daemon::UpOptions;
use crate::daemon::options::Layout;

/// Before this program existed.
const EARLIEST: i64 = 1_700_000_000;
/// 2100.
const LATEST: i64 = 4_102_444_800;
/// By how much the times of files and the clock may differ.
const SLACK: i64 = 60;

pub(super) fn look(options: &UpOptions) -> Option<Finding> {
    let layout = Layout::new(&options.state_dir);
    let files = [layout.api().join("journal.jsonl"), layout.options(), options.helper.clone()];
    judge(Timestamp::now(), files.into_iter().filter_map(written).max_by_key(|(at, _)| *at))
}

fn written(file: PathBuf) -> Option<(Timestamp, PathBuf)> {
    let at = file.metadata().ok()?.modified().ok()?;
    Some((Timestamp::try_from(at).ok()?, file))
}

/// What is wrong with a clock that says `now`, given the file that was written last.
fn judge(now: Timestamp, last: Option<(Timestamp, impl AsRef<Path>)>) -> Option<Finding> {
    let second = now.as_second();
    if !(EARLIEST..LATEST).contains(&second) {
        let text = format!("the clock says {now}, which cannot be: certificates would not be valid");
        return Some(Finding { fatal: true, text });
    }
    let (at, file) = last.filter(|(at, _)| at.as_second() > second.saturating_add(SLACK))?;
    let text = format!(
        "the clock says {now}, and {} was written at {at}: it was set back, and certificates made since are not valid yet",
        file.as_ref().display()
    );
    Some(Finding { fatal: false, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_out_of_this_century_is_fatal_and_one_that_was_set_back_is_noted() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let judge = |now: &str, last: Option<&str>| judge(at(now), last.map(|last| (at(last), "f"))).map(|f| f.fatal);
        for (now, last, found) in [
            ("2026-05-01T12:00:00Z", None, None),
            ("2026-05-01T12:00:00Z", Some("2026-05-01T11:00:00Z"), None),
            ("2026-05-01T12:00:00Z", Some("2026-05-01T12:00:59Z"), None),
            ("2026-05-01T12:00:00Z", Some("2026-05-01T13:00:00Z"), Some(false)),
            ("1970-01-01T00:00:10Z", None, Some(true)),
            ("2150-01-01T00:00:00Z", None, Some(true)),
        ] {
            assert_eq!(judge(now, last), found, "{now} {last:?}");
        }
    }
}
