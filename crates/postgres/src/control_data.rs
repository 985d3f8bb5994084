//! What pg_controldata says about a data directory: identity, state, checkpoint, recovery end.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;

use crate::reap::Reaper;
use crate::run::RunError;

/// pg_controldata did not run, or its answer is not understood.
#[derive(Debug, thiserror::Error)]
pub enum ControlDataError {
    /// The program failed; it does so on a damaged control file.
    #[error("failed to read the control file")]
    Run(#[from] RunError),
    /// What it holds is not what postgres wrote: none of it may be believed.
    #[error("the control file is damaged: its checksum does not match")]
    Damaged,
    /// A line is missing or cannot be read.
    #[error("failed to read {field:?} of pg_controldata from {value:?}")]
    Field {
        /// The label in front of the colon.
        field: &'static str,
        /// What stood behind it; empty when the line is missing.
        value: String,
    },
}

/// "Database cluster state" (`DBState` in `catalog/pg_control.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClusterState {
    /// Being started.
    StartingUp,
    /// Shut down cleanly as a primary.
    ShutDown,
    /// Shut down cleanly as a standby.
    ShutDownInRecovery,
    /// Was shutting down.
    ShuttingDown,
    /// Was in crash recovery.
    InCrashRecovery,
    /// Runs, or crashed, as a standby or in a recovery from the archive.
    InArchiveRecovery,
    /// Runs, or crashed, as a primary.
    InProduction,
}

impl ClusterState {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "starting up" => Self::StartingUp,
            "shut down" => Self::ShutDown,
            "shut down in recovery" => Self::ShutDownInRecovery,
            "shutting down" => Self::ShuttingDown,
            "in crash recovery" => Self::InCrashRecovery,
            "in archive recovery" => Self::InArchiveRecovery,
            "in production" => Self::InProduction,
            _ => return None,
        })
    }

    /// Whether the last postgres stopped cleanly, so that the checkpoint's end is the end of its WAL.
    #[must_use]
    pub fn is_clean(self) -> bool {
        matches!(self, Self::ShutDown | Self::ShutDownInRecovery)
    }
}

/// The control file, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlData {
    /// "Database system identifier".
    pub system_id: SystemId,
    /// "Database cluster state".
    pub state: ClusterState,
    /// "Latest checkpoint's TimeLineID".
    pub timeline: TimelineId,
    /// "Latest checkpoint's PrevTimeLineID": another one where that checkpoint ended a recovery.
    pub previous_timeline: TimelineId,
    /// "Latest checkpoint location": where its record starts.
    pub checkpoint: Lsn,
    /// "Latest checkpoint's REDO location": where a recovery starts.
    pub redo: Lsn,
    /// "Minimum recovery ending location" and its timeline; None outside of an archive recovery.
    pub minimum_recovery_end: Option<(TimelineId, Lsn)>,
    /// "Backup start location", set while a base backup is not yet consistent.
    pub backup_start: Option<Lsn>,
    /// "End-of-backup record required".
    pub end_of_backup_required: bool,
    /// "wal_level setting".
    pub wal_level: String,
    /// "wal_log_hints setting".
    pub wal_log_hints: bool,
    /// "Bytes per WAL segment".
    pub segment_bytes: u64,
    /// "Data page checksum version" is not 0.
    pub checksums: bool,
    /// "pg_control version number".
    pub control_version: u32,
    /// "Catalog version number".
    pub catalog_version: u32,
    /// What a primary had of the parameters that a standby must not have less of, by name: "max_connections setting"
    /// and its like.
    pub sensitive: Vec<(&'static str, u32)>,
    /// Everything pg_controldata printed, as GET /pg/controldata answers it.
    pub raw: String,
}

impl ControlData {
    /// pg_rewind needs either of them to see all changed blocks.
    #[must_use]
    pub fn may_be_rewound(&self) -> bool {
        self.checksums || self.wal_log_hints
    }

    /// Reads the output of `LC_ALL=C pg_controldata`. Total: any text gives a value or an error.
    pub fn parse(text: &str) -> Result<Self, ControlDataError> {
        // pg_controldata warns, and prints what stands there all the same.
        if text.contains("CRC checksum does not match") {
            return Err(ControlDataError::Damaged);
        }
        let fields = Fields::new(text);
        let end = fields.lsn("Minimum recovery ending location")?;
        let end_timeline = fields.number("Min recovery ending loc's timeline")?;
        Ok(Self {
            system_id: SystemId(fields.number("Database system identifier")?),
            state: fields.read("Database cluster state", ClusterState::parse)?,
            timeline: TimelineId(fields.number("Latest checkpoint's TimeLineID")?),
            previous_timeline: TimelineId(fields.number("Latest checkpoint's PrevTimeLineID")?),
            checkpoint: fields.lsn("Latest checkpoint location")?,
            redo: fields.lsn("Latest checkpoint's REDO location")?,
            minimum_recovery_end: (end != Lsn(0)).then_some((TimelineId(end_timeline), end)),
            backup_start: Some(fields.lsn("Backup start location")?).filter(|lsn| *lsn != Lsn(0)),
            end_of_backup_required: fields.switch("End-of-backup record required", "yes", "no")?,
            wal_level: fields.read("wal_level setting", |value| Some(value.to_owned()))?,
            wal_log_hints: fields.switch("wal_log_hints setting", "on", "off")?,
            segment_bytes: fields.number("Bytes per WAL segment")?,
            checksums: fields.number::<u32>("Data page checksum version")? != 0,
            control_version: fields.number("pg_control version number")?,
            catalog_version: fields.number("Catalog version number")?,
            sensitive: vec![
                ("max_connections", fields.number("max_connections setting")?),
                ("max_locks_per_transaction", fields.number("max_locks_per_xact setting")?),
                ("max_prepared_transactions", fields.number("max_prepared_xacts setting")?),
                ("max_wal_senders", fields.number("max_wal_senders setting")?),
                ("max_worker_processes", fields.number("max_worker_processes setting")?),
            ],
            raw: text.to_owned(),
        })
    }

    /// Runs pg_controldata on a data directory, in use or not.
    pub async fn read(
        reaper: &Reaper,
        bin_dir: &Path,
        pgdata: &Path,
        deadline: Duration,
    ) -> Result<Self, ControlDataError> {
        let mut command = Command::new(bin_dir.join("pg_controldata"));
        command.arg("-D").arg(pgdata).env("LC_ALL", "C");
        Self::parse(&reaper.run(&mut command, deadline).await?.successful()?.stdout)
    }
}

struct Fields<'a>(HashMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Self(pairs.map(|(label, value)| (label.trim(), value.trim())).collect())
    }

    fn read<T>(&self, field: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, ControlDataError> {
        let value = self.0.get(field).copied().unwrap_or_default();
        let present = (!value.is_empty()).then_some(value);
        present.and_then(parse).ok_or_else(|| ControlDataError::Field { field, value: value.to_owned() })
    }

    fn number<T: std::str::FromStr>(&self, field: &'static str) -> Result<T, ControlDataError> {
        self.read(field, |value| value.parse().ok())
    }

    fn lsn(&self, field: &'static str) -> Result<Lsn, ControlDataError> {
        self.read(field, |value| value.parse().ok())
    }

    fn switch(&self, field: &'static str, on: &str, off: &str) -> Result<bool, ControlDataError> {
        self.read(field, |value| if value == on { Some(true) } else { (value == off).then_some(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STANDBY: &str = include_str!("../tests/data/controldata-15-standby.txt");

    #[test]
    fn a_standby_s_control_file_is_read_whole() {
        let data = ControlData::parse(STANDBY).unwrap();
        assert_eq!(data.system_id, SystemId(7_711_491_089_120_799_777));
        assert_eq!(data.state, ClusterState::InArchiveRecovery);
        assert_eq!((data.timeline, data.previous_timeline), (TimelineId(2), TimelineId(1)));
        assert_eq!((data.checkpoint, data.redo), (Lsn(0x0300_0060), Lsn(0x0300_0028)));
        assert_eq!(data.minimum_recovery_end, Some((TimelineId(2), Lsn(0x1_0300_0148))));
        assert_eq!((data.segment_bytes, data.checksums, data.may_be_rewound()), (16 << 20, true, true));
    }

    #[test]
    fn a_damaged_control_file_is_not_believed() {
        let warning = "WARNING: Calculated CRC checksum does not match value stored in file.\n\
                       Either the file is corrupt, or it has a different layout than this program is expecting.\n";
        let error = ControlData::parse(&format!("{warning}{STANDBY}")).unwrap_err();
        assert!(matches!(error, ControlDataError::Damaged), "{error}");
    }

    #[test]
    fn a_missing_line_is_named() {
        let text = STANDBY.replace("Latest checkpoint's TimeLineID", "Something else");
        let error = ControlData::parse(&text).unwrap_err();
        assert!(error.to_string().contains("Latest checkpoint's TimeLineID"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            drop(ControlData::parse(&text));
        }

        #[test]
        fn no_damage_makes_the_parser_panic(at in 0..STANDBY.len(), with in any::<char>()) {
            let mut text = STANDBY.to_owned();
            text.replace_range(at..=at, &with.to_string());
            drop(ControlData::parse(&text));
        }
    }
}
