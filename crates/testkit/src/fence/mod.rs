//! How long it takes from the last renewal of a primary that is cut off to the last process of its postgres, with a
//! crowd of clients at work. The program is `bin/bench-fence.rs`.

mod crowd;
mod measure;
mod report;

pub use crowd::Crowd;
pub use measure::measure;
pub use report::{Fenced, Report};
