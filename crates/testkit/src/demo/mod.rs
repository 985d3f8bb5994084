//! What `make demo` promises, how it is measured, and the report that says whether it was kept. The program is
//! `bin/demo.rs`.

mod command;
mod orders;
mod pitr;
mod report;
mod steps;

pub use command::{CommandError, Tool, json};
pub use report::{Host, Promise, Rejoined, Report};
pub use steps::{Plan, run};
