//! Our part of the benchmark of base backups and WAL: `backup_bench VERB`, where VERB is `backup`, `restore`, `wal-put`,
//! `wal-get`, or `wal-pack` (compresses only, and keeps nothing). Does it once, as the manager does, and prints its wall
//! time, CPU time and peak memory as JSON; what is only preparation is not in them.
//!
//! Reads everything else from its environment, which `tests/tools/backup_bench.py` prepares: `BENCH_ENDPOINT`,
//! `BENCH_BUCKET`, the `AWS_` credentials, `BENCH_ROOT` (the server's folder), `BENCH_WIDE`, `BENCH_SEGMENTS` (a folder of
//! WAL segments); to back up `BENCH_PGDATA`, `BENCH_SOCKET` and `BENCH_PORT`, to restore `BENCH_TO`.
#![allow(clippy::expect_used, clippy::print_stdout)]

mod bench;

use bench::{store, variable};
use futures::{StreamExt, stream};
use nix::sys::resource::{UsageWho, getrusage};
use pgherd_backup::base::{BaseSettings, Progress};
use pgherd_backup::{Catalog, Destination, Patience, Source, WalArchive, WalSettings, gzip};
use pgherd_core::wal::{Compression, WalName};
use pgherd_manager::backups::{Server, Target, Tell, concluded, copied};
use pgherd_postgres::version::Major;
use serde_json::json;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

fn wide() -> NonZeroUsize {
    variable("BENCH_WIDE").parse().expect("BENCH_WIDE")
}

/// Seconds of CPU of this process.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage");
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0)).as_secs_f64()
            + Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0)).as_secs_f64()
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Peak memory of this process, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// What is measured.
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }

    fn print(&self) {
        let (wall, cpu) = (self.wall.elapsed().as_secs_f64(), cpu() - self.cpu);
        println!("{}", json!({"wall_s": wall, "cpu_s": cpu, "peak_kib": peak()}));
    }
}

fn archive() -> WalArchive {
    let compression = Some(Compression::Gzip);
    WalArchive::new(store(), WalSettings { root: variable("BENCH_ROOT"), compression, ..WalSettings::default() })
}

fn segments() -> Vec<(WalName, PathBuf)> {
    let entries = std::fs::read_dir(variable("BENCH_SEGMENTS")).expect("BENCH_SEGMENTS");
    let mut found: Vec<(WalName, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name: WalName = path.file_name()?.to_str()?.parse().ok()?;
            matches!(name, WalName::Segment(_)).then_some((name, path))
        })
        .collect();
    found.sort();
    found
}

async fn put_all(archive: &WalArchive) {
    let puts = segments().into_iter().map(|(name, path)| archive.put(name, Source::File(path)));
    let done: Vec<_> = stream::iter(puts).buffer_unordered(wide().get()).collect().await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

async fn get_all(archive: &WalArchive) {
    let gets = segments().into_iter().map(|(name, _)| async move { archive.get(name).await });
    let mut all = stream::iter(gets).buffered(wide().get());
    while let Some(content) = all.next().await {
        assert!(content.expect("fetched").is_some_and(|content| content.len() == 16 << 20), "not a segment");
    }
}

/// One after the other: what the compressor alone takes.
fn pack_all() {
    for (_, path) in segments() {
        let content = std::fs::read(path).expect("a segment");
        assert!(!gzip(&content).expect("compressed").is_empty());
    }
}

/// What was archived is what postgres wrote.
async fn compare(archive: &WalArchive) {
    for (name, path) in segments() {
        let there = archive.get(name).await.expect("fetched").expect("there");
        assert!(there == std::fs::read(path).expect("a segment"), "{name} is another one");
    }
}

async fn backup() {
    let server = Server {
        socket_dir: variable("BENCH_SOCKET").into(),
        port: variable("BENCH_PORT").parse().expect("BENCH_PORT"),
        major: *Major::installed().last().expect("postgres"),
        pgdata: variable("BENCH_PGDATA").into(),
    };
    let settings = BaseSettings { compression: Some(Compression::Gzip), jobs: wide(), ..BaseSettings::default() };
    let (store, archive, root) = (store(), archive(), variable("BENCH_ROOT"));
    let target = Target { store, root, tags: Vec::new(), archive, settings, fast: true, name: None };
    let (status, attempt) = (watch::Sender::new(json!({})), Mutex::new(None));
    let (progress, tell) = (Arc::new(Progress::default()), Tell { status: &status, attempt: &attempt });
    let clock = Clock::start();
    let copied = copied(&server, &target, &progress, &tell, &BTreeSet::new()).await.expect("copied");
    clock.print();
    concluded(copied, &target, &tell).await.expect("concluded");
}

async fn restore() {
    let catalog = Catalog::new(store(), &variable("BENCH_ROOT"), Patience::default());
    let clock = Clock::start();
    let survey = catalog.survey().await.expect("a survey");
    let newest = survey.backups.last().expect("a backup");
    let to = Destination {
        pgdata: variable("BENCH_TO").into(),
        tablespaces: Vec::new(),
        wide: wide().get(),
        progress: Arc::default(),
    };
    catalog.restore(newest, &to).await.expect("restored");
    clock.print();
}

#[tokio::main]
async fn main() {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let archive = archive();
    match verb.as_str() {
        "backup" => backup().await,
        "restore" => restore().await,
        "wal-put" => {
            let clock = Clock::start();
            put_all(&archive).await;
            clock.print();
            compare(&archive).await;
        }
        "wal-get" => {
            let clock = Clock::start();
            get_all(&archive).await;
            clock.print();
        }
        "wal-pack" => {
            let clock = Clock::start();
            pack_all();
            clock.print();
        }
        other => std::process::exit(i32::from(!other.is_empty()) + 1),
    }
}
