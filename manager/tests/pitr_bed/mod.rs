//! A primary that archives through the manager's own archiver to a store in memory, and its base backups.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod failover;
pub mod oracle;

use super::user::become_postgres;
use bytes::Bytes;
use pgherd_backup::{Catalog, Destination, Patience, WalArchive, WalSettings};
use pgherd_core::backup::{BackupLabel, Choice, RecoveryTarget, TargetTimeline, choose};
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{Compression, WalName};
use pgherd_manager::archive::{Archive, ArchivePaths, ArchiveRole, Bounds, RestoreMode, StoreConfig};
use pgherd_manager::recovery::{Course, Place, Verdict, make_ready, replay, verify};
use pgherd_objectstore::{FaultControl, Faulty, MemoryStore, ObjectStore, PutOptions};
use pgherd_postgres::initdb::{InitDb, initdb};
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::process::{Postgres, Postmaster, StopMode};
use pgherd_postgres::promote::{promote, wait_ready};
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const TABLE: &str = "written";
/// Only parts of sockets' names, in directories of their own.
const PORT: u16 = 5432;

pub struct Bed {
    pub root: tempfile::TempDir,
    pub reaper: Reaper,
    lock: VolumeLock,
    origin: Postgres,
    postmaster: Option<Postmaster>,
    pub archive: Archive,
    pub store: StoreConfig,
    pub fault: FaultControl,
    objects: Arc<Faulty<MemoryStore>>,
    pub lines: LineSink,
    log: Arc<Mutex<Vec<String>>>,
    restored: u32,
    /// What becomes of an object between the choice and the replay: other content, or it goes.
    pub spoil: Option<(String, Option<Bytes>)>,
    tasks: JoinSet<()>,
}

fn manager() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_manager"))
}

impl Bed {
    pub async fn start() -> Self {
        become_postgres();
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let reaper = Reaper::start().unwrap();
        let lock = VolumeLock::acquire(root.path()).unwrap();
        let origin = Postgres::locate(Major::installed()[0], &root.path().join("origin"), &run, PORT).unwrap();
        initdb(&reaper, &origin, &origin.pgdata, &InitDb::default(), PATIENCE).await.unwrap();
        let (objects, fault) = Faulty::new(MemoryStore::new());
        let objects = Arc::new(objects);
        let settings = WalSettings { root: "c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
        let archive = WalArchive::new(Arc::<Faulty<MemoryStore>>::clone(&objects), settings);
        let store = StoreConfig { archive, max_parallel: NonZeroUsize::new(2).unwrap() };
        let paths = paths(root.path(), &origin);
        let mut tasks = JoinSet::new();
        let resident = Archive::start(paths, Bounds::default(), &mut tasks).await.unwrap();
        resident.configure(Some(store.clone()));
        resident.set_role(ArchiveRole::Primary);
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let writer = Arc::clone(&log);
        let lines: LineSink =
            Arc::new(move |_, line| writer.lock().unwrap().push(String::from_utf8_lossy(line).into_owned()));
        let archive = resident;
        let mut bed = Self {
            root,
            reaper,
            lock,
            origin,
            postmaster: None,
            archive,
            store,
            fault,
            objects,
            lines,
            log,
            restored: 0,
            spoil: None,
            tasks,
        };
        configure(&bed.origin);
        bed.begin().await;
        bed
    }

    async fn begin(&mut self) {
        let postmaster = self.origin.start(&self.reaper, &self.lock, &[], Arc::clone(&self.lines)).await.unwrap();
        drop(wait_ready(&self.origin, &postmaster.handle(), PATIENCE).await.unwrap());
        self.postmaster = Some(postmaster);
    }

    pub async fn end(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        postmaster.handle().stop(StopMode::Fast).unwrap();
        tokio::time::timeout(PATIENCE, postmaster.wait()).await.unwrap().unwrap();
    }

    pub fn bin(&self, program: &str) -> PathBuf {
        self.origin.program(program)
    }

    pub async fn session(&self) -> Session {
        session(&self.origin.socket_dir).await
    }

    pub async fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.session().await, sql).await
    }

    /// A base backup of the origin, laid out as barman lays it.
    pub async fn backup(&self, id: &str) {
        let copy = self.root.path().join(format!("copy-{id}"));
        let socket = self.origin.socket_dir.display().to_string();
        let mut command = Command::new(self.bin("pg_basebackup"));
        command.args(["-h", &socket, "-U", "postgres", "-X", "none", "-c", "fast", "-D"]).arg(&copy);
        let taken = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let text = std::fs::read_to_string(copy.join("backup_label")).unwrap();
        let label = BackupLabel::parse(&text).unwrap();
        let begin = label.start_segment;
        let end = std::fs::read_dir(self.origin.pgdata.join("pg_wal")).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            let is_ours = name.starts_with(&begin.to_string()) && name.ends_with(".backup");
            is_ours.then(|| BackupLabel::parse(&std::fs::read_to_string(path).unwrap()).unwrap().end.unwrap())
        });
        let end = end.expect("a backup history file");
        let now = pgherd_core::backup::Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        let info = format!(
            "status=DONE\nversion={}0000\ntimeline={}\nsystemid=7\nbegin_time={now}\nend_time={now}\nbegin_wal={begin}\n\
             end_wal={}\nbegin_xlog={}\nend_xlog={}\nbackup_label='{}'\n",
            Major::installed()[0].number(),
            label.start.timeline,
            end.stop_segment,
            label.start.lsn,
            end.stop.lsn,
            text.replace('\n', "\\n"),
        );
        let mut tar = tar::Builder::new(pgherd_backup::gzip_writer(Vec::new(), 1));
        tar.append_dir_all(".", &copy).unwrap();
        let packed = tar.into_inner().unwrap().finish().unwrap();
        for (name, body) in [("data.tar.gz", packed), ("backup.info", info.into_bytes())] {
            let key = format!("c/base/{id}/{name}");
            self.objects.inner().put_new(&key, Bytes::from(body), &PutOptions::default()).await.unwrap();
        }
        std::fs::remove_dir_all(copy).unwrap();
    }

    /// Ends the segment at hand and waits until it is archived.
    pub async fn archive_all(&self) {
        let session = self.session().await;
        let name =
            session.scalar::<String>("switch", "SELECT pg_walfile_name(pg_switch_wal())", PATIENCE).await.unwrap();
        let name: WalName = name.parse().unwrap();
        let deadline = Instant::now() + PATIENCE;
        // Not the last one alone: several are put at once, and one may overtake those before it.
        while self.waits_to_be_archived() || self.store.archive.get(name).await.unwrap().is_none() {
            assert!(Instant::now() < deadline, "{name} is not archived: {:?}", self.archive.status().borrow());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn waits_to_be_archived(&self) -> bool {
        let names = std::fs::read_dir(self.origin.pgdata.join("pg_wal/archive_status")).unwrap();
        names.map(|entry| entry.unwrap().file_name()).any(|name| name.to_string_lossy().ends_with(".ready"))
    }

    /// The origin goes on along a new timeline.
    pub async fn promote(&mut self) -> TimelineId {
        self.end().await;
        std::fs::write(self.origin.pgdata.join("standby.signal"), "").unwrap();
        self.archive.set_restore_mode(RestoreMode::default());
        self.begin().await;
        let handle = self.postmaster.as_ref().unwrap().handle();
        promote(&handle, &self.session().await, PATIENCE).await.unwrap()
    }

    pub fn catalog(&self) -> Catalog {
        self.store.archive.catalog(Patience(Duration::from_secs(5)))
    }

    /// Every segment of the archive as a file; of the last one of a timeline that was left there may be a part only.
    pub async fn all_wal(&self) -> PathBuf {
        let folder = self.root.path().join("all-wal");
        std::fs::create_dir_all(&folder).unwrap();
        for object in self.catalog().survey().await.unwrap().wal {
            let (name, part) = match object.name {
                WalName::Segment(name) => (name, false),
                WalName::Partial(name) => (name, true),
                _ => continue,
            };
            let file = folder.join(name.to_string());
            if !part || !file.exists() {
                let content = self.store.archive.get(object.name).await.unwrap().unwrap();
                std::fs::File::create(file).unwrap().write_all(&content).unwrap();
            }
        }
        folder
    }

    /// Recovers as the manager does, and answers the rows; the timeline it ended on is a new one.
    pub async fn recover(&mut self, wanted: &RecoveryTarget) -> Result<(Choice, Vec<i64>), String> {
        let mut wanted = wanted.clone();
        loop {
            let survey = self.catalog().survey().await.unwrap();
            let choice = choose(&survey.entries(), &survey.archived, &wanted).map_err(|refusal| refusal.to_string())?;
            let taken = survey.archived.timelines().into_iter().max().unwrap();
            self.restored += 1;
            let pgdata = self.root.path().join(format!("restored-{}", self.restored));
            let to = Destination { pgdata: pgdata.clone(), tablespaces: Vec::new(), wide: 2, progress: Arc::default() };
            self.catalog().restore(survey.backup(&choice.backup).unwrap(), &to).await.map_err(|e| e.to_string())?;
            make_ready(&pgdata, choice.span.segment_size)?;
            self.do_spoil().await;
            let place = self.place();
            let (along, covered) = (choice.along.timeline(), Some(choice.covers()));
            let course = Course { store: &self.store, target: &wanted, along, taken, covered };
            let ended = match replay(&place, &pgdata, &course).await {
                Ok(()) => verify(&place, &pgdata, &course).await,
                Err(why) => Err(why),
            };
            let ids = match &ended {
                Ok(Verdict::Reached) => self.rows_of(&pgdata).await,
                _ => Vec::new(),
            };
            std::fs::remove_dir_all(&pgdata).unwrap();
            match ended? {
                Verdict::Reached => return Ok((choice, ids)),
                Verdict::Short(short) => return Err(short.to_string()),
                Verdict::BeforeItsTimeline(ancestor) => wanted.timeline = TargetTimeline::Id(ancestor),
            }
        }
    }

    async fn do_spoil(&mut self) {
        match self.spoil.take() {
            Some((key, Some(body))) => self.objects.inner().overwrite(&key, body),
            Some((key, None)) => self.objects.inner().delete(&key).await.unwrap(),
            None => {}
        }
    }

    /// Copies the archive into another store.
    pub async fn publish(&self, to: &dyn ObjectStore) {
        for key in self.objects.inner().keys() {
            let body = self.objects.inner().get(&key, u64::MAX).await.unwrap();
            to.put_new(&key, body, &PutOptions::default()).await.unwrap();
        }
    }

    /// Puts an object back as it was.
    pub fn mend(&self, key: &str, body: Bytes) {
        self.objects.inner().overwrite(key, body);
    }

    fn place(&self) -> Place<'_> {
        Place {
            reaper: &self.reaper,
            lock: &self.lock,
            major: Major::installed()[0],
            folder: self.root.path().join("recovery"),
            client: manager(),
            lines: Arc::clone(&self.lines),
            bounds: Bounds::default(),
        }
    }

    /// Starts what was recovered as it would be served, and looks.
    pub async fn rows_of(&self, pgdata: &Path) -> Vec<i64> {
        let sockets = self.root.path().join("recovery");
        std::fs::create_dir_all(&sockets).unwrap();
        let postgres = Postgres::locate(Major::installed()[0], pgdata, &sockets, PORT).unwrap();
        let settings = ["listen_addresses=".to_owned(), format!("unix_socket_directories={}", sockets.display())];
        let more = ["max_prepared_transactions=7".to_owned(), "fsync=off".to_owned()];
        let settings: Vec<String> = settings.into_iter().chain(more).collect();
        let mut postmaster =
            postgres.start(&self.reaper, &self.lock, &settings, Arc::clone(&self.lines)).await.unwrap();
        drop(wait_ready(&postgres, &postmaster.handle(), PATIENCE).await.unwrap());
        let ids = ids(&session(&sockets).await).await;
        postmaster.handle().stop(StopMode::Immediate).unwrap();
        tokio::time::timeout(PATIENCE, postmaster.wait()).await.unwrap().unwrap();
        ids
    }

    /// The last lines of any postgres.
    pub fn last_lines(&self) -> String {
        let log = self.log.lock().unwrap();
        log.iter().rev().take(40).rev().cloned().collect::<Vec<_>>().join("\n")
    }
}

/// Of an instance's archiver.
fn paths(root: &Path, instance: &Postgres) -> ArchivePaths {
    let own = instance.pgdata.file_name().unwrap().to_string_lossy();
    ArchivePaths {
        pgdata: instance.pgdata.clone(),
        socket: instance.socket_dir.join("archive.sock"),
        spool: root.join(format!("spool-{own}")),
        aside: root.join(format!("aside-{own}")),
    }
}

fn configure(instance: &Postgres) {
    let run = instance.socket_dir.display();
    let client = format!("PGHERD_ARCHIVE_SOCKET={run}/archive.sock {}", manager().display());
    let conf = format!(
        "listen_addresses = ''\nunix_socket_directories = '{run}'\nshared_buffers = '16MB'\nfsync = off\n\
         archive_mode = on\narchive_command = '{client} wal-archive %p'\nrestore_command = '{client} wal-restore %f %p'\n\
         max_prepared_transactions = 7\ntimezone = 'UTC'\nwal_retrieve_retry_interval = 100ms\n"
    );
    std::fs::write(instance.pgdata.join("postgresql.conf"), conf).unwrap();
    std::fs::write(instance.pgdata.join("pg_hba.conf"), "local all all trust\nlocal replication all trust\n").unwrap();
}

async fn session(socket_dir: &Path) -> Session {
    let to = Local { socket_dir, port: PORT, database: "postgres", application_name: "test" };
    Session::local(to, PATIENCE).await.unwrap()
}

/// All rows of the table, in order.
async fn ids(session: &Session) -> Vec<i64> {
    let all = rows(session, &format!("SELECT id::text FROM {TABLE}")).await;
    let mut ids: Vec<i64> = all.iter().map(|id| id.parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

async fn rows(session: &Session, sql: &str) -> Vec<String> {
    let rows = session.client().query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
