//! Names of the files in `pg_wal` that are archived (`access/xlog_internal.h`).

use super::{SegmentNo, SegmentSize};
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The 24 digits that name a segment: timeline, 4 GiB log, segment within the log.
///
/// Printing and reading it needs no segment size; only its [`SegmentName::number`] does. Ordered by
/// timeline, then position, as the names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    timeline: TimelineId,
    log: u32,
    seg: u32,
}

/// A file of `pg_wal` that goes to the archive. The order of the variants has no meaning:
/// [`crate::archive`] knows what goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WalName {
    /// `TTTTTTTT.history`: where this timeline left its parent.
    History(TimelineId),
    /// A whole segment.
    Segment(SegmentName),
    /// `<segment>.partial`: the last, incomplete segment of a timeline that was left.
    Partial(SegmentName),
    /// `<segment>.<offset>.backup`: written at the end of a base backup that started at that offset.
    Backup {
        /// The segment in which the backup started.
        segment: SegmentName,
        /// Bytes into it.
        offset: u32,
    },
}

/// The text names no file that postgres archives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {0:?} as the name of a WAL file: expected 24 hexadecimal digits, or TIMELINE.history")]
pub struct WalNameError(pub String);

impl SegmentName {
    /// The name of segment `number` on `timeline`; the number saturates at the last one that a name can hold.
    #[must_use]
    pub fn new(timeline: TimelineId, number: SegmentNo, size: SegmentSize) -> Self {
        let last = size.segment_of(Lsn::MAX);
        let number = number.min(last).0;
        // Both fit: `last` is below 2^32 logs, and a log has at most 4096 segments.
        let log = u32::try_from(number / size.per_log()).unwrap_or(u32::MAX);
        let seg = u32::try_from(number % size.per_log()).unwrap_or(u32::MAX);
        Self { timeline, log, seg }
    }

    /// The segment that holds the byte at `lsn`.
    #[must_use]
    pub fn of(timeline: TimelineId, lsn: Lsn, size: SegmentSize) -> Self {
        Self::new(timeline, size.segment_of(lsn), size)
    }

    /// Its timeline.
    #[must_use]
    pub fn timeline(self) -> TimelineId {
        self.timeline
    }

    /// Its number, or nothing if no segment of that size has this name.
    #[must_use]
    pub fn number(self, size: SegmentSize) -> Option<SegmentNo> {
        let seg = u64::from(self.seg);
        (seg < size.per_log()).then(|| SegmentNo(u64::from(self.log) * size.per_log() + seg))
    }

    /// The first byte in it, or nothing if no segment of that size has this name.
    #[must_use]
    pub fn start(self, size: SegmentSize) -> Option<Lsn> {
        self.number(size).map(|number| size.start_of(number))
    }

    /// The segment after this one on the same timeline: nothing past the end of WAL, or for a name that does
    /// not go with `size`.
    #[must_use]
    pub fn next(self, size: SegmentSize) -> Option<Self> {
        let next = self.number(size)?.next();
        (next <= size.segment_of(Lsn::MAX)).then(|| Self::new(self.timeline, next, size))
    }

    /// The first 16 digits, timeline and log: the directory that barman keeps the segment in.
    #[must_use]
    pub fn directory(self) -> String {
        format!("{:08X}{:08X}", self.timeline.0, self.log)
    }
}

impl WalName {
    /// The segment of `number` on `timeline`.
    #[must_use]
    pub fn segment(timeline: TimelineId, number: SegmentNo, size: SegmentSize) -> Self {
        Self::Segment(SegmentName::new(timeline, number, size))
    }

    /// The timeline that the file belongs to.
    #[must_use]
    pub fn timeline(self) -> TimelineId {
        match self {
            Self::History(timeline) => timeline,
            Self::Segment(segment) | Self::Partial(segment) | Self::Backup { segment, .. } => segment.timeline,
        }
    }

    /// The segment that the file is, or is about; history files have none.
    #[must_use]
    pub fn segment_name(self) -> Option<SegmentName> {
        match self {
            Self::History(_) => None,
            Self::Segment(segment) | Self::Partial(segment) | Self::Backup { segment, .. } => Some(segment),
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}{:08X}{:08X}", self.timeline.0, self.log, self.seg)
    }
}

impl fmt::Display for WalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History(timeline) => write!(f, "{:08X}.history", timeline.0),
            Self::Segment(segment) => write!(f, "{segment}"),
            Self::Partial(segment) => write!(f, "{segment}.partial"),
            Self::Backup { segment, offset } => write!(f, "{segment}.{offset:08X}.backup"),
        }
    }
}

/// Exactly eight upper-case hexadecimal digits, as postgres writes them.
fn hex8(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Timeline 0 does not exist.
fn timeline(text: &str) -> Option<TimelineId> {
    hex8(text).filter(|id| *id != 0).map(TimelineId)
}

fn segment(text: &str) -> Option<SegmentName> {
    let (first, rest) = text.split_at_checked(8)?;
    let (second, third) = rest.split_at_checked(8)?;
    Some(SegmentName { timeline: timeline(first)?, log: hex8(second)?, seg: hex8(third)? })
}

fn name(text: &str) -> Option<WalName> {
    let mut parts = text.split('.');
    match (parts.next()?, parts.next(), parts.next(), parts.next()) {
        (digits, None, ..) => segment(digits).map(WalName::Segment),
        (digits, Some("history"), None, _) => timeline(digits).map(WalName::History),
        (digits, Some("partial"), None, _) => segment(digits).map(WalName::Partial),
        (digits, Some(offset), Some("backup"), None) => {
            Some(WalName::Backup { segment: segment(digits)?, offset: hex8(offset)? })
        }
        _ => None,
    }
}

impl FromStr for SegmentName {
    type Err = WalNameError;

    fn from_str(text: &str) -> Result<Self, WalNameError> {
        segment(text).ok_or_else(|| WalNameError(text.to_owned()))
    }
}

impl FromStr for WalName {
    type Err = WalNameError;

    fn from_str(text: &str) -> Result<Self, WalNameError> {
        name(text).ok_or_else(|| WalNameError(text.to_owned()))
    }
}

impl Serialize for WalName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WalName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "filename_tests.rs"]
mod tests;
