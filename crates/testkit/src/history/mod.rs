//! What clients write down: one JSON line per attempt, after it ended and before the next one begins. The judge reads
//! these lines and the final databases, and nothing else.
//!
//! An attempt has a number of its own, so that every number that was acknowledged must be found exactly once, one that
//! was refused not at all, and one of unknown end at most once. Times are nanoseconds of `CLOCK_BOOTTIME`, which all
//! clients of one machine share. A last line without its newline was cut off by a kill, and says nothing.

mod event;
mod file;

pub use event::{Change, Did, Event, Outcome, Where};
pub use file::{HistoryError, Recorder, clients_of, read};
