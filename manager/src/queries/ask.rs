//! Asking: a session for each database, a transaction for each query.

use super::families::Families;
use super::{Place, Server, Set};
use core::pin::pin;
use core::time::Duration;
use futures::TryStreamExt;
use pgherd_core::monitor::{is_pattern, matches};
use pgherd_postgres::bootstrap::METRICS_USER;
use pgherd_postgres::sql::{Local, Session, SqlError};
use pgherd_proto::queries::Query;
use pgherd_telemetry::chain;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::SimpleQueryMessage;

/// As CNPG shows in `pg_stat_activity`.
const APPLICATION: &str = "cnpg_metrics_exporter";
/// The database that is always there.
const MAINTENANCE: &str = "postgres";
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Postgres itself ends what takes longer than a reader of the page waits.
const SETTINGS: &str = "SET statement_timeout = '4s'; SET lock_timeout = '1s'; SET default_transaction_read_only = on; \
                        SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET standard_conforming_strings = on";
/// One page is for one reader; a query that answers with more is not meant for it.
const MOST_ROWS: usize = 10_000;

/// What was found.
pub(super) struct Found {
    /// The answers.
    pub families: Families,
    /// What failed, and why; without what postgres says in words, which may quote rows.
    pub failed: BTreeSet<String>,
}

/// Asks everything that is for this server; what fails keeps nothing else from being asked.
pub(super) async fn all(place: &Place, set: &Set, server: Server, found: &mut Found) {
    let is_due = |query: &Query| {
        let version = query.versions.as_ref().is_none_or(|range| range.contains(server.version));
        version && (server.primary || !query.primary)
    };
    let due: Vec<_> = set.queries.iter().filter(|(_, query)| is_due(query)).collect();
    let there = match due.iter().any(|(_, query)| query.has_patterns()) {
        false => Vec::new(),
        true => databases(place).await.unwrap_or_else(|why| {
            found.failed.insert(format!("the list of databases: {why}"));
            Vec::new()
        }),
    };
    let mut by_database: BTreeMap<String, Vec<(&String, &Query)>> = BTreeMap::new();
    for (name, query) in due {
        for database in targets(query, &set.database, &there) {
            by_database.entry(database).or_default().push((name, query));
        }
    }
    for (database, queries) in by_database {
        let session = session(place, &database).await;
        for (name, query) in queries {
            let asked = match &session {
                Ok(session) => one(session, query, &mut found.families).await,
                Err(why) => Err(why.clone()),
            };
            if let Err(why) = asked {
                found.failed.insert(format!("{name} on db {database}: {why}"));
            }
        }
    }
}

/// The databases of a query: those that it names, and of those that there are those that it has a pattern of.
fn targets(query: &Query, otherwise: &str, there: &[String]) -> BTreeSet<String> {
    if query.databases.is_empty() {
        return BTreeSet::from([otherwise.to_owned()]);
    }
    let of_one = |wanted: &String| match is_pattern(wanted) {
        true => there.iter().filter(|name| matches(wanted, name)).cloned().collect(),
        false => vec![wanted.clone()],
    };
    query.databases.iter().flat_map(of_one).collect()
}

async fn session(place: &Place, database: &str) -> Result<Session, String> {
    let to = Local { socket_dir: &place.socket_dir, port: place.port, database, application_name: APPLICATION };
    let session = Session::local_as(METRICS_USER, to, CONNECT_WITHIN).await.map_err(|error| told(&error))?;
    session.batch("prepare for queries", SETTINGS, CONNECT_WITHIN).await.map_err(|error| told(&error))?;
    Ok(session)
}

async fn databases(place: &Place) -> Result<Vec<String>, String> {
    let sql = "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate";
    let session = session(place, MAINTENANCE).await?;
    let mut names = Vec::new();
    rows(&session, sql, |cell| {
        names.extend(cell("datname").flatten().map(str::to_owned));
        Ok(())
    })
    .await?;
    Ok(names)
}

async fn one(session: &Session, query: &Query, families: &mut Families) -> Result<(), String> {
    session.batch("begin", "BEGIN READ ONLY", CONNECT_WITHIN).await.map_err(|error| told(&error))?;
    let asked = within(session, query, families).await;
    let ended = session.batch("end", "ROLLBACK", CONNECT_WITHIN).await;
    asked?;
    ended.map_err(|error| told(&error))
}

async fn within(session: &Session, query: &Query, families: &mut Families) -> Result<(), String> {
    if let Some(predicate) = &query.predicate {
        let mut holds = None;
        // The first column of the first row.
        each(session, predicate, |_, values| {
            holds = holds.or(Some(values.first().copied().flatten() == Some("t")));
            Ok(())
        })
        .await?;
        if holds != Some(true) {
            return Ok(());
        }
    }
    rows(session, &query.sql, |cell| families.add(query, cell)).await
}

/// One column's value of a row, by its name; none where there is no such column, and none inside where it is null.
type Cell<'a> = &'a dyn Fn(&str) -> Option<Option<&'a str>>;

async fn rows(
    session: &Session,
    sql: &str,
    mut take: impl FnMut(Cell<'_>) -> Result<(), String>,
) -> Result<(), String> {
    each(session, sql, |columns, values| {
        take(&|name: &str| columns.iter().zip(values).find(|(column, _)| **column == name).map(|(_, value)| *value))
    })
    .await
}

/// As texts: what type a column has does not matter.
async fn each(
    session: &Session,
    sql: &str,
    mut take: impl FnMut(&[&str], &[Option<&str>]) -> Result<(), String>,
) -> Result<(), String> {
    let failed = |error: tokio_postgres::Error| match error.code() {
        Some(state) => format!("SQLSTATE {}", state.code()),
        None => chain(&error),
    };
    let mut answer = pin!(session.client().simple_query_raw(sql).await.map_err(failed)?);
    let mut number = 0_usize;
    while let Some(message) = answer.try_next().await.map_err(failed)? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        number = number.saturating_add(1);
        if number > MOST_ROWS {
            return Err(format!("more than {MOST_ROWS} rows"));
        }
        let columns: Vec<&str> = row.columns().iter().map(tokio_postgres::SimpleColumn::name).collect();
        let values = (0..columns.len()).map(|index| row.try_get(index)).collect::<Result<Vec<_>, _>>();
        take(&columns, &values.map_err(failed)?)?;
    }
    Ok(())
}

/// Without postgres' words.
fn told(error: &SqlError) -> String {
    error.state().map_or_else(|| chain(error), |state| format!("SQLSTATE {}", state.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_goes_to_the_databases_that_it_names_or_has_a_pattern_of() {
        let query = |databases: &[&str]| {
            let yaml = "q: {query: SELECT 1, metrics: []}";
            let mut query = pgherd_proto::queries::parse(yaml).unwrap().known.remove("q").unwrap();
            query.databases = databases.iter().map(|name| (*name).to_owned()).collect();
            query
        };
        let there = ["app", "shop_1", "shop_2"].map(str::to_owned);
        let of = |databases: &[&str]| targets(&query(databases), "app", &there).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&[]), ["app"]);
        assert_eq!(of(&["shop_*", "other"]), ["other", "shop_1", "shop_2"]);
        assert_eq!(of(&["x*"]), Vec::<String>::new());
    }
}
