//! What the programs tell: JSON log lines in CNPG's shape, postgres' log among them, error chains.
//!
//! Neighbours: every binary sets it up once. Invariant: writing a line never blocks the writer; what a slow
//! stdout could not take is counted, and the count is told.

mod chain;
mod log;
mod pgaudit;
mod pglog;
mod stdout;

pub use chain::chain;
pub use log::{LogError, LogSetup, Shape, error_line, level_filter, set_up};
pub use pglog::{CsvLog, record_json};
pub use stdout::LineQueue;
