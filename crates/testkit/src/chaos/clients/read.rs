//! All accounts in one snapshot, through a service: the sum never changes, on no instance.

use super::{Client, RECONNECT};
use crate::chaos::session::{ANSWER, Session};
use crate::history::{Did, Event, Outcome, Where};
use crate::journal::boottime;
use pgherd_core::lsn::Lsn;
use std::io;
use tokio::time::{sleep, timeout};
use tokio_postgres::Config;

const SUM: &str = "SELECT sum(balance)::bigint, (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
                   ELSE pg_current_wal_lsn() END)::text FROM chaos_accounts";

/// Reads until it is stopped, each time on a new session so that every instance has its turn.
///
/// # Errors
/// Of the history's file.
pub async fn read(mut client: Client, config: Config) -> io::Result<()> {
    while !client.shared.stopped() {
        let Some(session) = Session::open(&config, &client.knowledge).await else {
            sleep(RECONNECT).await;
            continue;
        };
        let began = boottime();
        if let Ok(Ok(row)) = timeout(ANSWER, session.client.query_one(SUM, &[])).await
            && let (Ok(total), Ok(Ok(lsn))) =
                (row.try_get(0), row.try_get::<_, String>(1).map(|lsn| lsn.parse::<Lsn>()))
        {
            // A reader writes no timeline.
            let at = Where { instance: session.instance.clone(), timeline: 0, term: 0, lsn };
            let did = Did::Read { total };
            let outcome = Outcome::Acknowledged;
            let event = Event { client: client.number, began, ended: boottime(), did, outcome, at: Some(at) };
            client.recorder.record(&event)?;
        }
        sleep(client.pause).await;
    }
    Ok(())
}
