//! The base backup and its WAL, brought back into the throw-away directory.

use super::Room;
use crate::archive::Bounds;
use crate::cluster_api::ClusterApi;
use crate::effects::off_runtime;
use crate::recovery::{Course, Place, Verdict, destination, make_ready, opened, replay, verify};
use crate::store_settings::store_settings;
use core::time::Duration;
use pgherd_backup::{Catalog, Patience, Survey};
use pgherd_core::archive::{GIVE_IT_ITS_OWN, of_own_system};
use pgherd_core::backup::{BackupId, Choice, RecoveryTarget, Target, TargetTimeline, Timestamp, choose};
use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{History, TimelineId};
use pgherd_core::wal::WalName;
use pgherd_postgres::control_data::ControlData;
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_proto::cluster::{Cluster, DrillOrder};
use pgherd_telemetry::chain;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

const CONTROL_DATA_WITHIN: Duration = Duration::from_secs(20);
/// A target may lie before its timeline, and before that one's again; no further than there are timelines.
const TRIES: usize = 64;
/// What postgres says once, at the end of a replay in which anything was committed.
const LAST_COMMIT: &str = "last completed transaction was at log time ";

/// With what it is done.
pub(super) struct Bringing<'a> {
    pub reaper: &'a Reaper,
    pub lock: &'a VolumeLock,
    pub room: &'a Room,
    /// The WAL client, for `restore_command`.
    pub client: &'a Path,
    pub lines: &'a LineSink,
}

/// What was brought back, and how long it took.
pub(super) struct Brought {
    pub choice: Choice,
    pub target: Target,
    pub major: Major,
    /// Where replay ended, and on which timeline.
    pub reached: Lsn,
    pub timeline: TimelineId,
    pub last_commit: Option<Timestamp>,
    pub fetched: u64,
    pub written: u64,
    pub fetching: Duration,
    pub replaying: Duration,
}

/// Restores, and replays up to the target.
pub(super) async fn bring(
    with: &Bringing<'_>,
    cluster: &Cluster,
    api: &ClusterApi,
    order: &DrillOrder,
) -> Result<Brought, String> {
    let settings = store_settings(cluster, api).await?.ok_or("the cluster has no archive")?;
    let own = cluster.system_on_record();
    let store = opened(settings)?;
    let catalog = store.archive.catalog(Patience::default());
    let mut target = order.target().map_err(|e| chain(&e))?;
    for _ in 0..TRIES {
        with.room.clear().await;
        let began = Instant::now();
        let survey = catalog.survey().await.map_err(|e| chain(&e))?;
        let choice = choose(&survey.entries(), &survey.archived, &target).map_err(|refusal| chain(&refusal))?;
        proves(own, &choice.backup, choice.span.system)?;
        let major = major(&choice)?;
        let (fetched, written) = fetch(with.room, &catalog, &survey, &choice).await?;
        let fetching = began.elapsed();
        tracing::info!(backup = %choice.backup, fetched, written, seconds = fetching.as_secs(), "the backup is back");

        let began = Instant::now();
        let heard = Arc::new(Mutex::new(None));
        let place = Place {
            reaper: with.reaper,
            lock: with.lock,
            major,
            folder: with.room.folder.clone(),
            client: with.client.to_owned(),
            lines: watched(with.lines, &heard),
            bounds: Bounds::default(),
        };
        let along = choice.along.timeline();
        let taken = survey.archived.timelines().into_iter().max().unwrap_or(along);
        let course = Course { store: &store, target: &target, along, taken, covered: Some(choice.covers()) };
        let of_backup = |why: String| format!("backup {}: {why}", choice.backup);
        replay(&place, &with.room.pgdata, &course).await.map_err(of_backup)?;
        let last_commit = *heard.lock().unwrap_or_else(PoisonError::into_inner);
        match verify(&place, &with.room.pgdata, &course).await? {
            Verdict::Reached => {}
            Verdict::Short(short) => return Err(of_backup(short.to_string())),
            Verdict::BeforeItsTimeline(ancestor) => {
                target.timeline = TargetTimeline::Id(ancestor);
                continue;
            }
        }
        let (reached, timeline) = ended(with.reaper, major, &with.room.pgdata).await?;
        let replaying = began.elapsed();
        let RecoveryTarget { target, .. } = target;
        return Ok(Brought {
            choice,
            target,
            major,
            reached,
            timeline,
            last_commit,
            fetched,
            written,
            fetching,
            replaying,
        });
    }
    Err("the timeline that the target is on was not found".to_owned())
}

/// A backup of another database proves nothing of this one.
fn proves(own: Option<SystemId>, backup: &BackupId, found: Option<SystemId>) -> Result<(), String> {
    let own = own.ok_or("the Cluster's status does not say which database system it is")?;
    of_own_system(backup, found, own).map_err(|other| format!("{other}: {GIVE_IT_ITS_OWN}"))
}

fn major(choice: &Choice) -> Result<Major, String> {
    let wanted = choice.span.version / 10_000;
    let found = Major::installed().into_iter().find(|major| u32::from(major.number()) == wanted);
    found.ok_or_else(|| format!("backup {} is of PostgreSQL {wanted}, which this image does not have", choice.backup))
}

async fn fetch(room: &Room, catalog: &Catalog, survey: &Survey, choice: &Choice) -> Result<(u64, u64), String> {
    let backup = survey.backup(&choice.backup).ok_or("the chosen backup has gone")?;
    let to = destination(backup, room.pgdata.clone(), &room.spaces);
    let restored = catalog.restore(backup, &to).await.map_err(|e| chain(&e))?;
    let (volume, pgdata, segment) = (room.volume.clone(), room.pgdata.clone(), choice.span.segment_size);
    off_runtime(move || {
        volume.wal_to_volume(&pgdata).map_err(|e| chain(&e))?;
        make_ready(&pgdata, segment)?;
        in_english(&pgdata)
    })
    .await?;
    Ok((restored.fetched, restored.written))
}

/// What postgres says is read here, whatever the language of the databases.
fn in_english(pgdata: &Path) -> Result<(), String> {
    let path = pgdata.join("postgresql.conf");
    let open = std::fs::OpenOptions::new().append(true).open(&path);
    open.and_then(|mut file| file.write_all(b"lc_messages = 'C'\n"))
        .map_err(|e| format!("failed to write {}: {e}", path.display()))
}

/// Passes lines on, and keeps the time of the last commit.
fn watched(to: &LineSink, heard: &Arc<Mutex<Option<Timestamp>>>) -> LineSink {
    let (to, heard) = (Arc::clone(to), Arc::clone(heard));
    Arc::new(move |stream, line| {
        if let Some(time) = last_commit(&String::from_utf8_lossy(line)) {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
        }
        to(stream, line);
    })
}

fn last_commit(line: &str) -> Option<Timestamp> {
    line.split_once(LAST_COMMIT)?.1.trim().parse().ok()
}

/// Where the last timeline but the new one was left, and which that is.
async fn ended(reaper: &Reaper, major: Major, pgdata: &Path) -> Result<(Lsn, TimelineId), String> {
    let bin_dir = major.bin_dir().map_err(|e| chain(&e))?;
    let control = ControlData::read(reaper, &bin_dir, pgdata, CONTROL_DATA_WITHIN).await.map_err(|e| chain(&e))?;
    let path = pgdata.join("pg_wal").join(WalName::History(control.timeline).to_string());
    let text = off_runtime(move || {
        std::fs::read_to_string(&path).map_err(|e| format!("failed to read {}: {e}", path.display()))
    })
    .await?;
    let history = History::parse(control.timeline, &text).map_err(|e| chain(&e))?;
    let left = history.ancestors().last().ok_or("the new timeline has no parent")?;
    Ok((left.lsn, left.timeline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_of_another_database_system_proves_nothing_and_that_is_said() {
        let backup: BackupId = "20261128T020000".parse().unwrap();
        let proves = |own: Option<u64>, found: Option<u64>| proves(own.map(SystemId), &backup, found.map(SystemId));
        assert_eq!(proves(Some(7), Some(7)), Ok(()));
        assert_eq!(proves(Some(7), None), Ok(()), "barman of long ago does not say");
        let other = proves(Some(7), Some(8)).unwrap_err();
        assert!(other.starts_with("backup 20261128T020000 is of database system 8, and the cluster is 7: "), "{other}");
        assert!(other.ends_with("give this one a serverName or destinationPath of its own"), "{other}");
        assert!(proves(None, Some(8)).is_err(), "nor where nobody knows");
    }

    #[test]
    fn the_time_of_the_last_commit_is_read_from_what_postgres_says() {
        let line = "LOG:  last completed transaction was at log time 2026-11-28 17:33:00.123456+00";
        assert_eq!(last_commit(line), "2026-11-28 17:33:00.123456Z".parse().ok());
        let abroad = "LOG:  last completed transaction was at log time 2026-11-28 23:03:00.123456+05:30";
        assert_eq!(last_commit(abroad), last_commit(line));
        assert_eq!(last_commit("LOG:  redo done"), None);
    }
}
