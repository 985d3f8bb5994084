//! `backup_label`, which says where recovery from a base backup starts, and the `.backup` history file, which
//! adds where it ended (`build_backup_content` in `access/transam/xlogbackup.c`).

use crate::lease::WalPosition;
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use crate::wal::SegmentName;
use core::str::FromStr;

/// Where a base backup started, and how it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupLabel {
    /// `START WAL LOCATION`: the redo point; recovery starts here, on `START TIMELINE`.
    pub start: WalPosition,
    /// The segment that holds it.
    pub start_segment: SegmentName,
    /// `CHECKPOINT LOCATION`.
    pub checkpoint: Lsn,
    /// `BACKUP METHOD`: `streamed` in every supported version.
    pub method: String,
    /// `BACKUP FROM: standby`.
    pub from_standby: bool,
    /// `START TIME`, for people: in the server's time zone.
    pub start_time: String,
    /// `LABEL`.
    pub label: String,
    /// `INCREMENTAL FROM LSN` and `TLI` (since 17): it is no use without the backup it builds on.
    pub incremental_from: Option<WalPosition>,
    /// In a `.backup` file: where it ended.
    pub end: Option<BackupEnd>,
}

/// Where a base backup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupEnd {
    /// `STOP WAL LOCATION`, on `STOP TIMELINE`: recovery is consistent once it has replayed up to here.
    pub stop: WalPosition,
    /// The segment that holds it.
    pub stop_segment: SegmentName,
    /// `STOP TIME`, for people.
    pub stop_time: String,
}

/// The text is no backup label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A line is not there.
    #[error("failed to read a backup label: it has no line {0:?}")]
    Missing(&'static str),
    /// A line's value is not what postgres writes.
    #[error("failed to read a backup label: the line {field:?} has the value {value:?}")]
    Value {
        /// Which.
        field: &'static str,
        /// What it says.
        value: String,
    },
}

struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn find(&self, field: &'static str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))
    }

    fn get(&self, field: &'static str) -> Result<&'a str, LabelError> {
        self.find(field).ok_or(LabelError::Missing(field))
    }

    fn parse<T: FromStr>(&self, field: &'static str) -> Result<T, LabelError> {
        read(field, self.get(field)?)
    }

    /// `0/5000028 (file 000000010000000000000005)`
    fn location(&self, field: &'static str) -> Result<(Lsn, SegmentName), LabelError> {
        let value = self.get(field)?;
        let bad = || LabelError::Value { field, value: value.to_owned() };
        let (lsn, file) = value.split_once(" (file ").ok_or_else(bad)?;
        Ok((read(field, lsn)?, read(field, file.strip_suffix(')').ok_or_else(bad)?)?))
    }

    fn timeline(&self, field: &'static str) -> Result<TimelineId, LabelError> {
        let id: u32 = self.parse(field)?;
        if id == 0 { Err(LabelError::Value { field, value: "0".to_owned() }) } else { Ok(TimelineId(id)) }
    }
}

fn read<T: FromStr>(field: &'static str, value: &str) -> Result<T, LabelError> {
    value.parse().map_err(|_| LabelError::Value { field, value: value.to_owned() })
}

impl BackupLabel {
    /// Reads `backup_label` or a `.backup` file.
    ///
    /// # Errors
    /// [`LabelError`] names the line that is missing or wrong.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let fields = Fields(text);
        let (start, start_segment) = fields.location("START WAL LOCATION")?;
        // Before 11 there was no START TIMELINE; the file's name says it too.
        let timeline = match fields.find("START TIMELINE") {
            Some(_) => fields.timeline("START TIMELINE")?,
            None => start_segment.timeline(),
        };
        let incremental_from = match fields.find("INCREMENTAL FROM LSN") {
            Some(_) => Some(WalPosition {
                timeline: fields.timeline("INCREMENTAL FROM TLI")?,
                lsn: fields.parse("INCREMENTAL FROM LSN")?,
            }),
            None => None,
        };
        Ok(Self {
            start: WalPosition { timeline, lsn: start },
            start_segment,
            checkpoint: fields.parse("CHECKPOINT LOCATION")?,
            method: fields.get("BACKUP METHOD")?.to_owned(),
            from_standby: fields.get("BACKUP FROM")? == "standby",
            start_time: fields.get("START TIME")?.to_owned(),
            label: fields.get("LABEL")?.to_owned(),
            incremental_from,
            end: Self::parse_end(&fields, timeline)?,
        })
    }

    fn parse_end(fields: &Fields<'_>, start: TimelineId) -> Result<Option<BackupEnd>, LabelError> {
        if fields.find("STOP WAL LOCATION").is_none() {
            return Ok(None);
        }
        let (stop, stop_segment) = fields.location("STOP WAL LOCATION")?;
        let timeline = match fields.find("STOP TIMELINE") {
            Some(_) => fields.timeline("STOP TIMELINE")?,
            None => start,
        };
        let stop_time = fields.get("STOP TIME")?.to_owned();
        Ok(Some(BackupEnd { stop: WalPosition { timeline, lsn: stop }, stop_segment, stop_time }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABEL: &str = "START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\n\
        CHECKPOINT LOCATION: 0/5000098\n\
        BACKUP METHOD: streamed\n\
        BACKUP FROM: primary\n\
        START TIME: 2026-11-23 20:21:08 UTC\n\
        LABEL: Barman backup cloud 20261123T202108\n\
        START TIMELINE: 1\n";

    fn without(field: &str) -> String {
        LABEL.lines().filter(|line| !line.starts_with(field)).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn reads_the_label_that_postgres_wrote() {
        let label = BackupLabel::parse(LABEL).unwrap();
        assert_eq!(label.start, WalPosition { timeline: TimelineId(1), lsn: Lsn(0x500_0028) });
        assert_eq!(label.start_segment.to_string(), "000000010000000000000005");
        assert_eq!(label.checkpoint, Lsn(0x500_0098));
        assert_eq!((label.method.as_str(), label.from_standby), ("streamed", false));
        assert_eq!(label.label, "Barman backup cloud 20261123T202108");
        assert_eq!((label.end, label.incremental_from), (None, None));
    }

    #[test]
    fn reads_where_a_backup_ended_and_what_it_builds_on() {
        let text = format!(
            "{}STOP WAL LOCATION: 0/60D4390 (file 000000010000000000000006)\nSTOP TIME: 2026-11-23 20:21:26 UTC\nSTOP TIMELINE: 1\n\
             INCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\n",
            LABEL.replace("primary", "standby")
        );
        let label = BackupLabel::parse(&text).unwrap();
        assert!(label.from_standby);
        assert_eq!(label.end.unwrap().stop, WalPosition { timeline: TimelineId(1), lsn: Lsn(0x60D_4390) });
        assert_eq!(label.incremental_from, Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(0x200_0028) }));
    }

    #[test]
    fn names_the_line_that_is_missing_or_wrong() {
        for field in
            ["START WAL LOCATION", "CHECKPOINT LOCATION", "BACKUP METHOD", "BACKUP FROM", "START TIME", "LABEL"]
        {
            assert_eq!(BackupLabel::parse(&without(field)), Err(LabelError::Missing(field)));
        }
        assert!(BackupLabel::parse(&without("START TIMELINE")).is_ok());
        for (from, to) in
            [("0/5000028 (", "("), ("(file ", "("), ("0005)", "0005"), ("0/5000098", "nowhere"), ("LINE: 1", "LINE: 0")]
        {
            assert!(
                matches!(BackupLabel::parse(&LABEL.replacen(from, to, 1)), Err(LabelError::Value { .. })),
                "{from}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).*") {
            let _ = BackupLabel::parse(&text);
        }

        #[test]
        fn a_damaged_label_never_panics(at in 0_usize..250, with in "\\PC{0,3}") {
            let damaged: String = LABEL.chars().take(at).chain(with.chars()).chain(LABEL.chars().skip(at + 1)).collect();
            let _ = BackupLabel::parse(&damaged);
        }
    }
}
