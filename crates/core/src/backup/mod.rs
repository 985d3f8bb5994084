//! Base backups: what the files about them say, where they lie in an archive, when they are due and who takes them.

mod exclude;
mod info;
mod label;
mod layout;
mod literal;
mod orders;
mod schedule;
mod timestamp;

pub use exclude::{CONTROL_FILE, is_left_out, relation_segment};
pub use info::{BackupEdge, BackupInfo, BackupStatus, InfoError, Tablespace};
pub use label::{BackupEnd, BackupLabel, LabelError};
pub use layout::{ArchiveName, ArchiveNameError, BASE, BackupId, BackupIdError, BaseObject, Tree, parse_base_key};
pub use literal::{Literal, LiteralError};
pub use orders::{BackupFrom, BackupState, BackupStep, BackupView, SILENT_FOR, plan_backups};
pub use schedule::{ScheduleStep, ScheduleView, plan_schedule};
pub(crate) use timestamp::civil_from_days;
pub use timestamp::{Timestamp, TimestampError};
