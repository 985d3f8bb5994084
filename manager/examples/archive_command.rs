//! Measures `archive_command` as postgres feels it: the real client, `wal-client wal-archive`, against the real resident
//! part, where the look-ahead has stored each segment before it is asked for. Prints milliseconds as JSON.
//!
//! Reads everything from its environment, which `tests/tools/backup_bench.py` prepares: `BENCH_SEGMENTS` (a folder of
//! WAL segments), `BENCH_ENDPOINT`, `BENCH_BUCKET`, the `AWS_` credentials, `BENCH_CLIENT` (the program), and `BENCH_COMMAND_WORK`
//! (an empty folder).
#![allow(clippy::expect_used)]

use pgherd_core::wal::{Compression, WalName};
use pgherd_manager::archive::{Archive, ArchivePaths, ArchiveRole, Bounds, StoreSettings};
use pgherd_objectstore::S3Credentials;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long the look-ahead may take for all segments.
const PATIENCE: Duration = Duration::from_secs(120);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// A folder as postgres has it: every segment is finished, and waits.
fn pg_wal(pgdata: &Path) -> Vec<WalName> {
    let folder = pgdata.join("pg_wal");
    std::fs::create_dir_all(folder.join("archive_status")).expect("folders");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(variable("BENCH_SEGMENTS")).expect("BENCH_SEGMENTS") {
        let path = entry.expect("a segment").path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.parse::<WalName>().ok()) else { continue };
        std::os::unix::fs::symlink(&path, folder.join(name.to_string())).expect("a link");
        std::fs::write(folder.join(format!("archive_status/{name}.ready")), "").expect("ready");
        names.push(name);
    }
    names.sort();
    names
}

/// Runs the client as postgres does, through a shell, and answers milliseconds.
fn command(pgdata: &Path, socket: &Path, name: WalName) -> f64 {
    let line = format!("'{}' wal-archive 'pg_wal/{name}'", variable("BENCH_CLIENT"));
    let began = Instant::now();
    let status = Command::new("/bin/sh")
        .args(["-c", &line])
        .env("PGHERD_ARCHIVE_SOCKET", socket)
        .current_dir(pgdata)
        .status()
        .expect("the client");
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert!(status.success(), "{name} is not archived");
    took
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or(0.0)
}

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(variable("BENCH_COMMAND_WORK"));
    let paths = ArchivePaths {
        pgdata: folder.join("pgdata"),
        socket: folder.join("archive.sock"),
        spool: folder.join("spool"),
        aside: folder.join("aside"),
    };
    let (pgdata, socket) = (paths.pgdata.clone(), paths.socket.clone());
    let names = pg_wal(&pgdata);
    let settings = StoreSettings {
        destination_path: format!("s3://{}/command", variable("BENCH_BUCKET")),
        server_name: "c".to_owned(),
        endpoint_url: Some(variable("BENCH_ENDPOINT")),
        endpoint_ca: None,
        region: Some("us-east-1".to_owned()),
        credentials: S3Credentials::Given {
            access_key_id: variable("AWS_ACCESS_KEY_ID"),
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
            session_token: None,
        },
        compression: Some(Compression::Gzip),
        encryption: None,
        max_parallel: NonZeroUsize::new(4).expect("a width"),
        tags: Vec::new(),
        history_tags: Vec::new(),
    };
    let mut tasks = JoinSet::new();
    let archive = Archive::start(paths, Bounds::default(), &mut tasks).await.expect("started");
    archive.configure(Some(settings.open(|_| None).expect("an archive")));
    archive.set_role(ArchiveRole::Primary);
    let all = names.len();
    let mut status = archive.status();
    // Blocking here is fine: the resident part runs on the runtime's other threads.
    let first = names.first().map_or(0.0, |name| command(&pgdata, &socket, *name));
    let stored = status.wait_for(|status| status.archived_count >= u64::try_from(all).unwrap_or(u64::MAX));
    tokio::time::timeout(PATIENCE, stored).await.expect("the look-ahead in time").expect("the archive");
    let mut rest: Vec<f64> = names.iter().skip(1).map(|name| command(&pgdata, &socket, *name)).collect();
    rest.sort_by(f64::total_cmp);
    println!(
        "{{\"first_ms\": {:.3}, \"commands\": {}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"max_ms\": {:.3}}}",
        first,
        rest.len(),
        percentile(&rest, 50),
        percentile(&rest, 99),
        percentile(&rest, 100),
    );
}
