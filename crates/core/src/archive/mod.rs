//! Archiving WAL: what goes next, what an answer of the store means, when to try again, how far behind it is.

mod catchup;
mod lacking;
mod queue;
mod retry;
mod verdict;

pub use catchup::{CatchUp, Progress};
pub use lacking::{Lacking, lacking};
pub use queue::{Finished, Queue, Standing};
pub use retry::Backoff;
pub use verdict::{AfterPut, PutAnswer, Stored, Verdict, after_put, judge};
