//! One row after the other, through the service.

use super::{Client, RECONNECT};
use crate::chaos::session::{ANSWER, Session, outcome_of};
use crate::history::{Did, Event, Outcome};
use crate::journal::boottime;
use std::io;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Statement};

/// Appends until it is stopped.
///
/// # Errors
/// Of the history's file.
pub async fn append(mut client: Client, config: Config) -> io::Result<()> {
    let mut open: Option<(Session, Statement)> = None;
    let mut n = 0;
    while !client.shared.stopped() {
        let Some((session, statement)) = &open else {
            open = connect(&client, &config).await;
            if open.is_none() {
                sleep(RECONNECT).await;
            }
            continue;
        };
        n += 1;
        let began = boottime();
        let term = session.term();
        let values: [&(dyn ToSql + Sync); 4] = [&client.number, &n, &session.instance, &term];
        let asked = session.client.query_one(statement, &values);
        let (outcome, at) = match timeout(ANSWER, asked).await {
            Ok(Ok(row)) => (Outcome::Acknowledged, session.place(&row)),
            Ok(Err(error)) => (outcome_of(&error), None),
            Err(_) => (Outcome::Unknown, None),
        };
        let event = Event { client: client.number, began, ended: boottime(), did: Did::Append { n }, outcome, at };
        client.recorder.record(&event)?;
        if outcome == Outcome::Acknowledged {
            client.shared.count();
        } else {
            open = None;
        }
        sleep(client.pause).await;
    }
    Ok(())
}

async fn connect(client: &Client, config: &Config) -> Option<(Session, Statement)> {
    let session = Session::open(config, &client.knowledge).await?;
    let statement = timeout(ANSWER, session.append()).await.ok()?.ok()?;
    // A service may lead to an instance that was demoted since.
    (session.timeline > 0).then_some((session, statement))
}
