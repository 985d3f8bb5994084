//! The metrics' page of a real primary with a standby's connection and a slot, by way of the real sampler.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

use pgherd_manager::http::{ClusterFacts, InstanceSnapshot, Role, Sampled, View};
use pgherd_manager::metrics::{Registry, render};
use pgherd_manager::sampler::{PostgresProbe, Sampler, SamplerSettings};
use pgherd_postgres::version::Major;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(120);
/// Only a name: the server listens on a socket in a directory of its own.
const PORT: u16 = 5432;

/// Ended with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // A postmaster told to stop at once takes its children with it.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.0.wait();
    }
}

/// A program of the newest PostgreSQL here, as a user that is not root, in `dir`.
fn postgres_program(name: &str, dir: &Path) -> Command {
    let major = Major::installed().into_iter().next().expect("an installed PostgreSQL");
    let mut command = Command::new(major.bin_dir().unwrap().join(name));
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if nix::unistd::getuid().is_root() {
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user postgres");
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn start(dir: &Path) -> Program {
    let made = postgres_program("initdb", dir).args(["-A", "trust", "-U", "postgres", "-D", "data"]).status().unwrap();
    assert!(made.success());
    let settings = ["fsync=off", "min_wal_size=80MB", "max_wal_size=1GB", "wal_keep_size=32MB", "wal_level=replica"];
    let mut server = postgres_program("postgres", dir);
    server.args(["-D", "data", "-h", "", "-p", &PORT.to_string(), "-k"]).arg(dir);
    Program(server.args(settings.iter().flat_map(|setting| ["-c", setting])).spawn().unwrap())
}

/// Something that follows as a standby would, through a slot.
fn follow(dir: &Path) -> Program {
    std::fs::create_dir(dir.join("received")).unwrap();
    let user = nix::unistd::User::from_name("postgres").unwrap();
    if let Some(user) = user.filter(|_| nix::unistd::getuid().is_root()) {
        nix::unistd::chown(&dir.join("received"), Some(user.uid), Some(user.gid)).unwrap();
    }
    let receiver = |more: &[&str]| {
        let mut command = postgres_program("pg_receivewal", dir);
        command
            .args(["-U", "postgres", "-p", &PORT.to_string(), "-D", "received", "-S", "c_2", "-h"])
            .arg(dir)
            .args(more);
        command.env("PGAPPNAME", "c-2");
        command
    };
    assert!(receiver(&["--create-slot"]).status().unwrap().success());
    Program(receiver(&["--synchronous"]).spawn().unwrap())
}

fn sampler(dir: &Path) -> (tokio::task::JoinHandle<()>, watch::Receiver<Option<Arc<Sampled>>>) {
    let settings = SamplerSettings {
        period: Duration::from_millis(100),
        deadline: Duration::from_secs(30),
        pg_wal: dir.join("data/pg_wal"),
        wal_mount: None,
        clock: pgherd_manager::clock::now,
    };
    let (sampler, seen) = Sampler::new(settings);
    let probe = PostgresProbe::new(PathBuf::from(dir), PORT, Duration::from_secs(30), Arc::default());
    (tokio::spawn(sampler.run(probe)), seen)
}

fn page(sampled: &Arc<Sampled>) -> String {
    let instance = InstanceSnapshot {
        role: Role::Primary,
        cluster: Some(ClusterFacts {
            nodes_used: Some(2),
            last_backup_at: Some(1_700_000_000.0),
            ..ClusterFacts::default()
        }),
        ..InstanceSnapshot::default()
    };
    let view = View {
        instance: Arc::new(instance),
        sample: Some(Arc::clone(sampled)),
        now: sampled.taken_at,
        wall_seconds: 1_900_000_000.0,
    };
    render(&view, &Registry::default())
}

/// The value of the one line that starts with `start`.
fn value(page: &str, start: &str) -> f64 {
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with(start)).collect();
    assert_eq!(lines.len(), 1, "{start}: {lines:?} in\n{page}");
    lines[0].rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_real_primary_has_every_family_of_cnpgs_dashboards() {
    let root = tempfile::Builder::new().prefix("pgherd-metrics").tempdir_in("/tmp").unwrap();
    let dir = root.path();
    if let Some(user) = nix::unistd::User::from_name("postgres").unwrap().filter(|_| nix::unistd::getuid().is_root()) {
        nix::unistd::chown(dir, Some(user.uid), Some(user.gid)).unwrap();
    }
    let server = start(dir);
    let (task, mut seen) = sampler(dir);
    let answers = |sampled: &Option<Arc<Sampled>>| sampled.as_ref().is_some_and(|sampled| sampled.postgres.is_ok());
    tokio::time::timeout(PATIENCE, seen.wait_for(answers)).await.unwrap().unwrap();
    let follower = follow(dir);
    let follows = |sampled: &Option<Arc<Sampled>>| {
        let look = sampled.as_ref().and_then(|sampled| sampled.postgres.as_ref().ok());
        // PostgreSQL 14 collects its statistics in a process of their own, and shows them later.
        let writes = look.and_then(|look| look.wal.as_ref()?.writes).unwrap_or_default();
        writes > 0.0 && look.is_some_and(|look| look.sample.replication.iter().any(|row| row.flushed.is_some()))
    };
    let sampled = tokio::time::timeout(PATIENCE, seen.wait_for(follows)).await.unwrap().unwrap().clone().unwrap();
    let page = page(&sampled);

    // In segments of 16 MB.
    assert_eq!(value(&page, "cnpg_collector_pg_wal{value=\"min\"}"), 5.0);
    assert_eq!(value(&page, "cnpg_collector_pg_wal{value=\"max\"}"), 64.0);
    assert_eq!(value(&page, "cnpg_collector_pg_wal{value=\"keep\"}"), 2.0);
    assert!(!page.contains("value=\"slots_max\""), "slots are not bounded here: {page}");
    assert!(value(&page, "cnpg_collector_pg_wal{value=\"count\"}") >= 1.0);
    assert!(value(&page, "cnpg_collector_wal_records{stats_reset=\"20") > 0.0);
    assert!(value(&page, "cnpg_collector_wal_bytes{stats_reset=\"20") > 0.0);
    assert!(value(&page, "cnpg_collector_wal_write{stats_reset=\"20") > 0.0);

    let of = |name: &str| format!("cnpg_pg_stat_replication_{name}{{usename=\"postgres\",application_name=\"c-2\"");
    assert!(value(&page, &of("backend_start")) > 1.0e9);
    for family in ["sent_diff_bytes", "write_diff_bytes", "flush_diff_bytes", "replay_diff_bytes", "backend_xmin_age"] {
        assert!(value(&page, &of(family)) >= 0.0);
    }
    for family in ["write_lag_seconds", "flush_lag_seconds", "replay_lag_seconds"] {
        assert!(value(&page, &of(family)) >= 0.0);
    }
    assert_eq!(value(&page, "cnpg_pg_replication_slots_active{slot_name=\"c_2\""), 1.0);
    assert!(value(&page, "cnpg_pg_replication_slots_pg_wal_lsn_diff{slot_name=\"c_2\"") >= 0.0);
    assert!(value(&page, "cnpg_pg_stat_archiver_stats_reset_time") > 1.0e9);

    assert_eq!(value(&page, "cnpg_collector_nodes_used"), 2.0);
    assert_eq!(value(&page, "cnpg_collector_last_available_backup_timestamp"), 1.7e9);
    assert_eq!(value(&page, "cnpg_collector_last_failed_backup_timestamp"), 0.0);
    assert_eq!(value(&page, "cnpg_collector_first_recoverability_point"), 0.0);
    assert!(value(&page, "pgherd_sample_age_seconds") >= 0.0);
    task.abort();
    drop(follower);
    drop(server);
}
