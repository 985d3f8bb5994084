//! What a new database system gets: the owner's role and database, and the roles that the cluster needs.
//!
//! Every statement may be run again. Passwords are hashed here, so that no log of postgres sees them, and
//! nothing waits for a synchronous standby that cannot be there yet.

use std::time::Duration;

use pgherd_core::sql::{identifier, literal};

use crate::scram;
use crate::sql::{Session, SqlError, within};

/// The replication role, as CNPG names it; it proves itself by certificate.
pub const REPLICATION_USER: &str = "streaming_replica";
/// The role of the metrics queries, as CNPG names it.
pub const METRICS_USER: &str = "cnpg_metrics_exporter";

/// A role that may log in with a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The role.
    pub name: String,
    /// In the clear; only its SCRAM verifier is sent.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Creates the roles that the cluster itself uses, with the rights that pg_rewind needs (PostgreSQL
/// documentation, "pg_rewind", Notes).
pub async fn cluster_roles(session: &Session, deadline: Duration) -> Result<(), SqlError> {
    ensure_role(session, REPLICATION_USER, "LOGIN REPLICATION", deadline).await?;
    ensure_role(session, METRICS_USER, "LOGIN", deadline).await?;
    let user = identifier(REPLICATION_USER);
    let metrics = identifier(METRICS_USER);
    let grants = format!(
        "GRANT EXECUTE ON FUNCTION \
           pg_catalog.pg_ls_dir(text, boolean, boolean), \
           pg_catalog.pg_stat_file(text, boolean), \
           pg_catalog.pg_read_binary_file(text), \
           pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO {user}; \
         GRANT pg_monitor TO {metrics};"
    );
    batch(session, "grant the cluster's roles their rights", &grants, deadline).await
}

/// Creates the application's role and its database; a role that is there gets the password anew.
pub async fn application_database(
    session: &Session,
    owner: &Login,
    database: &str,
    deadline: Duration,
) -> Result<(), SqlError> {
    owner_role(session, owner, deadline).await?;
    let present = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1";
    if exists(session, "look for the database", present, database, deadline).await? {
        // One that was recovered may have been somebody else's.
        let own = format!("ALTER DATABASE {} OWNER TO {}", identifier(database), identifier(&owner.name));
        return batch(session, "give the database its owner", &own, deadline).await;
    }
    let create = format!("CREATE DATABASE {} OWNER {}", identifier(database), identifier(&owner.name));
    // CREATE DATABASE refuses to run in the implicit transaction that a batch of several statements is.
    session.batch("make commits local", "SET synchronous_commit = local", deadline).await?;
    session.batch("create the database", &create, deadline).await
}

/// Creates the application's role; one that is there gets the password anew.
pub async fn owner_role(session: &Session, owner: &Login, deadline: Duration) -> Result<(), SqlError> {
    ensure_role(session, &owner.name, "LOGIN", deadline).await?;
    set_password(session, owner, deadline).await
}

/// No log of postgres repeats what a session runs after it, whatever it is set to.
pub const SILENCE: &str =
    "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_error_statement = 'panic'";
/// Ends it.
const AS_CONFIGURED: &str = "RESET log_statement; RESET log_min_duration_statement; RESET log_min_error_statement";

/// Gives a role a password. Its verifier is in no log.
pub async fn set_password(session: &Session, login: &Login, deadline: Duration) -> Result<(), SqlError> {
    let verifier = scram::verifier(&login.password);
    let sql = format!("ALTER ROLE {} PASSWORD {}", identifier(&login.name), literal(&verifier));
    session.batch("silence the log", SILENCE, deadline).await?;
    let set = batch(session, "set a password", &sql, deadline).await;
    session.batch("log again", AS_CONFIGURED, deadline).await?;
    set
}

/// Takes a role's password away, so that only the socket lets it in (`enableSuperuserAccess: false`).
pub async fn clear_password(session: &Session, role: &str, deadline: Duration) -> Result<(), SqlError> {
    let sql = format!("ALTER ROLE {} PASSWORD NULL", identifier(role));
    batch(session, "take a password away", &sql, deadline).await
}

/// Runs one of the user's own texts (`postInitSQL` and its like) on a session to the right database. Several statements
/// in one text are one transaction.
pub async fn run_text(session: &Session, text: &str, deadline: Duration) -> Result<(), SqlError> {
    session.batch("run a statement of the bootstrap", text, deadline).await
}

async fn ensure_role(session: &Session, role: &str, options: &str, deadline: Duration) -> Result<(), SqlError> {
    let present = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1";
    let verb = if exists(session, "look for a role", present, role, deadline).await? { "ALTER" } else { "CREATE" };
    let sql = format!("{verb} ROLE {} WITH {options}", identifier(role));
    batch(session, "create a role", &sql, deadline).await
}

async fn exists(
    session: &Session,
    what: &'static str,
    sql: &str,
    name: &str,
    deadline: Duration,
) -> Result<bool, SqlError> {
    Ok(within(what, deadline, session.client().query_opt(sql, &[&name])).await?.is_some())
}

async fn batch(session: &Session, what: &'static str, sql: &str, deadline: Duration) -> Result<(), SqlError> {
    session.batch(what, &format!("SET synchronous_commit = local; {sql}"), deadline).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_in_the_debug_output() {
        let login = Login { name: "app".into(), password: "hunter2".into() };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
