//! Base backups: what the files that postgres writes about them say.

mod label;

pub use label::{BackupEnd, BackupLabel, LabelError};
