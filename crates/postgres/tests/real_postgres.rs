//! A life on real PostgreSQL: initdb, base backup, streaming, crash, end of WAL, promotion, rewind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, getuid, setgid, setgroups, setuid};
use pgherd_core::identity::{Incarnation, Nonce};
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::basebackup::{CopyInto, basebackup};
use pgherd_postgres::bootstrap::{Login, application_database, cluster_roles};
use pgherd_postgres::control_data::{ClusterState, ControlData};
use pgherd_postgres::death_watch::DeathWatch;
use pgherd_postgres::dir::{DataDirectory, PartialKind, Volume};
use pgherd_postgres::initdb::{InitDb, initdb};
use pgherd_postgres::process::{Postgres, Postmaster, StopMode};
use pgherd_postgres::promote::{promote, wait_ready};
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::rewind::{Rewound, rewind};
use pgherd_postgres::sample::{Role, prove_write_path, sample, standby_position};
use pgherd_postgres::sql::Session;
use pgherd_postgres::system_id::system_of;
use pgherd_postgres::tablespaces::locations;
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_postgres::waltail::{LocalWal, WalTail, timeline_at};

const PATIENCE: Duration = Duration::from_secs(60);

/// Locks are inherited by all that this program starts, so instances of two tests would hold each other's.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// postgres refuses to be root, so the whole test program becomes its user.
fn become_postgres() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if getuid().is_root() {
            let user = User::from_name("postgres").unwrap().expect("a user postgres");
            setgroups(&[]).unwrap();
            setgid(user.gid).unwrap();
            setuid(user.uid).unwrap();
        }
    });
}

struct Instance {
    volume: Volume,
    lock: Option<VolumeLock>,
    postgres: Postgres,
    postmaster: Option<Postmaster>,
    log: Arc<Mutex<String>>,
}

impl Instance {
    fn at(root: &Path, name: &str, port: u16) -> Self {
        let root = root.join(name);
        std::fs::create_dir(&root).unwrap();
        let volume = Volume::of_pgdata(&root.join("pgdata"));
        let postgres = Postgres::locate(Major::installed()[0], volume.pgdata(), &root, port).unwrap();
        let lock = Some(VolumeLock::acquire(&root).unwrap());
        Self { volume, lock, postgres, postmaster: None, log: Arc::default() }
    }

    fn conninfo(&self) -> String {
        let socket = self.postgres.socket_dir.display();
        format!("host={socket} port={} user=postgres dbname=postgres", self.postgres.port)
    }

    /// A temporary directory and a port in a socket's name: nothing is shared with other servers.
    fn configure(&self, pgdata: &Path, more: &str) {
        let socket = self.postgres.socket_dir.display();
        let conf = format!(
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nport = {}\nmax_wal_size = '1GB'\n\
             wal_keep_size = '256MB'\nshared_buffers = '16MB'\nrestore_command = 'false'\nhot_standby = on\n{more}\n",
            self.postgres.port
        );
        std::fs::write(pgdata.join("postgresql.conf"), conf).unwrap();
        std::fs::write(pgdata.join("pg_hba.conf"), "local all all trust\nlocal replication all trust\n").unwrap();
    }

    async fn start(&mut self, reaper: &Reaper) -> Session {
        let log = Arc::clone(&self.log);
        let sink = move |_, line: &[u8]| {
            let mut log = log.lock().unwrap();
            log.push_str(&String::from_utf8_lossy(line));
            log.push('\n');
        };
        let lock = self.lock.as_ref().unwrap();
        let postmaster = self.postgres.start(reaper, lock, &[], Arc::new(sink)).await.unwrap();
        let handle = postmaster.handle();
        self.postmaster = Some(postmaster);
        match wait_ready(&self.postgres, &handle, PATIENCE).await {
            Ok(session) => session,
            Err(error) => panic!("{error}: {}", self.log.lock().unwrap()),
        }
    }

    /// kill -9 of the postmaster; ends when no process of this instance is left, which the lock tells.
    async fn crash(&mut self) {
        let mut postmaster = self.postmaster.take().unwrap();
        let pid = postmaster.handle().pid();
        let watch = DeathWatch::of(pid).unwrap().expect("the pipe by which its children hear of its end");
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        tokio::time::timeout(PATIENCE, watch.ended()).await.expect("its end to be heard of by that pipe");
        postmaster.wait().await.unwrap();
        self.lock = None;
        self.lock = Some(VolumeLock::acquire_within(self.volume.root(), PATIENCE).await.unwrap());
    }

    async fn stop(&mut self, mode: StopMode) {
        let mut postmaster = self.postmaster.take().unwrap();
        postmaster.handle().stop(mode).unwrap();
        tokio::time::timeout(PATIENCE, postmaster.wait()).await.unwrap().unwrap();
    }

    async fn control(&self, reaper: &Reaper) -> ControlData {
        ControlData::read(reaper, &self.postgres.bin_dir, &self.postgres.pgdata, PATIENCE).await.unwrap()
    }

    async fn tail(&self, reaper: &Reaper) -> WalTail {
        let control = self.control(reaper).await;
        let wal = LocalWal::open(&self.postgres.pgdata, self.postgres.major, &control).unwrap();
        let from_redo = wal.end(control.redo).unwrap();
        // From whatever record on the way it begins, it ends at the same place.
        let records = self.waldump(from_redo.position.timeline, control.redo).0;
        for from in records.iter().step_by(records.len() / 7 + 1) {
            assert_eq!(wal.end(*from).unwrap(), from_redo, "from {from}");
        }
        from_redo
    }

    /// Where pg_waldump finds records to start, and its complaint about what follows the last one.
    fn waldump(&self, timeline: TimelineId, redo: Lsn) -> (Vec<Lsn>, String) {
        let output = Command::new(self.postgres.program("pg_waldump"))
            .args(["--path", self.postgres.pgdata.join("pg_wal").to_str().unwrap()])
            .args([format!("--timeline={}", timeline.0), format!("--start={redo}")])
            .output()
            .unwrap();
        let listing = String::from_utf8(output.stdout).unwrap();
        let starts = listing.lines().filter_map(|line| line.split_once(" lsn: "));
        let starts = starts.map(|(_, rest)| rest.split(',').next().unwrap().parse().unwrap()).collect();
        (starts, String::from_utf8(output.stderr).unwrap())
    }
}

async fn primary(root: &Path, reaper: &Reaper, port: u16) -> (Instance, Session) {
    let mut instance = Instance::at(root, "a", port);
    assert_eq!(instance.volume.inspect().unwrap().data, DataDirectory::Absent);
    let nonce = Nonce::from("n1");
    let making = instance.volume.partial_path(PartialKind::Initdb, &nonce);
    let how = InitDb { data_checksums: true, ..InitDb::default() };
    initdb(reaper, &instance.postgres, &making, &how, PATIENCE).await.unwrap();
    instance.configure(&making, "");
    assert_eq!(instance.volume.adopt(&making, &Incarnation::from("i1"), &nonce).unwrap(), None);
    let session = instance.start(reaper).await;
    (instance, session)
}

async fn execute(session: &Session, sql: &str) {
    session.batch("run a test's statement", sql, PATIENCE).await.unwrap();
}

/// Writes until it is stopped, in transactions of all sizes.
async fn busy(session: Session) {
    execute(&session, "CREATE TABLE IF NOT EXISTS load (id bigserial, filler text)").await;
    let sql = "INSERT INTO load (filler) SELECT repeat('x', (random() * 3000)::int) FROM generate_series(1, 20)";
    while session.client().batch_execute(sql).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postmaster_that_is_told_to_reload_as_it_begins_lives() {
    let _alone = ONE_AT_A_TIME.lock().await;
    become_postgres();
    let root = tempfile::tempdir().unwrap();
    let reaper = Reaper::start().unwrap();
    let (mut instance, session) = primary(root.path(), &reaper, 5603).await;
    drop(session);
    instance.stop(StopMode::Fast).await;
    let lock = instance.lock.as_ref().unwrap();
    let postmaster = instance.postgres.start(&reaper, lock, &[], Arc::new(|_, _: &[u8]| {})).await.unwrap();
    let handle = postmaster.handle();
    instance.postmaster = Some(postmaster);
    let reloads = {
        let handle = handle.clone();
        tokio::spawn(async move {
            loop {
                handle.reload().unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    let ready = wait_ready(&instance.postgres, &handle, PATIENCE).await;
    reloads.abort();
    assert!(ready.is_ok(), "{ready:?}");
    instance.stop(StopMode::Fast).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_wal_after_a_crash_is_where_pg_waldump_and_recovery_find_it() {
    let _alone = ONE_AT_A_TIME.lock().await;
    become_postgres();
    let root = tempfile::tempdir().unwrap();
    let reaper = Reaper::start().unwrap();
    let (mut instance, mut session) = primary(root.path(), &reaper, 5601).await;
    for round in 0..4_u32 {
        if round == 2 {
            execute(&session, "SELECT pg_switch_wal()").await;
        }
        let writing = tokio::spawn(busy(session));
        tokio::time::sleep(Duration::from_millis(150 + 100 * u64::from(round))).await;
        instance.crash().await;
        writing.await.unwrap();
        let control = instance.control(&reaper).await;
        assert_eq!(control.state, ClusterState::InProduction);
        let tail = instance.tail(&reaper).await;
        let (records, complaint) = instance.waldump(TimelineId(1), control.redo);
        let last = *records.last().unwrap();
        assert_eq!(tail.last_record, last, "{tail:?}; pg_waldump: {complaint}");
        assert_eq!(tail.position.timeline, TimelineId(1));
        assert!(tail.position.lsn > last && tail.position.lsn.0 - last.0 < 64 << 20);
        session = instance.start(&reaper).await;
        let redone = format!("redo done at {last}");
        assert!(instance.log.lock().unwrap().contains(&redone), "{redone}: {}", instance.log.lock().unwrap());
    }
    drop(session);
    instance.stop(StopMode::Fast).await;
    let control = instance.control(&reaper).await;
    assert_eq!(control.state, ClusterState::ShutDown);
    assert_eq!(instance.tail(&reaper).await.last_record, control.checkpoint);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_cloned_promoted_and_the_old_primary_rewound_to_follow_it() {
    let _alone = ONE_AT_A_TIME.lock().await;
    become_postgres();
    let root = tempfile::tempdir().unwrap();
    let reaper = Reaper::start().unwrap();
    let (mut old, session) = primary(root.path(), &reaper, 5602).await;
    let owner = Login { name: "app".into(), password: "it's \\ secret".into() };
    for _ in 0..2 {
        cluster_roles(&session, PATIENCE).await.unwrap();
        application_database(&session, &owner, "app", PATIENCE).await.unwrap();
    }
    assert!(!old.log.lock().unwrap().contains("secret"));

    let mut new = Instance::at(root.path(), "b", 5603);
    let making = new.volume.partial_path(PartialKind::Join, &Nonce::from("n2"));
    let mut progress = Vec::new();
    // Where the primary's tablespace lies nothing can be put; a copy that was cut off has left a folder of its own.
    let space = root.path().join("space");
    std::fs::create_dir(&space).unwrap();
    let make = format!("CREATE TABLESPACE s LOCATION '{}'", space.display());
    execute(&session, &make).await;
    execute(&session, "CREATE TABLE in_space TABLESPACE s AS SELECT 7 AS a").await;
    let nonce = Nonce::from("n2");
    let (oid, from) = locations(&session, PATIENCE).await.unwrap().remove(0);
    std::fs::create_dir_all(new.volume.free_tablespace(oid, &nonce).join("half")).unwrap();
    let to = new.volume.free_tablespace(oid, &nonce);
    let wal = new.volume.root().join("wal-volume/pg_wal");
    let into = CopyInto { pgdata: making.clone(), wal: Some(wal.clone()), spaces: vec![(from, to.clone())] };
    let watch = |now| progress.push(now);
    basebackup(&reaper, &new.postgres, &old.conninfo(), &into, PATIENCE, watch).await.unwrap();
    assert_eq!(std::fs::read_link(making.join("pg_wal")).unwrap(), wal);
    assert!(progress.last().is_some_and(|last| last.done_kib > 1000), "{progress:?}");
    new.configure(&making, &format!("primary_conninfo = '{} application_name=b'", old.conninfo()));
    std::fs::write(making.join("standby.signal"), "").unwrap();
    new.volume.adopt(&making, &Incarnation::from("i2"), &Nonce::from("n2")).unwrap();
    let standby = new.start(&reaper).await;
    let in_space = "SELECT a::text || pg_tablespace_location(oid) FROM in_space, pg_tablespace WHERE spcname = 's'";
    let found: String = standby.scalar("look", in_space, PATIENCE).await.unwrap();
    assert_eq!(found, format!("7{}", to.display()));

    execute(&session, "CREATE TABLE t AS SELECT 1 AS a").await;
    let flushed = prove_write_path(&session, PATIENCE).await.unwrap();
    until(async || standby_position(&standby, PATIENCE).await.unwrap() >= Some(flushed)).await;
    // Nothing is written for a proof where everything is flushed, so that the archive gets no segments of proofs.
    let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
    let before: String = session.scalar("look", next, PATIENCE).await.unwrap();
    for _ in 0..3 {
        prove_write_path(&session, PATIENCE).await.unwrap();
    }
    assert_eq!(session.scalar::<String>("look", next, PATIENCE).await.unwrap(), before, "a proof used a transaction");
    until(async || sample(&session, PATIENCE).await.unwrap().replication.len() == 1).await;
    let seen = sample(&session, PATIENCE).await.unwrap();
    assert!(matches!(seen.role, Role::Primary { timeline: TimelineId(1), .. }));
    assert_eq!(seen.replication[0].application_name, "b");
    let seen = sample(&standby, PATIENCE).await.unwrap();
    assert!(matches!(&seen.role, Role::Standby { receiver: Some(r), .. } if r.timeline == TimelineId(1)), "{seen:?}");
    assert_eq!(seen.system_id, old.control(&reaper).await.system_id);
    assert_eq!(system_of(new.volume.pgdata()).unwrap(), seen.system_id);

    // The old primary writes what nobody gets, and dies.
    new.stop(StopMode::Fast).await;
    execute(&session, "CREATE TABLE lost AS SELECT 1 AS a").await;
    old.crash().await;
    assert_eq!(old.tail(&reaper).await.position.timeline, TimelineId(1));
    let standby = new.start(&reaper).await;
    let handle = new.postmaster.as_ref().unwrap().handle();
    assert_eq!(promote(&handle, &standby, PATIENCE).await.unwrap(), TimelineId(2));
    execute(&standby, "CREATE TABLE kept AS SELECT 1 AS a; CHECKPOINT").await;

    old.volume.mark_rewinding().unwrap();
    let conninfo = new.conninfo();
    assert_eq!(rewind(&reaper, &old.postgres, &conninfo, PATIENCE).await.unwrap(), Rewound::Rewound);
    old.volume.clear_rewinding().unwrap();
    old.configure(&old.postgres.pgdata, &format!("primary_conninfo = '{conninfo} application_name=a'"));
    std::fs::write(old.postgres.pgdata.join("standby.signal"), "").unwrap();
    let follower = old.start(&reaper).await;
    execute(&standby, "CREATE TABLE after AS SELECT 1 AS a").await;
    let there = "SELECT to_regclass('after') IS NOT NULL AND to_regclass('lost') IS NULL";
    until(async || follower.scalar::<bool>("look", there, PATIENCE).await.unwrap()).await;

    // A standby that crashes shows WAL of the timeline that it follows.
    let flushed = prove_write_path(&standby, PATIENCE).await.unwrap();
    until(async || standby_position(&follower, PATIENCE).await.unwrap() >= Some(flushed)).await;
    // Both locks are inherited by all that this one program starts, so the other instance stops first.
    new.stop(StopMode::Fast).await;
    // Its receiver is gone, and no restart point has told the control file.
    until(async || matches!(sample(&follower, PATIENCE).await.unwrap().role, Role::Standby { receiver: None, .. }))
        .await;
    let reached = standby_position(&follower, PATIENCE).await.unwrap().unwrap();
    let pg_wal = old.postgres.pgdata.join("pg_wal");
    assert_eq!(timeline_at(&pg_wal, reached, TimelineId(1)).unwrap(), TimelineId(2));
    old.crash().await;
    let tail = old.tail(&reaper).await;
    assert_eq!(tail.position.timeline, TimelineId(2));
    assert!(tail.position.lsn >= flushed, "{tail:?} {flushed}");
}

async fn until(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time");
}

#[tokio::test]
async fn a_postmaster_is_not_started_under_another_volume_s_lock() {
    let _alone = ONE_AT_A_TIME.lock().await;
    become_postgres();
    let root = tempfile::tempdir().unwrap();
    let reaper = Reaper::start().unwrap();
    let instance = Instance::at(root.path(), "a", 5604);
    let elsewhere = tempfile::tempdir().unwrap();
    let lock = VolumeLock::acquire(elsewhere.path()).unwrap();
    let error = instance.postgres.start(&reaper, &lock, &[], Arc::new(|_, _: &[u8]| {})).await.unwrap_err();
    assert!(error.to_string().contains(elsewhere.path().to_str().unwrap()), "{error}");
}
