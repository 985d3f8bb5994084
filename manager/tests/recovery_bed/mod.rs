//! An archive on a real S3 API with faults, of a database that is gone, and volumes that it is recovered on: here, or by a
//! process of its own that can be killed.

use super::pitr_bed::{Bed, PATIENCE, TABLE};
use super::user::become_postgres;
use pgherd_backup::{Patience, WalArchive, WalSettings};
use pgherd_core::backup::RecoveryTarget;
use pgherd_core::identity::Nonce;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::Compression;
use pgherd_manager::archive::{Bounds, StoreConfig};
use pgherd_manager::recovery::{Order, Place, Site, Source, adopt, recover_on};
use pgherd_objectstore::test_server::TestServer;
use pgherd_objectstore::{ObjectStore, PutOptions, S3Config, S3Credentials, S3Store, Timeouts};
use pgherd_postgres::dir::Volume;
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Set for a process that recovers: the volume, and where the archive is.
pub const VOLUME: &str = "PGHERD_TEST_RECOVERS";
const ENDPOINT: &str = "PGHERD_TEST_ENDPOINT";
/// How long an outage is put up with here: more than anything takes that works, on a busy machine too.
const SHORT: Duration = Duration::from_secs(4);

/// The archive of a database that is gone.
pub struct Archived {
    pub bed: Bed,
    pub server: TestServer,
    pub rows: Vec<i64>,
}

impl Archived {
    /// A base backup, and some segments of WAL after it.
    pub async fn start() -> Self {
        let mut bed = Bed::start().await;
        let session = bed.session().await;
        session.batch("make", &format!("CREATE TABLE {TABLE} (id bigserial)"), PATIENCE).await.unwrap();
        bed.backup("20261101T000000").await;
        for _ in 0..4 {
            let write = format!("INSERT INTO {TABLE} SELECT FROM generate_series(1, 100); SELECT pg_switch_wal()");
            session.batch("write", &write, PATIENCE).await.unwrap();
        }
        drop(session);
        bed.archive_all().await;
        bed.end().await;
        let s3 = bed.root.path().join("s3");
        std::fs::create_dir_all(s3.join("bucket")).unwrap();
        let server = TestServer::start(&s3).await.unwrap();
        bed.publish(&server.store("bucket")).await;
        Self { bed, server, rows: (1..=400).collect() }
    }

    /// The file of an object.
    pub fn file(&self, key: &str) -> PathBuf {
        self.bed.root.path().join("s3/bucket").join(key)
    }

    /// The segment in the middle of the WAL after the backup.
    pub async fn middle(&self) -> String {
        let survey = self.bed.catalog().survey().await.unwrap();
        let begin = survey.backups[0].entry.span().unwrap().begin.lsn.0 >> 24;
        format!("c/wals/0000000100000000/0000000100000000{:08X}.gz", begin + 2)
    }

    /// Puts another object into the place of one, as its owner would.
    pub async fn replace(&self, key: &str, body: Vec<u8>) {
        let store = self.server.store("bucket");
        store.delete(key).await.unwrap();
        store.put_new(key, body.into(), &PutOptions::default()).await.unwrap();
    }

    /// Another try says what was damaged, that it is the same still, and when it is fetched again.
    pub async fn is_not_fetched_again(&self, volume: &Path, damaged: &str) {
        let before = self.server.asked();
        let again = self.recover(volume).await.unwrap_err();
        assert!(again.contains(damaged) && again.contains("once that object is another"), "{again}");
        assert!(self.server.asked() - before < 8, "only what is there was looked at");
        let rests = std::fs::read_dir(volume).unwrap().flatten().filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.contains("restore-") || name.contains("recovering")
        });
        assert_eq!(rests.count(), 0, "nothing half is left");
    }

    /// An empty volume.
    pub fn volume(&self, name: &str) -> PathBuf {
        let path = self.bed.root.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// Tries here, once.
    pub async fn recover(&self, volume: &Path) -> Result<(), String> {
        self.recover_within(volume, SHORT).await
    }

    /// The same, with an outage of so long put up with.
    pub async fn recover_within(&self, volume: &Path, patience: Duration) -> Result<(), String> {
        recover(&self.bed.reaper, volume, &self.server.endpoint(), Arc::clone(&self.bed.lines), patience).await
    }

    /// What was recovered there is all that there was.
    pub async fn is_whole(&self, volume: &Path) {
        assert_eq!(self.bed.rows_of(&volume.join("pgdata")).await, self.rows, "{}", self.bed.last_lines());
    }

    /// This program as another process that tries once on a volume.
    pub fn process(&self, test: &str, volume: &Path) -> std::process::Command {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(VOLUME, volume).env(ENDPOINT, self.server.endpoint());
        command.stdin(std::process::Stdio::null());
        command
    }
}

async fn recover(
    reaper: &Reaper,
    volume: &Path,
    endpoint: &str,
    lines: pgherd_postgres::lines::LineSink,
    patience: Duration,
) -> Result<(), String> {
    let lock = VolumeLock::acquire_within(volume, PATIENCE).await.map_err(|e| e.to_string())?;
    let source = source(endpoint, patience);
    let run = volume.with_extension("run");
    let site = Site {
        volume: &Volume::of_pgdata(&volume.join("pgdata")),
        nonce: &Nonce(std::process::id().to_string()),
        place: Place {
            reaper,
            lock: &lock,
            major: Major::installed()[0],
            folder: run,
            client: PathBuf::from(env!("CARGO_BIN_EXE_manager")),
            lines,
            bounds: Bounds { recovery: patience, attempt: patience, ..Bounds::default() },
        },
    };
    let order = Order {
        source: &source,
        fingerprint: "one".to_owned(),
        system: None,
        taken: Box::pin(async { Ok(TimelineId::default()) }),
    };
    recover_on(&site, order).await?;
    adopt(&site).await
}

fn source(endpoint: &str, patience: Duration) -> Source {
    use pgherd_objectstore::test_server::{ACCESS_KEY, SECRET_KEY};
    let store: Arc<dyn ObjectStore> = Arc::new(S3Store::new(S3Config {
        endpoint_url: Some(endpoint.to_owned()),
        region: Some("eu-central-1".to_owned()),
        credentials: S3Credentials::Given {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
            session_token: None,
        },
        timeouts: Timeouts { call: SHORT / 2, ..Timeouts::default() },
        ..S3Config::new("bucket")
    }));
    let settings = WalSettings { root: "c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
    let archive = WalArchive::new(store, settings);
    let catalog = archive.catalog(Patience(patience));
    let store = StoreConfig { archive, max_parallel: NonZeroUsize::MIN };
    Source { store, catalog, place: "s3://bucket/c".to_owned(), target: RecoveryTarget::default() }
}

/// The process that tries once: its exit code is 0 where the volume has its database.
pub fn in_this_process() -> Option<i32> {
    let volume = PathBuf::from(std::env::var_os(VOLUME)?);
    let endpoint = std::env::var(ENDPOINT).unwrap();
    become_postgres();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    Some(runtime.block_on(async {
        let reaper = Reaper::start().unwrap();
        if volume.join("pgdata").exists() {
            return 0;
        }
        let lines: pgherd_postgres::lines::LineSink = Arc::new(|_, line| println!("{}", String::from_utf8_lossy(line)));
        match recover(&reaper, &volume, &endpoint, lines, SHORT).await {
            Ok(()) => 0,
            Err(why) => {
                println!("failed: {why}");
                1
            }
        }
    }))
}
