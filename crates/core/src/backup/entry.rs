//! One base backup of a catalog, as far as choosing, windows and retention care.

use super::{BackupId, BackupInfo, BackupStatus, Timestamp};
use crate::identity::SystemId;
use crate::lease::WalPosition;
use crate::wal::{SegmentName, SegmentSize};

/// One folder below `base/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The folder's name: barman's backup id.
    pub id: BackupId,
    /// `backup_name`, where it was given one.
    pub name: Option<String>,
    /// What became of it.
    pub state: State,
    /// Somebody wants it kept (`barman-cloud-backup-keep`).
    pub keep: Option<Keep>,
}

/// What became of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// `status=DONE`, with all that a recovery needs to know.
    Complete(Span),
    /// `status=FAILED`: it will never be whole.
    Failed,
    /// No `backup.info`, or one of a backup that still runs: it is being made, or its maker died.
    Unfinished,
}

/// How a backup is kept beyond its time (`annotations/keep`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// `full`: with all WAL since, so that it stays the base of any later point.
    Full,
    /// `standalone`: with only the WAL that makes it consistent.
    Standalone,
}

/// From where to where a complete backup reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// `systemid`.
    pub system: Option<SystemId>,
    /// The server's version as a number, 150018.
    pub version: u32,
    /// `begin_xlog` on `timeline`: recovery starts here.
    pub begin: WalPosition,
    /// `end_xlog`: from here on it is consistent.
    pub end: WalPosition,
    /// `begin_wal`.
    pub begin_wal: SegmentName,
    /// `end_wal`.
    pub end_wal: SegmentName,
    /// `begin_time`.
    pub begin_time: Timestamp,
    /// `end_time`: no earlier moment can be recovered from it.
    pub end_time: Timestamp,
    /// `xlog_segment_size`.
    pub segment_size: SegmentSize,
}

impl Entry {
    /// What `backup.info` comes to, where there is one.
    #[must_use]
    pub fn new(id: BackupId, info: Option<&BackupInfo>, keep: Option<Keep>) -> Self {
        let state = match info {
            Some(info) if info.status == BackupStatus::Failed => State::Failed,
            Some(info) => Span::of(info).map_or(State::Unfinished, State::Complete),
            None => State::Unfinished,
        };
        Self { id, name: info.and_then(|info| info.backup_name.clone()), state, keep }
    }

    /// From where to where, if it is complete.
    #[must_use]
    pub fn span(&self) -> Option<&Span> {
        match &self.state {
            State::Complete(span) => Some(span),
            State::Failed | State::Unfinished => None,
        }
    }

    /// When it was begun, by its id: barman names the folder after the clock of its host.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        let (date, clock) = self.id.as_str().split_once('T')?;
        let part = |text: &str, from: usize, to: usize| text.get(from..to).map(str::to_owned);
        let (year, month, day) = (part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?);
        let (hour, minute, second) = (part(clock, 0, 2)?, part(clock, 2, 4)?, part(clock, 4, 6)?);
        format!("{year}-{month}-{day} {hour}:{minute}:{second}Z").parse().ok()
    }
}

impl Span {
    /// Of a backup whose data are whole; nothing where something that a recovery needs is not said, and of one that is
    /// no use without another.
    fn of(info: &BackupInfo) -> Option<Self> {
        if !info.is_done() || info.parent.is_some() || info.snapshots_info.is_some() {
            return None;
        }
        Some(Self {
            system: info.system,
            version: info.version?,
            begin: info.start()?,
            end: info.consistent()?,
            begin_wal: info.begin.wal?,
            end_wal: info.end.wal?,
            begin_time: info.begin.time?,
            end_time: info.end.time?,
            segment_size: info.segment_size,
        })
    }
}

#[cfg(test)]
pub(in crate::backup) mod tests {
    use super::*;
    use crate::lsn::Lsn;
    use crate::timeline::TimelineId;

    pub const MIB16: SegmentSize = SegmentSize::DEFAULT;

    /// A complete backup on `timeline` that begins in segment `begin`, ends in segment `end`, at minute `minute`.
    pub fn complete(id: &str, timeline: u32, (begin, end): (u64, u64), minute: i64) -> Entry {
        let timeline = TimelineId(timeline);
        let at = |segment: u64| WalPosition { timeline, lsn: Lsn(segment * MIB16.bytes() + 0x28) };
        let (begin, end) = (at(begin), at(end));
        Entry {
            id: id.parse().unwrap(),
            name: None,
            keep: None,
            state: State::Complete(Span {
                system: Some(SystemId(7)),
                version: 150_018,
                begin,
                end,
                begin_wal: SegmentName::of(timeline, begin.lsn, MIB16),
                end_wal: SegmentName::of(timeline, end.lsn, MIB16),
                begin_time: Timestamp::from_seconds(minute * 60 - 30),
                end_time: Timestamp::from_seconds(minute * 60),
                segment_size: MIB16,
            }),
        }
    }

    #[test]
    fn an_id_tells_when_a_backup_was_begun() {
        let begun = |id: &str| complete(id, 1, (1, 1), 0).begun().map(Timestamp::rfc3339);
        assert_eq!(begun("20261123T202108").as_deref(), Some("2026-11-23T20:21:08Z"));
        assert_eq!(begun("20261323T202108"), None);
    }

    #[test]
    fn only_what_can_be_restored_by_itself_is_complete() {
        let text = "status=DONE\nversion=150018\ntimeline=1\nbegin_xlog=0/5000028\nend_xlog=0/60D4390\n\
            begin_wal=000000010000000000000005\nend_wal=000000010000000000000006\nsystemid=7\n\
            begin_time=2026-11-23 20:21:08+00:00\nend_time=2026-11-23 20:21:26+00:00\n";
        let state = |text: &str| {
            Entry::new("20261123T202108".parse().unwrap(), Some(&BackupInfo::parse(text).unwrap()), None).state
        };
        assert!(matches!(state(text), State::Complete(span) if span.end.lsn == Lsn(0x60D_4390)));
        assert_eq!(state(&text.replace("DONE", "FAILED")), State::Failed);
        for unfit in [
            text.replace("DONE", "STARTED"),
            text.replace("end_xlog=0/60D4390", "end_xlog=None"),
            format!("{text}parent_backup_id=20261122T202108\n"),
            format!("{text}snapshots_info={{'provider': 'aws'}}\n"),
        ] {
            assert_eq!(state(&unfit), State::Unfinished, "{unfit}");
        }
        assert_eq!(Entry::new("20261123T202108".parse().unwrap(), None, None).state, State::Unfinished);
    }
}
