//! Whether an instance can be written: tried again and again, straight at its pod, on a session that is kept as long as
//! it lives, as a client would that never noticed that its primary is one no more.

use super::{Client, RECONNECT};
use crate::bed::Bed;
use crate::chaos::session::{ANSWER, Session, outcome_of};
use crate::history::{Did, Event, Outcome};
use crate::journal::boottime;
use std::io;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Statement};

/// Probes one pod until it is stopped. Refusals are what a standby owes, and are not written down.
///
/// # Errors
/// Of the history's file.
pub async fn probe(mut client: Client, bed: Bed, template: Config, pod: String) -> io::Result<()> {
    let mut open: Option<(Session, Statement)> = None;
    let mut n = 0;
    while !client.shared.stopped() {
        let Some((session, statement)) = &open else {
            open = connect(&client, &bed, &template, &pod).await;
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
        if outcome != Outcome::Refused {
            let event = Event { client: client.number, began, ended: boottime(), did: Did::Append { n }, outcome, at };
            client.recorder.record(&event)?;
        }
        if outcome == Outcome::Unknown {
            open = None;
        }
        sleep(client.pause).await;
    }
    Ok(())
}

async fn connect(client: &Client, bed: &Bed, template: &Config, pod: &str) -> Option<(Session, Statement)> {
    let target = format!("pod/{pod}");
    let address = bed.handle.forward(&bed.place.namespace, &target, 5432).await.ok()?;
    let mut config = Config::new();
    config.host(address.ip().to_string()).port(address.port());
    config.user(template.get_user()?).password(template.get_password()?).dbname(template.get_dbname()?);
    let session = Session::open(&config, &client.knowledge).await?;
    let statement = timeout(ANSWER, session.append()).await.ok()?.ok()?;
    Some((session, statement))
}
