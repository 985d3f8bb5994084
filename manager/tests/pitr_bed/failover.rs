//! A primary that dies in the middle of writes, and the standby that goes on with less than it had.

use super::{Bed, PATIENCE, PORT, TABLE, configure, paths, session};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_core::timeline::TimelineId;
use pgherd_manager::archive::{Archive, ArchiveRole, Bounds, RestoreMode};
use pgherd_postgres::process::Postgres;
use pgherd_postgres::promote::{promote, wait_ready};
use pgherd_postgres::sql::Session;
use pgherd_postgres::version::Major;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Bed {
    /// A second instance follows, is cut off, and is promoted once the first was killed while somebody wrote. Answers its
    /// timeline, and how many rows went with the first.
    pub async fn fail_over(&mut self) -> (TimelineId, u64) {
        let run = self.root.path().join("run-2");
        std::fs::create_dir(&run).unwrap();
        let pgdata = self.root.path().join("standby");
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

        let had = self.write_until_killed().await;
        self.archive.set_role(ArchiveRole::Other);
        let (from, reserved) = (TimelineId(2), TimelineId(3));
        archive.set_restore_mode(RestoreMode::Promoting { from, reserved });
        archive.set_role(ArchiveRole::Primary);
        let timeline = promote(&postmaster.handle(), &on_standby, PATIENCE).await.unwrap();
        (self.origin, self.postmaster, self.archive) = (standby, Some(postmaster), archive);
        let has = self.rows(&format!("SELECT count(*)::text FROM {TABLE}")).await;
        (timeline, had - has[0].parse::<u64>().unwrap())
    }

    /// Kills the postmaster while somebody writes; answers how many rows had been committed by then, at least.
    async fn write_until_killed(&mut self) -> u64 {
        let (writer, before) = (self.session().await, format!("SELECT count(*)::text FROM {TABLE}"));
        let mut committed: u64 = self.rows(&before).await[0].parse().unwrap();
        let mut postmaster = self.postmaster.take().unwrap();
        let pid = Pid::from_raw(postmaster.handle().pid());
        let writing = async {
            let insert = format!("INSERT INTO {TABLE} DEFAULT VALUES");
            while writer.batch("write", &insert, PATIENCE).await.is_ok() {
                committed += 1;
            }
            committed
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            kill(pid, Signal::SIGKILL).unwrap();
            let _ended = tokio::time::timeout(PATIENCE, postmaster.wait()).await.unwrap();
        };
        tokio::join!(writing, killing).0
    }
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
