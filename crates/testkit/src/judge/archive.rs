//! The rule about the archive: from the first segment to the last acknowledged row, along the timelines that led to the
//! present one, no segment is missing.

use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{History, TimelineId};
use pgherd_core::wal::{SegmentName, SegmentSize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Names of files, with their suffixes.
    pub files: Vec<String>,
    /// The timeline at the end.
    pub timeline: u32,
    /// Its history file as the archive has it; empty on timeline 1.
    pub history: String,
}

/// Segments that a restore up to `last` would not find, and history files that it would ask for in vain. `first` is
/// where the WAL must begin: the base that the first clone was made from.
///
/// # Errors
/// If the history file cannot be read: then nothing can be restored.
pub fn gaps(archive: &Archive, size: SegmentSize, first: Lsn, last: Lsn) -> Result<Vec<String>, String> {
    let timeline = TimelineId(archive.timeline);
    let history = if archive.timeline == 1 {
        History::of_first(timeline)
    } else {
        History::parse(timeline, &archive.history).map_err(|error| format!("{timeline}.history: {error}"))?
    };
    if archive.timeline > 1 && history.ancestors().is_empty() {
        return Err(format!("{timeline}.history names no ancestor"));
    }
    let held: BTreeSet<&str> = archive.files.iter().map(|file| whole(file)).collect();
    let name = |number| {
        // A switch copies the segment it falls into, up to the switch, onto the new timeline.
        let end = size.start_of(number).plus(size.bytes() - 1);
        SegmentName::new(history.timeline_at(end), number, size).to_string()
    };
    let mut missing = Vec::new();
    let mut number = size.segment_of(first);
    while number <= size.segment_of(last) {
        let wanted = name(number);
        if !held.contains(wanted.as_str()) {
            missing.push(wanted);
        }
        number = number.next();
    }
    let ancestors = history.ancestors().iter().map(|switch| switch.timeline.0).chain([archive.timeline]);
    let histories = ancestors.filter(|id| *id > 1).map(|id| format!("{id:08X}.history"));
    missing.extend(histories.filter(|file| !held.contains(file.as_str())));
    Ok(missing)
}

fn whole(file: &str) -> &str {
    let suffixes = [".gz", ".bz2", ".zst", ".lz4", ".snappy", ".xz"];
    suffixes.iter().find_map(|suffix| file.strip_suffix(suffix)).unwrap_or(file)
}
