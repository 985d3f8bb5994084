//! `backup.info`: what barman says about a base backup, typed, written to the letter and read back
//! (barman 3.19, `infofile.py`: `BackupInfo`).
//!
//! One `key=value` a line, the keys sorted; `None` where there is none; lists, texts with line ends and the like as
//! Python prints them. The id is the name of the folder, and not in the file.

use super::{Literal, LiteralError, Timestamp};
use crate::identity::SystemId;
use crate::lease::WalPosition;
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use crate::wal::{SegmentName, SegmentSize};
use core::fmt::Display;
use core::str::FromStr;
use std::collections::BTreeMap;

/// How far a backup came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupStatus {
    /// `EMPTY`
    #[default]
    Empty,
    /// `STARTED`: newer barman writes it first, and over it at the end.
    Started,
    /// `FAILED`: [`BackupInfo::error`] says why.
    Failed,
    /// `WAITING_FOR_WALS`
    WaitingForWals,
    /// `DONE`: it can be restored.
    Done,
    /// `SYNCING`
    Syncing,
}

/// A tablespace of a backup, which lies in an archive named by its OID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tablespace {
    /// `spcname`.
    pub name: String,
    /// Its OID.
    pub oid: u32,
    /// The directory that it was in.
    pub location: String,
}

/// Where a backup begins or ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupEdge {
    /// `begin_time`, `end_time`: by the server's clock.
    pub time: Option<Timestamp>,
    /// `begin_xlog`, `end_xlog`: all WAL between the two is needed to restore it.
    pub lsn: Option<Lsn>,
    /// `begin_wal`, `end_wal`: the segment of that position.
    pub wal: Option<SegmentName>,
    /// `begin_offset`, `end_offset`: bytes into it.
    pub offset: Option<u64>,
}

/// All of a `backup.info`. What is absent is `None` in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupInfo {
    /// `status`
    pub status: BackupStatus,
    /// `error`: the first line of why it failed.
    pub error: Option<String>,
    /// `begin_*`
    pub begin: BackupEdge,
    /// `end_*`
    pub end: BackupEdge,
    /// `timeline`: the one that it began on.
    pub timeline: Option<TimelineId>,
    /// `systemid`
    pub system: Option<SystemId>,
    /// `version`: `server_version_num`, as 150018.
    pub version: Option<u32>,
    /// `xlog_segment_size`
    pub segment_size: SegmentSize,
    /// `backup_label`: goes into the data directory before postgres is started on it.
    pub backup_label: Option<String>,
    /// `backup_name`: a name for people; the line is left out where there is none.
    pub backup_name: Option<String>,
    /// `server_name`: `cloud` in every backup that was taken straight to a store.
    pub server_name: Option<String>,
    /// `pgdata`
    pub pgdata: Option<String>,
    /// `config_file`
    pub config_file: Option<String>,
    /// `hba_file`
    pub hba_file: Option<String>,
    /// `ident_file`
    pub ident_file: Option<String>,
    /// `included_files`
    pub included_files: Vec<String>,
    /// `tablespaces`
    pub tablespaces: Vec<Tablespace>,
    /// `data_checksums`
    pub data_checksums: Option<bool>,
    /// `summarize_wal`, since 17
    pub summarize_wal: Option<bool>,
    /// `cluster_size`: bytes of all databases when it began.
    pub cluster_size: Option<u64>,
    /// `size`: bytes; barman-cloud leaves it out.
    pub size: Option<u64>,
    /// `deduplicated_size`
    pub deduplicated_size: Option<u64>,
    /// `mode`
    pub mode: Option<String>,
    /// `compression`: barman-cloud leaves it out, since the suffixes tell.
    pub compression: Option<String>,
    /// `encryption`
    pub encryption: Option<String>,
    /// `copy_stats`
    pub copy_stats: Option<Literal>,
    /// `snapshots_info`: of backups by volume snapshots, which lie elsewhere; left out where there is none.
    pub snapshots_info: Option<Literal>,
    /// `parent_backup_id`: it is incremental, and no use without that one.
    pub parent: Option<String>,
    /// `children_backup_ids`
    pub children: Vec<String>,
    /// Lines of a newer barman, as they stand.
    pub other: BTreeMap<String, String>,
}

/// The text is no `backup.info`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// A line without `=`.
    #[error("failed to read backup.info: the line {0:?} has no key")]
    Line(String),
    /// A line's value is not what barman writes.
    #[error("failed to read backup.info: {key} is {value:?}")]
    Value {
        /// Which.
        key: String,
        /// What it says.
        value: String,
    },
    /// A line's value is not Python.
    #[error("failed to read {key} in backup.info")]
    Literal {
        /// Which.
        key: String,
        /// Why.
        #[source]
        source: LiteralError,
    },
}

impl BackupStatus {
    const ALL: [Self; 6] = [Self::Empty, Self::Started, Self::Failed, Self::WaitingForWals, Self::Done, Self::Syncing];

    /// The word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "EMPTY",
            Self::Started => "STARTED",
            Self::Failed => "FAILED",
            Self::WaitingForWals => "WAITING_FOR_WALS",
            Self::Done => "DONE",
            Self::Syncing => "SYNCING",
        }
    }
}

impl BackupEdge {
    /// The edge at a position: barman's own arithmetic, except where a position lies between two segments. Nothing of
    /// the later one is needed to reach it, and it may never come.
    #[must_use]
    pub fn at(position: WalPosition, size: SegmentSize, time: Timestamp, end: bool) -> Self {
        let WalPosition { timeline, lsn } = position;
        let (number, offset) = match (size.offset_of(lsn), end) {
            (0, true) => (size.segment_ending_at(lsn), size.bytes()),
            (offset, _) => (size.segment_of(lsn), offset),
        };
        let wal = SegmentName::new(timeline, number, size);
        Self { time: Some(time), lsn: Some(lsn), wal: Some(wal), offset: Some(offset) }
    }
}

impl BackupInfo {
    /// Where recovery starts.
    #[must_use]
    pub fn start(&self) -> Option<WalPosition> {
        Some(WalPosition { timeline: self.timeline?, lsn: self.begin.lsn? })
    }

    /// Where it is consistent: the timeline is that of the segment, which a promotion may have changed.
    #[must_use]
    pub fn consistent(&self) -> Option<WalPosition> {
        let timeline = self.end.wal.map(SegmentName::timeline).or(self.timeline)?;
        Some(WalPosition { timeline, lsn: self.end.lsn? })
    }

    /// Whether its data are whole, so that it can be restored given its WAL.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.status, BackupStatus::Done | BackupStatus::WaitingForWals)
    }

    /// The file's text.
    #[must_use]
    pub fn render(&self) -> String {
        let text = |value: &Option<String>| value.as_ref().map(|text| text.replace('\n', " "));
        let repr = |value: &Option<Literal>| value.as_ref().map(ToString::to_string);
        let on = |value: Option<bool>| value.map(|on| if on { "on" } else { "off" }.to_owned());
        let included = (!self.included_files.is_empty())
            .then(|| Literal::List(self.included_files.iter().map(Literal::text).collect()).to_string());
        let mut lines: BTreeMap<&str, Option<String>> = BTreeMap::from([
            ("backup_label", self.backup_label.as_ref().map(|label| Literal::text(label).to_string())),
            ("begin_offset", shown(self.begin.offset)),
            ("begin_time", shown(self.begin.time)),
            ("begin_wal", shown(self.begin.wal)),
            ("begin_xlog", shown(self.begin.lsn)),
            ("children_backup_ids", (!self.children.is_empty()).then(|| self.children.join(","))),
            ("cluster_size", shown(self.cluster_size)),
            ("compression", text(&self.compression)),
            ("config_file", text(&self.config_file)),
            ("copy_stats", repr(&self.copy_stats)),
            ("data_checksums", on(self.data_checksums)),
            ("deduplicated_size", shown(self.deduplicated_size)),
            ("encryption", text(&self.encryption)),
            ("end_offset", shown(self.end.offset)),
            ("end_time", shown(self.end.time)),
            ("end_wal", shown(self.end.wal)),
            ("end_xlog", shown(self.end.lsn)),
            ("error", text(&self.error)),
            ("hba_file", text(&self.hba_file)),
            ("ident_file", text(&self.ident_file)),
            ("included_files", included),
            ("mode", text(&self.mode)),
            ("parent_backup_id", text(&self.parent)),
            ("pgdata", text(&self.pgdata)),
            ("server_name", text(&self.server_name)),
            ("size", shown(self.size)),
            ("status", Some(self.status.as_str().to_owned())),
            ("summarize_wal", on(self.summarize_wal)),
            ("systemid", shown(self.system)),
            ("tablespaces", tablespaces(&self.tablespaces)),
            ("timeline", shown(self.timeline)),
            ("version", shown(self.version)),
            ("xlog_segment_size", Some(self.segment_size.bytes().to_string())),
        ]);
        let hidden = [("backup_name", text(&self.backup_name)), ("snapshots_info", repr(&self.snapshots_info))];
        lines.extend(hidden.into_iter().filter(|(_, value)| value.is_some()));
        for (key, value) in &self.other {
            lines.entry(key.as_str()).or_insert_with(|| Some(value.clone()));
        }
        let line = |(key, value): (&str, Option<String>)| format!("{key}={}\n", value.as_deref().unwrap_or("None"));
        lines.into_iter().map(line).collect()
    }

    /// Reads the file: any order, comments, blanks, lines that are missing or not known.
    ///
    /// # Errors
    /// [`InfoError`] names the line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, InfoError> {
        let mut info = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').ok_or_else(|| InfoError::Line(line.to_owned()))?;
            let (key, value) = (key.trim(), value.trim());
            if value != "None" && !value.is_empty() {
                info.set(&Line { key, value })?;
            }
        }
        Ok(info)
    }

    fn set(&mut self, line: &Line<'_>) -> Result<(), InfoError> {
        match line.key {
            "backup_label" => self.backup_label = Some(line.text()?),
            "backup_name" => self.backup_name = line.plain(),
            "begin_offset" => self.begin.offset = line.read()?,
            "begin_time" => self.begin.time = line.read()?,
            "begin_wal" => self.begin.wal = line.read()?,
            "begin_xlog" => self.begin.lsn = line.read()?,
            "children_backup_ids" => self.children = line.value.split(',').map(|id| id.trim().to_owned()).collect(),
            "cluster_size" => self.cluster_size = line.read()?,
            "compression" => self.compression = line.plain(),
            "config_file" => self.config_file = line.plain(),
            "copy_stats" => self.copy_stats = line.literal().map(Some)?,
            "data_checksums" => self.data_checksums = line.on()?,
            "deduplicated_size" => self.deduplicated_size = line.read()?,
            "encryption" => self.encryption = line.plain(),
            "end_offset" => self.end.offset = line.read()?,
            "end_time" => self.end.time = line.read()?,
            "end_wal" => self.end.wal = line.read()?,
            "end_xlog" => self.end.lsn = line.read()?,
            "error" => self.error = line.plain(),
            "hba_file" => self.hba_file = line.plain(),
            "ident_file" => self.ident_file = line.plain(),
            "included_files" => self.included_files = line.texts()?,
            "mode" => self.mode = line.plain(),
            "parent_backup_id" => self.parent = line.plain(),
            "pgdata" => self.pgdata = line.plain(),
            "server_name" => self.server_name = line.plain(),
            "size" => self.size = line.read()?,
            "snapshots_info" => self.snapshots_info = line.literal().map(Some)?,
            "status" => self.status = line.status()?,
            "summarize_wal" => self.summarize_wal = line.on()?,
            "systemid" => self.system = line.read()?.map(SystemId),
            "tablespaces" => self.tablespaces = line.tablespaces()?,
            "timeline" => self.timeline = line.read()?.filter(|id| *id > 0).map(TimelineId),
            "version" => self.version = line.read()?,
            "xlog_segment_size" => {
                let bytes = line.read()?.unwrap_or_default();
                self.segment_size = SegmentSize::new(bytes).map_err(|_| line.wrong())?;
            }
            _ => {
                self.other.insert(line.key.to_owned(), line.value.to_owned());
            }
        }
        Ok(())
    }
}

fn shown<T: Display>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn tablespaces(all: &[Tablespace]) -> Option<String> {
    let one = |tablespace: &Tablespace| {
        let Tablespace { name, oid, location } = tablespace;
        Literal::Tuple(vec![Literal::text(name), Literal::integer(u64::from(*oid)), Literal::text(location)])
    };
    (!all.is_empty()).then(|| Literal::List(all.iter().map(one).collect()).to_string())
}

/// One line whose value is not `None`.
struct Line<'a> {
    key: &'a str,
    value: &'a str,
}

impl Line<'_> {
    fn wrong(&self) -> InfoError {
        InfoError::Value { key: self.key.to_owned(), value: self.value.to_owned() }
    }

    fn plain(&self) -> Option<String> {
        Some(self.value.to_owned())
    }

    fn read<T: FromStr>(&self) -> Result<Option<T>, InfoError> {
        self.value.parse().map(Some).map_err(|_| self.wrong())
    }

    fn literal(&self) -> Result<Literal, InfoError> {
        Literal::parse(self.value).map_err(|source| InfoError::Literal { key: self.key.to_owned(), source })
    }

    fn text(&self) -> Result<String, InfoError> {
        self.literal()?.as_text().map(str::to_owned).ok_or_else(|| self.wrong())
    }

    fn texts(&self) -> Result<Vec<String>, InfoError> {
        let literal = self.literal()?;
        let items = literal.items().ok_or_else(|| self.wrong())?;
        items.iter().map(|item| item.as_text().map(str::to_owned).ok_or_else(|| self.wrong())).collect()
    }

    /// What `current_setting` prints, or Python.
    fn on(&self) -> Result<Option<bool>, InfoError> {
        match self.value {
            "on" | "True" | "true" => Ok(Some(true)),
            "off" | "False" | "false" => Ok(Some(false)),
            _ => Err(self.wrong()),
        }
    }

    fn status(&self) -> Result<BackupStatus, InfoError> {
        BackupStatus::ALL.into_iter().find(|status| status.as_str() == self.value).ok_or_else(|| self.wrong())
    }

    fn tablespaces(&self) -> Result<Vec<Tablespace>, InfoError> {
        let literal = self.literal()?;
        let one = |item: &Literal| match item.items()? {
            [name, oid, location] => Some(Tablespace {
                name: name.as_text()?.to_owned(),
                oid: u32::try_from(oid.as_integer()?).ok()?,
                location: location.as_text()?.to_owned(),
            }),
            _ => None,
        };
        let items = literal.items().ok_or_else(|| self.wrong())?;
        items.iter().map(|item| one(item).ok_or_else(|| self.wrong())).collect()
    }
}

#[cfg(test)]
#[path = "info_tests.rs"]
mod tests;
