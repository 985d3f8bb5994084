//! Base backups: what the files about them say, and where they lie in an archive.

mod exclude;
mod info;
mod label;
mod layout;
mod literal;
mod timestamp;

pub use exclude::{CONTROL_FILE, is_left_out, relation_segment};
pub use info::{BackupEdge, BackupInfo, BackupStatus, InfoError, Tablespace};
pub use label::{BackupEnd, BackupLabel, LabelError};
pub use layout::{ArchiveName, ArchiveNameError, BASE, BackupId, BackupIdError, BaseObject, Tree, parse_base_key};
pub use literal::{Literal, LiteralError};
pub use timestamp::{Timestamp, TimestampError};
