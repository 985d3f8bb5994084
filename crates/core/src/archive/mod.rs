//! Archiving WAL: what goes next, what an answer of the store means, when to try again, how far behind it is,
//! and whose it is.

mod catchup;
mod lacking;
mod own_backups;
mod owner;
mod queue;
mod retry;
mod verdict;

pub use catchup::{CatchUp, Progress};
pub use lacking::{Lacking, lacking};
pub use own_backups::{OtherSystem, OwnBackups, of_own_system};
pub use owner::{Foreign, GIVE_IT_ITS_OWN, admit};
pub use queue::{Finished, Queue, Standing};
pub use retry::Backoff;
pub use verdict::{AfterPut, PutAnswer, Stored, Verdict, after_put, judge};
