//! `manager verify`: a restore drill, in a pod of its own. The newest backup and its WAL are restored into a throw-away
//! instance by the same code as `bootstrap.recovery`; pages, relations and a query of the user's are checked; what came of
//! it are the container's last words. The copy is removed before that, and its volume goes with the pod.
//!
//! It listens on a socket in the container alone, archives nothing, and knows of no lease: it is nobody's member. It writes
//! nothing to the API either.

mod bring;
mod checks;
mod copy;
mod report;

pub use checks::{answers, page_checksums, relations};
pub use copy::Copy;

use crate::app::{kube_client, read_cluster};
use crate::cluster_api::ClusterApi;
use crate::config::{Config, POSTGRES_PORT, RunArgs};
use crate::effects::off_runtime;
use crate::tasks;
use bring::{Bringing, bring};
use core::time::Duration;
use pgherd_core::backup::{Checked, Findings, judge_drill};
use pgherd_core::identity::Nonce;
use pgherd_postgres::dir::Volume;
use pgherd_postgres::process::{Postgres, StopMode};
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_proto::cluster::{DrillOrder, DrillReport, Proven};
use pgherd_proto::names::WAL_CLIENT;
use pgherd_telemetry::{LineQueue, chain};
use std::path::PathBuf;
use std::time::Instant;

/// Runs one drill; the exit code is 0 where the archive was proven.
///
/// # Errors
/// For people: what the environment lacks.
pub async fn run(args: &RunArgs, order: &str, queue: LineQueue) -> Result<u8, String> {
    if std::process::id() != 1 {
        return Err("`manager verify` has to be PID 1 of a container: what it starts ends with it".to_owned());
    }
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider was set already".to_owned())?;
    let order: DrillOrder = serde_json::from_str(order).map_err(|e| format!("the order cannot be read: {e}"))?;
    let config = Config::new(args, Nonce(uuid::Uuid::new_v4().to_string()));
    let mut terminate = tasks::termination().map_err(|e| chain(&e))?;
    let room = Room::of(&config);
    let done = tokio::select! {
        done = drill(&config, &room, &order, queue) => done,
        _ = terminate.wait_for(|told| *told) => Err("it was told to stop".to_owned()),
    };
    // Before the last words: who reads them may take them for the end of it.
    room.clear().await;
    let report = match done {
        Ok(proven) => DrillReport { proven: Some(proven), error: None },
        Err(why) => DrillReport::failed(&why),
    };
    let words = report.words();
    std::fs::write(&args.termination_log, &words)
        .map_err(|e| format!("failed to write {}: {e}", args.termination_log.display()))?;
    match &report.error {
        None => tracing::info!(%words, "the archive is proven restorable"),
        Some(why) => tracing::error!(%why, "the archive is not proven restorable"),
    }
    Ok(if report.error.is_none() { 0 } else { 1 })
}

/// Where the copy is, on the pod's volumes.
#[derive(Clone, Debug)]
struct Room {
    volume: Volume,
    /// The data directory.
    pgdata: PathBuf,
    /// Of tablespaces.
    spaces: PathBuf,
    /// Of sockets and of WAL that is fetched ahead.
    folder: PathBuf,
}

impl Room {
    fn of(config: &Config) -> Self {
        let root = config.volume();
        let pgdata = root.join("drill");
        Self {
            spaces: root.join("drill-tablespaces"),
            folder: config.controller_dir.join("drill"),
            volume: config.volumes_of(&pgdata),
            pgdata,
        }
    }

    /// Removes the copy. What cannot be removed goes with the pod's volume.
    async fn clear(&self) {
        let (volume, pgdata) = (self.volume.clone(), self.pgdata.clone());
        if let Err(why) = off_runtime(move || volume.drop_wal_of(&pgdata).map_err(|e| chain(&e))).await {
            tracing::warn!(%why, "WAL of the copy is left on the pod's volume");
        }
        for path in [&self.pgdata, &self.spaces, &self.folder] {
            match tokio::fs::remove_dir_all(path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "a part of the copy is left on the pod's volume");
                }
                _ => {}
            }
        }
    }
}

async fn drill(config: &Config, room: &Room, order: &DrillOrder, queue: LineQueue) -> Result<Proven, String> {
    let began = Instant::now();
    let within = order.within();
    let reaper = Reaper::start().map_err(|e| chain(&e))?;
    let (make, temporary, volume) = (room.folder.clone(), config.temp_dir(), room.volume.root().to_owned());
    let lock = off_runtime(move || {
        for path in [make, temporary] {
            std::fs::create_dir_all(&path).map_err(|e| format!("failed to make {}: {e}", path.display()))?;
        }
        VolumeLock::acquire(&volume).map_err(|e| chain(&e))
    })
    .await?;
    let client = kube_client().await?;
    let api = ClusterApi::new(&client, &config.namespace, &config.cluster);
    let cluster = read_cluster(&api).await;
    let lines = tasks::postgres_lines(config, queue);
    let client = config.controller_dir.join(WAL_CLIENT);
    let bringing = Bringing { reaper: &reaper, lock: &lock, room, client: &client, lines: &lines };
    let brought = bring(&bringing, &cluster, &api, order).await?;

    let checking = Instant::now();
    let postgres = Postgres::locate(brought.major, &room.pgdata, &room.folder, POSTGRES_PORT).map_err(|e| chain(&e))?;
    let mut copy = Copy::new(&reaper, &lock, postgres, lines);
    let checksums = page_checksums(&copy, within).await?;
    tracing::info!(?checksums, "page checksums");
    copy.start(Duration::from_secs(600)).await?;
    let amcheck = relations(&copy, within).await?;
    tracing::info!(?amcheck, "relations");
    let database = cluster.spec.application().database;
    let query = match &order.query {
        Some(sql) => Some(answers(&copy, &database, sql, within).await),
        None => None,
    };
    // Nobody goes on from here.
    copy.stop(StopMode::Immediate).await?;

    let mut checks = vec![("pg_checksums", checksums.clone()), ("pg_amcheck", amcheck.clone())];
    checks.extend(query.clone().map(|query| ("query", query)));
    let findings = Findings {
        target: brought.target.clone(),
        backup_end: brought.choice.span.end_time,
        last_commit: brought.last_commit,
        checks,
    };
    let instant = judge_drill(&findings)?;
    let query = query.unwrap_or_else(|| Checked::NotMade("not asked for".to_owned()));
    let checked = report::Checks { checksums, amcheck, query, took: checking.elapsed() };
    Ok(report::proven(&brought, instant, &checked, began.elapsed()))
}
