//! Base backups: what the files about them say, where they lie in an archive, when they are due and who takes them, which
//! one a recovery begins with, and which ones are redundant.

mod archived;
mod archiving;
mod attempt;
mod choose;
mod drill;
mod drill_verdict;
mod entry;
mod exclude;
mod info;
mod label;
mod layout;
mod leftover;
mod literal;
mod orders;
mod refusal;
pub mod retention;
mod schedule;
mod stall;
mod target;
mod timestamp;
mod window;

pub use archived::Archived;
pub use archiving::{ARCHIVING_WITHIN, ArchivingFailure, Gate, archive_refuses, archiving_fails, judge_archiving};
pub use attempt::{AGAIN_AFTER, AttemptEnd, CutOff, MOST_ATTEMPTS, Verdict, judge_attempt};
pub use choose::{Choice, Covered, choose};
pub use drill::{DRILL_WITHIN, DrillCause, DrillPod, DrillPodState, DrillRun, DrillStep, DrillView, plan_drill};
pub use drill_verdict::{Checked, Findings, judge_drill};
pub use entry::{Entry, Keep, Span, State};
pub use exclude::{CONTROL_FILE, is_left_out, relation_segment};
pub use info::{BackupEdge, BackupInfo, BackupStatus, InfoError, Tablespace};
pub use label::{BackupEnd, BackupLabel, LabelError};
pub use layout::{ArchiveName, ArchiveNameError, BASE, BackupId, BackupIdError, BaseObject, Tree, parse_base_key};
pub use leftover::{ABANDONED_AFTER, is_left_over};
pub use literal::{Literal, LiteralError};
pub use orders::{BackupFrom, BackupState, BackupStep, BackupView, SILENT_FOR, plan_backups};
pub use refusal::{Available, Refusal};
pub use schedule::{ScheduleStep, ScheduleView, plan_schedule};
pub use stall::{Activity, READ_WITHIN, STORE_WITHIN, Stillness, stalled};
pub use target::{RecoveryTarget, Target, TargetTimeline};
pub(crate) use timestamp::civil_from_days;
pub use timestamp::{Timestamp, TimestampError};
pub use window::{Window, window};
