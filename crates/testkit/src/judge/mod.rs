//! The judge of a chaos run: from the clients' histories, the final databases, the archive, and what was recovered from
//! it, what was promised and not kept. It knows nothing of the schedule, of the managers or of who won; each rule is one function.

mod archive;
mod database;
mod restored;
mod rows;
#[cfg(test)]
mod tests;
mod verdict;
mod writers;

pub use archive::{Archive, gaps};
pub use database::{Database, Held, read_database};
pub use restored::unrestored;
pub use rows::{Balance, balance, excused, misplaced};
pub use verdict::{Case, Evidence, Verdict, judge};
pub use writers::{backwards, double_writes, lease_breaches, unleased};

/// Accounts that transfers are between.
pub const ACCOUNTS: i32 = 8;
/// What each has in the beginning.
pub const ENDOWMENT: i64 = 1_000;
