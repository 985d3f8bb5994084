//! Postgres is promoted to another timeline than the one that was reserved for it: no client is let in onto it, nothing
//! of it is archived, and another instance is the next primary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use crate::bed::{Bed, CLUSTER};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_onto_a_timeline_that_was_not_reserved_and_nothing_of_it_is_archived() {
    let bed = Bed::start("astray", |_| {}).await;
    let primary = bed.healthy(120).await;
    let load = bed.load().await;
    let table = bed.application(&bed.place.service()).await.unwrap();
    connect(&table).await.unwrap().batch_execute("CREATE TABLE astray (n int)").await.unwrap();
    let target = bed.standby().await;
    let stray = bed.mislead(&target);

    let direct = bed.application(&format!("pod/{target}")).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers = [knock(direct.clone(), true, stop.clone()), knock(direct, false, stop.clone())];
    bed.hurt(&load, "a switchover whose target is promoted to another timeline than the reserved one", async || {
        let patch = Patch::Merge(json!({ "status": { "targetPrimary": target } }));
        bed.clusters().patch_status(CLUSTER, &PatchParams::default(), &patch).await.unwrap();
        let wanted = format!("the volume holds timeline {stray}");
        bed.until("the target to say where it is", 60, async || match bed.message_of(&target).await {
            said if said.contains(&wanted) => Ok(()),
            said => Err(said),
        })
        .await;
        bed.until("another primary than the target", 60, async || match bed.primary().await {
            now if now == target => Err(now),
            _ => Ok(()),
        })
        .await;
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        let (acknowledged, said) = writer.await.unwrap();
        bed.say(&format!("a client at {target}: {acknowledged} acknowledged, {said:?}"));
        assert_eq!(acknowledged, 0, "it was let in onto timeline {stray}");
        assert!(!said.is_empty());
    }
    let next = bed.primary().await;
    bed.say(&format!("{primary} handed over to {target}, which went astray; {next} is the primary"));
    bed.nothing_lost(&load).await;

    bed.archive_now(&next, 60).await;
    let prefix = format!("{stray:08X}");
    let of_it: Vec<String> = bed.archived().await.into_iter().filter(|name| name.starts_with(&prefix)).collect();
    assert!(of_it.is_empty(), "{of_it:?}");
    bed.lose_volume(&target).await;
    bed.healthy(120).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// Histories of timelines that nobody reserved lie in its `pg_wal`: postgres takes the first id that has none, whatever
    /// its `restore_command` says. Answers which that is.
    fn mislead(&self, pod: &str) -> u32 {
        let pg_wal = self.data_of(pod).join("pg_wal");
        for timeline in 2..6 {
            std::fs::write(pg_wal.join(format!("{timeline:08X}.history")), "1\t0/1000000\tby hand\n").unwrap();
        }
        6
    }
}

/// Writes whenever it is let: in one session as long as that lasts, or each time in another. Answers how often it was
/// acknowledged, and what it was told else.
fn knock(config: Config, stays: bool, stop: Arc<AtomicBool>) -> JoinHandle<(u32, Vec<String>)> {
    tokio::spawn(async move {
        let (mut acknowledged, mut told) = (0, Vec::new());
        let mut session: Option<Client> = None;
        while !stop.load(Ordering::Relaxed) {
            let client = match session.take() {
                Some(client) => Ok(client),
                None => connect(&config).await,
            };
            let said = match client {
                Ok(client) => {
                    let written = client.batch_execute("INSERT INTO astray VALUES (1)").await;
                    acknowledged += u32::from(written.is_ok());
                    session = Some(client).filter(|client| stays && !client.is_closed());
                    written.err()
                }
                Err(error) => Some(error),
            };
            let said = said.map(|error| error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned()));
            told.extend(said.filter(|said| !told.contains(said)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (acknowledged, told)
    })
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
