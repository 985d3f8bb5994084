//! One backup of one server: backup mode, copy, label, and last of all `backup.info`.

use super::target::Target;
use super::wal::Needed;
use core::time::Duration;
use pgherd_backup::base::{Archived, BaseCopy, Destination, PAGE, Progress, Source, give_up_leftovers, put_info};
use pgherd_core::backup::{
    BackupEdge, BackupId, BackupInfo, BackupLabel, BackupStatus, Literal, Tablespace, Timestamp,
};
use pgherd_core::lease::WalPosition;
use pgherd_core::lsn::Lsn;
use pgherd_postgres::online_backup::{self, Edge, ServerFacts};
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::version::Major;
use pgherd_postgres::wal_room::has_room;
use pgherd_proto::backup::phase;
use pgherd_telemetry::chain;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// For one question.
const ASK_WITHIN: Duration = Duration::from_secs(30);
/// For the checkpoint that it begins with, which may be spread out over `checkpoint_timeout`.
const BEGIN_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// What is known of a backup on its way, for whoever has to say that it failed.
pub struct Attempt {
    /// Where it goes.
    pub to: Destination,
    /// What `backup.info` would say by now.
    pub info: BackupInfo,
}

/// What a backup tells while it goes on.
pub struct Tell<'a> {
    /// Fields of the Backup's status.
    pub status: &'a watch::Sender<Value>,
    /// For a failure.
    pub attempt: &'a std::sync::Mutex<Option<Attempt>>,
}

impl Tell<'_> {
    fn status(&self, fields: Value) {
        self.status.send_modify(|status| merge(status, fields));
    }

    fn attempt(&self, to: &Destination, info: &BackupInfo) {
        let mut attempt = self.attempt.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *attempt = Some(Attempt { to: to.clone(), info: info.clone() });
    }
}

fn merge(status: &mut Value, fields: Value) {
    if let (Some(status), Value::Object(fields)) = (status.as_object_mut(), fields) {
        status.extend(fields);
    }
}

/// The server that is backed up.
#[derive(Clone, Debug)]
pub struct Server {
    /// Directory of its socket.
    pub socket_dir: PathBuf,
    /// The port in the socket's name.
    pub port: u16,
    /// Its version.
    pub major: Major,
    /// Its data directory.
    pub pgdata: PathBuf,
}

/// A backup that is in the store but for its `backup.info`, which may be written once the archive has its WAL.
#[derive(Debug)]
pub struct Copied {
    /// The WAL.
    pub needed: Option<Needed>,
    to: Destination,
    info: BackupInfo,
}

/// Copies the server, once what is left of the backups that have `ended` is tidied up. Dropping the future gives it up.
///
/// # Errors
/// For people.
pub async fn copied(
    server: &Server,
    target: &Target,
    progress: &Arc<Progress>,
    tell: &Tell<'_>,
    ended: &BTreeSet<BackupId>,
) -> Result<Copied, String> {
    let began = Instant::now();
    let Server { socket_dir, port, major, .. } = server;
    let local = Local { socket_dir, port: *port, database: "postgres", application_name: "pgherd-backup" };
    let session = Session::local(local, ASK_WITHIN).await.map_err(|error| chain(&error))?;
    let facts = online_backup::facts(&session, ASK_WITHIN).await.map_err(|error| chain(&error))?;
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let id = BackupId::at(now);
    let (store, root, tags) = (Arc::clone(&target.store), target.root.clone(), target.tags.clone());
    let to = Destination { store, root, id: id.clone(), tags };
    let mut info = described(&facts, target.name.clone());
    tell.status(json!({
        "phase": phase::RUNNING, "backupId": id.as_str(), "startedAt": now.rfc3339(),
        "backupName": format!("backup-{}", id.as_str().replace('T', "")), "majorVersion": facts.version / 10_000,
    }));
    // Before anything is written there, even that it failed, or tidied up.
    target.admit(facts.system).await?;
    tell.attempt(&to, &info);
    give_up_leftovers(to.store.as_ref(), &to.root, ended, now).await;

    if !server.pgdata.join("standby.signal").exists() {
        // A backup of a primary begins with another segment, and ends with another one.
        has_room(&server.pgdata, 2, facts.segment_size).map_err(|full| chain(&full))?;
    }
    let label = format!("Barman backup cloud {id}");
    let start = online_backup::start(&session, *major, &label, target.fast, BEGIN_WITHIN).await;
    let start = start.map_err(|error| chain(&error))?;
    info.begin = edge(&start, &facts, false);
    info.timeline = Some(start.timeline);
    tell.attempt(&to, &info);
    tell.status(json!({
        "startedAt": start.time.rfc3339(), "beginLSN": start.lsn.to_string(),
        "beginWal": info.begin.wal.map(|wal| wal.to_string()),
    }));
    let source = source(server, &facts, start.lsn).await?;
    let copy = BaseCopy::run(source, to.clone(), &target.settings, Arc::clone(progress));
    let copy = copy.await.map_err(|error| chain(&error))?;

    let stopped = online_backup::stop(&session, *major, ASK_WITHIN).await;
    let stopped = match stopped.map_err(|error| chain(&error)).and_then(|stopped| checked(stopped, &start)) {
        Ok(stopped) => stopped,
        Err(why) => {
            copy.give_up().await;
            return Err(why);
        }
    };
    drop(session);
    info.end = edge(&stopped.end, &facts, true);
    let from_standby = BackupLabel::parse(&stopped.label).is_ok_and(|label| label.from_standby);
    info.backup_label = Some(stopped.label.clone());
    tell.attempt(&to, &info);
    let done = copy.finish(stopped.label).await.map_err(|error| chain(&error))?;
    tell.status(json!({
        "phase": phase::FINALIZING, "endLSN": stopped.end.lsn.to_string(),
        "endWal": info.end.wal.map(|wal| wal.to_string()),
    }));
    info.copy_stats = Some(statistics(&done, began.elapsed(), target.settings.jobs.get()));
    let needed = info.begin.wal.zip(info.end.wal).map(|(first, last)| Needed {
        first,
        last,
        end: stopped.end.lsn,
        size: facts.segment_size,
        system: facts.system,
        from_standby,
    });
    Ok(Copied { needed, to, info })
}

/// Calls the backup whole, in the store and then in the status.
///
/// # Errors
/// For people.
pub async fn concluded(copied: Copied, target: &Target, tell: &Tell<'_>) -> Result<(), String> {
    let Copied { to, mut info, .. } = copied;
    info.status = BackupStatus::Done;
    put_info(&to, &info, target.settings.patience).await.map_err(|error| chain(&error))?;
    let stopped = info.end.time.map(Timestamp::rfc3339);
    tell.status(json!({"phase": phase::COMPLETED, "stoppedAt": stopped, "error": null}));
    Ok(())
}

/// A backup that began on one timeline and ended on another is not what it says it is: somebody was promoted.
fn checked(stopped: online_backup::Stopped, start: &Edge) -> Result<online_backup::Stopped, String> {
    let began = BackupLabel::parse(&stopped.label).map_err(|error| chain(&error))?.start.timeline;
    if began == stopped.end.timeline && began == start.timeline {
        return Ok(stopped);
    }
    let (from, to) = (start.timeline, stopped.end.timeline);
    Err(format!("an instance was promoted during the backup: it began on timeline {from} and ended on {to}"))
}

fn edge(edge: &Edge, facts: &ServerFacts, end: bool) -> BackupEdge {
    let position = WalPosition { timeline: edge.timeline, lsn: edge.lsn };
    BackupEdge::at(position, facts.segment_size, edge.time, end)
}

fn described(facts: &ServerFacts, name: Option<String>) -> BackupInfo {
    let space = |(name, oid, location): &(String, u32, String)| Tablespace {
        name: name.clone(),
        oid: *oid,
        location: location.clone(),
    };
    BackupInfo {
        status: BackupStatus::Started,
        system: Some(facts.system),
        version: Some(facts.version),
        segment_size: facts.segment_size,
        backup_name: name,
        server_name: Some("cloud".to_owned()),
        pgdata: Some(facts.data_directory.clone()),
        config_file: Some(facts.config_file.clone()),
        hba_file: Some(facts.hba_file.clone()),
        ident_file: Some(facts.ident_file.clone()),
        tablespaces: facts.tablespaces.iter().map(space).collect(),
        data_checksums: Some(facts.data_checksums),
        summarize_wal: facts.summarize_wal,
        cluster_size: Some(facts.size),
        ..BackupInfo::default()
    }
}

/// Where the files are, with every link on the way followed.
async fn source(server: &Server, facts: &ServerFacts, start: Lsn) -> Result<Source, String> {
    let configured = server.pgdata.clone();
    let oids: Vec<u32> = facts.tablespaces.iter().map(|(_, oid, _)| *oid).collect();
    let found = tokio::task::spawn_blocking(move || {
        let pgdata = configured.canonicalize()?;
        let spaces = oids.into_iter().map(|oid| {
            let place = pgdata.join("pg_tblspc").join(oid.to_string());
            Ok((oid, place.canonicalize()?))
        });
        let tablespaces = spaces.collect::<std::io::Result<Vec<_>>>()?;
        Ok::<_, std::io::Error>((pgdata, tablespaces))
    });
    let found = found.await.map_err(|error| chain(&error))?;
    let (pgdata, tablespaces) = found.map_err(|error| format!("failed to find the data directory: {error}"))?;
    let own = Path::new(&facts.data_directory);
    let files = [&facts.config_file, &facts.hba_file, &facts.ident_file];
    let elsewhere = files.into_iter().map(PathBuf::from).filter(|file| !file.starts_with(own)).collect();
    let verified = facts.data_checksums && facts.block_size == PAGE;
    Ok(Source {
        pgdata,
        tablespaces,
        elsewhere,
        major: u32::from(server.major.number()),
        verify_since: verified.then_some(start),
    })
}

/// barman's `copy_stats`.
fn statistics(done: &[Archived], total: Duration, jobs: usize) -> Literal {
    let text = |text: &str| Literal::text(text);
    let per_item = |value: &dyn Fn(&Archived) -> Literal| {
        Literal::Dict(done.iter().map(|one| (Literal::text(one.name.tree.to_string()), value(one))).collect())
    };
    let copying = done.iter().map(|one| one.took).sum();
    Literal::Dict(vec![
        (text("total_time"), Literal::seconds(total)),
        (text("number_of_workers"), Literal::integer(jobs as u64)),
        (text("analysis_time"), Literal::integer(0)),
        (text("analysis_time_per_item"), per_item(&|_| Literal::integer(0))),
        (text("copy_time_per_item"), per_item(&|one| Literal::seconds(one.took))),
        (text("serialized_copy_time_per_item"), per_item(&|one| Literal::seconds(one.took))),
        (text("copy_time"), Literal::seconds(copying)),
        (text("serialized_copy_time"), Literal::seconds(copying)),
    ])
}
