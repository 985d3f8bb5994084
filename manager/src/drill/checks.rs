//! What a restored directory is asked: its pages by their checksums, its tables and indexes by amcheck, its contents by a
//! query of the user's.

use super::copy::Copy;
use crate::config::POSTGRES_PORT;
use core::time::Duration;
use pgherd_core::backup::Checked;
use pgherd_postgres::run::Output;
use pgherd_postgres::sql::{SUPERUSER, SqlError, within as answered};
use pgherd_telemetry::chain;
use std::process::Command;

/// Whatever is wrong, its first lines say enough to go on from.
const LINES: usize = 6;
/// Databases that are named.
const NAMES: usize = 10;
const STATEMENT_WITHIN: Duration = Duration::from_secs(60);
/// What `pg_amcheck` ends with where it found damage (its documentation says only "non-zero").
const DAMAGE: i32 = 2;

/// Every page of a directory that was stopped in order, by `pg_checksums`.
///
/// # Errors
/// For people: it could not be run.
pub async fn page_checksums(copy: &Copy<'_>, within: Duration) -> Result<Checked, String> {
    if !copy.control().await?.checksums {
        return Ok(Checked::NotMade("off in this cluster".to_owned()));
    }
    let mut command = Command::new(copy.postgres.program("pg_checksums"));
    command.arg("--check").arg("-D").arg(&copy.postgres.pgdata);
    let output = copy.reaper.run(&mut command, within).await.map_err(|e| chain(&e))?;
    if output.status.success() {
        return Ok(Checked::Clean(String::new()));
    }
    let root = format!("{}/", copy.postgres.pgdata.display());
    Ok(Checked::Wrong(first_lines(&output.stderr).replace(&root, "")))
}

/// Every table and B-tree index of every database, by `pg_amcheck`. Where a database has no extension amcheck, one is made
/// in the copy.
///
/// # Errors
/// For people: the copy does not answer.
pub async fn relations(copy: &Copy<'_>, within: Duration) -> Result<Checked, String> {
    let program = copy.postgres.program("pg_amcheck");
    if !program.exists() {
        return Ok(Checked::NotMade("this image has no pg_amcheck".to_owned()));
    }
    let lacking = match databases_without(copy).await.map_err(|e| chain(&e))? {
        Some(lacking) => lacking,
        None => return Ok(Checked::NotMade("this image has no extension amcheck".to_owned())),
    };
    let port = POSTGRES_PORT.to_string();
    let mut command = Command::new(program);
    command.args(["--all", "--install-missing", "--jobs=2", "--no-password", "--username", SUPERUSER, "--port", &port]);
    command.arg("--host").arg(&copy.postgres.socket_dir);
    let output = copy.reaper.run(&mut command, within).await.map_err(|e| chain(&e))?;
    Ok(match output.status.code() {
        Some(0) if lacking.is_empty() => Checked::Clean(String::new()),
        Some(0) => Checked::Clean(format!("the extension was made in the copy of {}", listed(&lacking))),
        Some(DAMAGE) => Checked::Wrong(first_lines(&output.stdout)),
        _ => Checked::Wrong(said(&output)),
    })
}

/// The databases that have no extension amcheck; nothing where the image has none to make.
async fn databases_without(copy: &Copy<'_>) -> Result<Option<Vec<String>>, SqlError> {
    let session = copy.session("postgres").await?;
    let available = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')";
    if !session.scalar::<bool>("look for amcheck", available, STATEMENT_WITHIN).await? {
        return Ok(None);
    }
    let sql = "SELECT datname::text FROM pg_database WHERE datallowconn ORDER BY 1";
    let listed = session.client().query(sql, &[]);
    let rows = answered("list the databases", STATEMENT_WITHIN, listed).await?;
    let mut lacking = Vec::new();
    for row in rows {
        let database: String =
            row.try_get(0).map_err(|source| SqlError::Statement { what: "list the databases", source })?;
        let session = copy.session(&database).await?;
        let has = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck')";
        if !session.scalar::<bool>("look for amcheck", has, STATEMENT_WITHIN).await? {
            lacking.push(database);
        }
    }
    Ok(Some(lacking))
}

/// One statement of the user's, as the superuser in a transaction that cannot write: row security hides nothing from it.
/// It has to answer one row that begins with true.
pub async fn answers(copy: &Copy<'_>, database: &str, sql: &str, within: Duration) -> Checked {
    match ask(copy, database, sql, within).await {
        Ok(None) => Checked::Clean(String::new()),
        Ok(Some(problem)) => Checked::Wrong(problem),
        Err(error) => Checked::Wrong(refused(&error)),
    }
}

async fn ask(copy: &Copy<'_>, database: &str, sql: &str, within: Duration) -> Result<Option<String>, SqlError> {
    const WHAT: &str = "run the query";
    let session = copy.session(database).await?;
    session.batch(WHAT, "BEGIN READ ONLY", STATEMENT_WITHIN).await?;
    let rows = answered(WHAT, within, session.client().query(sql, &[])).await?;
    let [row] = rows.as_slice() else { return Ok(Some(format!("it answered {} rows instead of one", rows.len()))) };
    Ok(match row.try_get::<_, Option<bool>>(0) {
        Ok(Some(true)) => None,
        Ok(Some(false)) => Some("it answered false".to_owned()),
        Ok(None) => Some("it answered NULL".to_owned()),
        Err(_) => Some("the first column of its answer is no boolean".to_owned()),
    })
}

/// What postgres says of an error may hold what is in a table; only where it is about the statement itself is it told.
fn refused(error: &SqlError) -> String {
    let (SqlError::Statement { source, .. } | SqlError::Connect { source, .. }) = error else { return chain(error) };
    match source.as_db_error() {
        Some(told) if ["42", "3D"].contains(&told.code().code().get(..2).unwrap_or_default()) => {
            format!("SQLSTATE {}: {}", told.code().code(), told.message())
        }
        Some(told) => format!("SQLSTATE {}", told.code().code()),
        None => chain(error),
    }
}

/// Names, as many as one can read.
fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES);
    let shown = names.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn said(output: &Output) -> String {
    let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    format!("{}: {}", output.status, first_lines(text))
}

fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(LINES).collect::<Vec<_>>().join(" | ")
}
