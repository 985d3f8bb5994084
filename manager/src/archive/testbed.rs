//! A data directory, a faulty store, the resident part, and the real client, for the tests of this module.

use super::{Archive, ArchivePaths, ArchiveRole, Bounds, RestoreMode, StoreConfig};
use bytes::Bytes;
use pgherd_backup::{WalArchive, WalSettings};
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{Compression, WalName};
use pgherd_objectstore::{FaultControl, Faulty, MemoryStore, ObjectStore};
use pgherd_wal_client::client;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long a test waits for anything before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Bed {
    pub folder: tempfile::TempDir,
    pub store: Arc<Faulty<MemoryStore>>,
    pub fault: FaultControl,
    pub archive: Archive,
    _tasks: JoinSet<()>,
}

/// Segment `n` of timeline 1, the way postgres names it.
pub(super) fn segment(n: u32) -> WalName {
    on_timeline(1, n)
}

pub(super) fn on_timeline(timeline: u32, n: u32) -> WalName {
    format!("{timeline:08X}00000000{n:08X}").parse().expect("a name")
}

/// What lies in it: the smallest segment there is, different for every name.
pub(super) fn content(name: WalName) -> Bytes {
    let text = name.to_string();
    Bytes::from(text.bytes().cycle().take(1 << 20).collect::<Vec<u8>>())
}

/// The database system of the bed's data directory.
pub(super) const SYSTEM: u64 = 7;

/// The same as a segment of this database system, by its long page header.
pub(super) fn content_of(system: u64, name: WalName) -> Bytes {
    let mut page = content(name).to_vec();
    page[..4].copy_from_slice(&[0x10, 0xD1, 2, 0]);
    page[24..32].copy_from_slice(&system.to_le_bytes());
    page[32..36].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    page[36..40].copy_from_slice(&8192_u32.to_le_bytes());
    Bytes::from(page)
}

/// A recovery along timeline 1.
pub(super) fn recovery() -> RestoreMode {
    RestoreMode::Recovery { along: TimelineId(1), taken: TimelineId(1) }
}

pub(super) fn store_config(store: Arc<dyn ObjectStore>, width: usize) -> StoreConfig {
    let settings = WalSettings { root: "c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
    let archive = WalArchive::new(store, settings);
    StoreConfig { archive, max_parallel: NonZeroUsize::new(width).expect("a width") }
}

impl Bed {
    /// A primary that archives `width` wide, all well.
    pub async fn primary(width: usize) -> Self {
        let bed = Self::start().await;
        bed.archive.configure(Some(bed.config(width)));
        bed.archive.set_role(ArchiveRole::Primary);
        bed
    }

    /// An instance that restores in this mode, and archives nothing.
    pub async fn restoring(mode: RestoreMode, width: usize) -> Self {
        let bed = Self::start().await;
        bed.archive.configure(Some(bed.config(width)));
        bed.archive.set_restore_mode(mode);
        bed
    }

    /// Just started: nothing is known yet.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("pgdata/pg_wal/archive_status")).expect("folders");
        std::fs::create_dir_all(folder.path().join("pgdata/global")).expect("a folder");
        std::fs::write(folder.path().join("pgdata/global/pg_control"), SYSTEM.to_le_bytes()).expect("a control file");
        let (store, fault) = Faulty::new(MemoryStore::new());
        let mut tasks = JoinSet::new();
        let paths = ArchivePaths {
            pgdata: folder.path().join("pgdata"),
            socket: folder.path().join("archive.sock"),
            spool: folder.path().join("spool"),
            aside: folder.path().join("pgherd/unarchived"),
        };
        let bounds = Bounds {
            short: Duration::from_millis(400),
            promotion: Duration::from_millis(400),
            recovery: Duration::from_secs(2),
            attempt: Duration::from_millis(400),
        };
        let archive = Archive::start(paths, bounds, &mut tasks).await.expect("started");
        Self { folder, store: Arc::new(store), fault, archive, _tasks: tasks }
    }

    pub fn config(&self, width: usize) -> StoreConfig {
        store_config(Arc::<Faulty<MemoryStore>>::clone(&self.store), width)
    }

    pub fn pg_wal(&self) -> PathBuf {
        self.folder.path().join("pgdata/pg_wal")
    }

    /// Postgres has finished a segment.
    pub fn finish(&self, name: WalName) {
        std::fs::write(self.pg_wal().join(name.to_string()), content(name)).expect("a segment");
        std::fs::write(self.pg_wal().join(format!("archive_status/{name}.ready")), "").expect("ready");
    }

    /// Postgres' archiver runs its command; as it does, it renames the status file on success.
    pub async fn archive_command(&self, name: WalName) -> u8 {
        let status = self.spawn_archive_command(name).await.expect("the client");
        if status == 0 {
            let folder = self.pg_wal().join("archive_status");
            let _renamed = std::fs::rename(folder.join(format!("{name}.ready")), folder.join(format!("{name}.done")));
        }
        status
    }

    pub fn spawn_archive_command(&self, name: WalName) -> tokio::task::JoinHandle<u8> {
        let socket = self.folder.path().join("archive.sock");
        tokio::task::spawn_blocking(move || client::archive(&socket, &[format!("pg_wal/{name}")]))
    }

    /// Postgres runs its restore_command; the file that it got is taken away again.
    pub async fn restore_command(&self, name: WalName) -> (u8, Option<Vec<u8>>) {
        let socket = self.folder.path().join("archive.sock");
        let target = self.pg_wal().join("RECOVERYXLOG");
        let _old = std::fs::remove_file(&target);
        let arguments = [name.to_string(), "pg_wal/RECOVERYXLOG".to_owned()];
        let status = tokio::task::spawn_blocking(move || client::restore(&socket, &arguments)).await;
        (status.expect("the client"), std::fs::read(target).ok())
    }

    /// Puts a segment into the store without this instance.
    pub async fn stored(&self, name: WalName, body: Bytes) {
        let config = store_config(Arc::<Faulty<MemoryStore>>::clone(&self.store), 1);
        config.archive.put(name, pgherd_backup::Source::Bytes(body)).await.expect("stored");
    }

    pub fn keys(&self) -> Vec<String> {
        self.store.inner().keys()
    }
}

/// Waits for a condition, with a deadline.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
