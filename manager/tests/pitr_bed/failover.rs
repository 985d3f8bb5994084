//! A primary that dies in the middle of writes, and the standby that goes on with less than it had.

use super::{Bed, PATIENCE, PORT, TABLE, configure, ids, paths, session};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_backup::{WalArchive, WalSettings};
use pgherd_core::timeline::TimelineId;
use pgherd_manager::archive::{Archive, ArchiveRole, Bounds, RestoreMode, StoreConfig};
use pgherd_objectstore::{Fault, Faulty, MemoryStore};
use pgherd_postgres::process::Postgres;
use pgherd_postgres::promote::{promote, wait_ready};
use pgherd_postgres::sql::Session;
use pgherd_postgres::version::Major;
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a failover left behind.
pub struct Failover {
    /// The timeline that the killed instance was on.
    pub left: TimelineId,
    /// The one that the other opened.
    pub timeline: TimelineId,
    /// How many rows went with the killed one, at least.
    pub gone: u64,
    /// A restore point that only the killed one had. It is in the archive, beyond the switch.
    pub point: String,
    /// The rows at that point.
    pub rows: Vec<i64>,
}

impl Bed {
    /// Another instance follows, is cut off, and is promoted once the first was killed while somebody wrote.
    pub async fn fail_over(&mut self, left: TimelineId) -> Failover {
        let run = self.root.path().join(format!("run-after-{left}"));
        std::fs::create_dir(&run).unwrap();
        let pgdata = self.root.path().join(format!("standby-of-{left}"));
        let source = self.origin.socket_dir.display().to_string();
        let mut command = Command::new(self.bin("pg_basebackup"));
        command.args(["-h", &source, "-U", "postgres", "-X", "stream", "-c", "fast", "-R", "-D"]).arg(&pgdata);
        let taken = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let standby = Postgres::locate(Major::installed()[0], &pgdata, &run, PORT).unwrap();
        configure(&standby);
        let archive =
            Archive::start(paths(self.root.path(), &standby), Bounds::default(), &mut self.tasks).await.unwrap();
        archive.configure(Some(self.store.clone()));
        archive.set_restore_mode(RestoreMode::default());
        let postmaster = standby.start(&self.reaper, &self.lock, &[], Arc::clone(&self.lines)).await.unwrap();
        drop(wait_ready(&standby, &postmaster.handle(), PATIENCE).await.unwrap());
        let (on_standby, on_primary) = (session(&standby.socket_dir).await, self.session().await);
        let end = text(&on_primary, "SELECT pg_current_wal_insert_lsn()::text").await;
        holds(&on_standby, &format!("SELECT coalesce(pg_last_wal_receive_lsn() >= '{end}', false)::text")).await;
        run_all(&on_standby, &["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"]).await;
        holds(&on_standby, "SELECT (count(*) = 0)::text FROM pg_stat_wal_receiver").await;

        // From here on the standby does not reach the store either, or it would replay what it was not sent.
        archive.configure(Some(away()));
        // Whole segments of what only the primary has are in the archive when it dies.
        let (insert, point) = (format!("INSERT INTO {TABLE} DEFAULT VALUES"), format!("gone with {left}"));
        run_all(&on_primary, &[&insert, &insert, &format!("SELECT pg_create_restore_point('{point}')"), &insert]).await;
        let mut rows = self.ids().await;
        rows.pop();
        self.archive_all().await;
        let had = self.write_until_killed().await;
        self.archive.set_role(ArchiveRole::Other);
        let (from, reserved) = (left, TimelineId(left.0 + 1));
        archive.set_restore_mode(RestoreMode::Promoting { from, reserved });
        archive.set_role(ArchiveRole::Primary);
        let timeline = promote(&postmaster.handle(), &on_standby, PATIENCE).await.unwrap();
        archive.configure(Some(self.store.clone()));
        (self.origin, self.postmaster, self.archive) = (standby, Some(postmaster), archive);
        let gone = had - u64::try_from(self.ids().await.len()).unwrap();
        Failover { left, timeline, gone, point, rows }
    }

    /// All rows of the origin, in order.
    async fn ids(&self) -> Vec<i64> {
        ids(&self.session().await).await
    }

    /// Kills the postmaster while somebody writes; answers how many rows had been committed by then, at least.
    async fn write_until_killed(&mut self) -> u64 {
        let (writer, before) = (self.session().await, u64::try_from(self.ids().await.len()).unwrap());
        let committed = Cell::new(before);
        let mut postmaster = self.postmaster.take().unwrap();
        let pid = Pid::from_raw(postmaster.handle().pid());
        let writing = async {
            let insert = format!("INSERT INTO {TABLE} DEFAULT VALUES");
            while writer.batch("write", &insert, PATIENCE).await.is_ok() {
                committed.set(committed.get() + 1);
            }
        };
        let killing = async {
            while committed.get() < before + 20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            kill(pid, Signal::SIGKILL).unwrap();
            let _ended = tokio::time::timeout(PATIENCE, postmaster.wait()).await.unwrap();
        };
        tokio::join!(writing, killing);
        committed.get()
    }
}

/// A store that cannot be reached.
fn away() -> StoreConfig {
    let (nothing, fault) = Faulty::new(MemoryStore::new());
    fault.set(Fault::Off);
    let archive = WalArchive::new(Arc::new(nothing), WalSettings::default());
    StoreConfig { archive, max_parallel: NonZeroUsize::MIN }
}

async fn text(session: &Session, sql: &str) -> String {
    session.scalar("ask", sql, PATIENCE).await.unwrap()
}

async fn run_all(session: &Session, all: &[&str]) {
    for sql in all {
        session.batch("change", sql, PATIENCE).await.unwrap();
    }
}

async fn holds(session: &Session, sql: &str) {
    let deadline = Instant::now() + PATIENCE;
    while text(session, sql).await != "true" {
        assert!(Instant::now() < deadline, "never: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
