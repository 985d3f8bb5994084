//! How long a client that writes all the time is without an acknowledged row when its primary goes away, measured
//! again and again. The program is `bin/bench-failover.rs`.

mod page;
mod report;
mod scenario;
mod steps;
mod trace;

pub use page::{picture, replaced, table};
pub use report::{Measured, Report};
pub use scenario::{Hurt, SCENARIOS, Scenario};
pub use steps::{Plan, run};
pub use trace::{Event, Trace, Traces};
