//! Whether the processes behind clients' sessions run, as the kernel tells it (proc(5), `/proc/PID/stat`).

use crate::others::{after_name, stat};
use crate::sql::{Session, SqlError, within};
use pgherd_core::lease::Session as State;
use std::time::Duration;

/// The sessions of clients, the manager's own left out. One that ends meanwhile is not among them.
///
/// # Errors
/// When postgres does not answer.
pub async fn client_sessions(session: &Session, deadline: Duration) -> Result<Vec<State>, SqlError> {
    const WHAT: &str = "list the clients' sessions";
    let sql = "SELECT pid FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                  AND application_name NOT LIKE 'pgherd-%'";
    let rows = within(WHAT, deadline, session.client().query(sql, &[])).await?;
    let pids = rows.iter().map(|row| row.try_get::<_, i32>(0));
    let pids = pids.collect::<Result<Vec<_>, _>>().map_err(|source| SqlError::Statement { what: WHAT, source })?;
    Ok(pids.into_iter().filter_map(|pid| state(&stat(u32::try_from(pid).ok()?)?)).collect())
}

/// The state is the first field after the command.
fn state(stat: &str) -> Option<State> {
    match after_name(stat).next()? {
        "T" => Some(State::Stopped),
        "Z" | "X" => None,
        _ => Some(State::Runs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_command_whatever_that_is() {
        assert_eq!(state("7 (postgres: a b) T 1 7 7 0 -1"), Some(State::Stopped));
        assert_eq!(state("7 (a) T (b)) S 1 7"), Some(State::Runs));
        assert_eq!(state("7 (postgres) t 1 7"), Some(State::Runs));
        assert_eq!(state("7 (postgres) Z 1 7"), None);
        assert_eq!(state("no such thing"), None);
    }
}
