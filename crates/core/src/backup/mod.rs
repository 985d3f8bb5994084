//! Base backups: what the files about them say, where they lie in an archive, which one a recovery begins with, and
//! which ones are redundant.

mod archived;
mod choose;
mod entry;
mod exclude;
mod info;
mod label;
mod layout;
mod literal;
mod refusal;
pub mod retention;
mod target;
mod timestamp;
mod window;

pub use archived::Archived;
pub use choose::{Choice, choose};
pub use entry::{Entry, Keep, Span, State};
pub use exclude::{CONTROL_FILE, is_left_out, relation_segment};
pub use info::{BackupEdge, BackupInfo, BackupStatus, InfoError, Tablespace};
pub use label::{BackupEnd, BackupLabel, LabelError};
pub use layout::{ArchiveName, ArchiveNameError, BASE, BackupId, BackupIdError, BaseObject, Tree, parse_base_key};
pub use literal::{Literal, LiteralError};
pub use refusal::{Available, Refusal};
pub use target::{RecoveryTarget, Target, TargetTimeline};
pub use timestamp::{Timestamp, TimestampError};
pub use window::{Window, window};
