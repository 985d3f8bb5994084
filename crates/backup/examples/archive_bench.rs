//! Measures the archiver against barman-cloud-wal-archive, side by side on the same segments and the same store.
//!
//! Reads everything from its environment, which `tests/tools/archive-bench.sh` prepares: `BENCH_SEGMENTS` (a folder
//! of WAL segments), `BENCH_ENDPOINT`, `BENCH_BUCKET`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `BENCH_BARMAN`
//! (the program), `BENCH_COMMAND` (what `manager/examples/archive_command.rs` printed), `BENCH_COMMIT` and the like, and
//! `BENCH_OUT` (the JSON file). Megabytes are 10^6 bytes of WAL; "per core" is by CPU time, ours of this process,
//! barman's of its processes.
//!
//! barman's gzip default is its level `medium`, which is 6, so its two figures are to be alike; that its option is
//! heard at all shows in the size of what level 9 made.
#![allow(clippy::expect_used, clippy::cast_precision_loss)]

mod bench;

use bench::{store, variable};
use pgherd_backup::{Source, WalArchive, WalSettings, gzip};
use pgherd_core::wal::{Compression, WalName};
use pgherd_objectstore::list_all;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Seconds of CPU used by this process, or by its children that have ended (proc(5), fields 14 to 17 of stat).
fn cpu_seconds(children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
    let at = if children { 13 } else { 11 };
    fields.iter().skip(at).take(2).sum::<f64>() / 100.0
}

fn segments() -> Vec<(WalName, PathBuf)> {
    let folder = variable("BENCH_SEGMENTS");
    let entries = std::fs::read_dir(&folder).expect("BENCH_SEGMENTS");
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

async fn ours(segments: &[(WalName, PathBuf)]) -> (f64, f64) {
    let settings =
        WalSettings { root: "ours/c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
    let archive = WalArchive::new(store(), settings);
    let (cpu, wall) = (cpu_seconds(false), Instant::now());
    for (name, path) in segments {
        archive.put(*name, Source::File(path.clone())).await.expect("archived");
    }
    (cpu_seconds(false) - cpu, wall.elapsed().as_secs_f64())
}

/// How many bytes of WAL became one byte in the store.
async fn ratio(segments: &[(WalName, PathBuf)], root: &str) -> Option<f64> {
    let objects = list_all(store().as_ref(), &format!("{root}/wals/")).await.ok()?;
    let stored: u64 = objects.iter().map(|object| object.size).sum();
    (objects.len() == segments.len()).then(|| megabytes(segments) * 1e6 / stored as f64)
}

fn megabytes(segments: &[(WalName, PathBuf)]) -> f64 {
    segments.iter().map(|(_, path)| size(path)).sum::<f64>() / 1e6
}

/// A field of what `archive_command` printed, which is one flat object.
fn command_field(name: &str) -> Option<f64> {
    let printed = variable("BENCH_COMMAND");
    let (_, after) = printed.split_once(&format!("\"{name}\": "))?;
    after.split([',', '}']).next()?.trim().parse().ok()
}

fn barman(segments: &[(WalName, PathBuf)], server: &str, level: &[&str]) -> Option<(f64, f64)> {
    let (cpu, wall) = (cpu_seconds(true), Instant::now());
    for (_, path) in segments {
        let status = Command::new(variable("BENCH_BARMAN"))
            .args(["--endpoint-url", &variable("BENCH_ENDPOINT"), "--gzip"])
            .args(level)
            .args([&format!("s3://{}/barman", variable("BENCH_BUCKET")), server])
            .arg(path)
            .status()
            .ok()?;
        if !status.success() {
            return None;
        }
    }
    Some((cpu_seconds(true) - cpu, wall.elapsed().as_secs_f64()))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("{value:.3}"))
}

fn size(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |meta| meta.len() as f64)
}

#[tokio::main]
async fn main() {
    let segments = segments();
    let all = megabytes(&segments);
    let compressing = cpu_seconds(false);
    for (_, path) in &segments {
        let content = std::fs::read(path).expect("a segment");
        let packed = gzip(&content).expect("compressed");
        assert!(!packed.is_empty());
    }
    let compressing = cpu_seconds(false) - compressing;
    let (our_cpu, our_wall) = ours(&segments).await;
    eprintln!("ours: {} segments, {:.1} MB/s per core, {:.1} MB/s wall", segments.len(), all / our_cpu, all / our_wall);
    // Spread over all of them: the first ones after a checkpoint hold more whole pages than the last.
    let part: Vec<_> = segments.iter().step_by((segments.len() / 6).max(1)).take(6).cloned().collect();
    let (some, two) = (megabytes(&part), part.iter().take(2).cloned().collect::<Vec<_>>());
    let plainly = barman(&part, "default", &[]);
    let level_6 = barman(&part, "level6", &["--compression-level", "6"]);
    let level_9 = barman(&two, "level9", &["--compression-level", "9"]);
    let speed = |run: Option<(f64, f64)>| run.map(|(cpu, _)| some / cpu);
    let wall = |run: Option<(f64, f64)>| run.map(|(_, wall)| some / wall);
    eprintln!("barman: {} and at level 6 {} MB/s per core", number(speed(plainly)), number(speed(level_6)));
    let text = |name: &str| format!("\"{}\"", variable(name).replace(['"', '\\'], ""));
    let fields = [
        ("commit", text("BENCH_COMMIT")),
        ("command", "\"make bench\"".to_owned()),
        ("started_at", text("BENCH_STARTED_AT")),
        ("host", text("BENCH_HOST")),
        ("load_before", text("BENCH_LOAD")),
        ("build", text("BENCH_BUILD")),
        ("wal", text("BENCH_WAL")),
        ("segments", segments.len().to_string()),
        ("mb_per_s_core", number(Some(all / our_cpu))),
        ("mb_per_s", number(Some(all / our_wall))),
        ("compress_mb_per_s_core", number(Some(all / compressing))),
        ("ratio", number(ratio(&segments, "ours/c").await)),
        ("command_p50_ms", number(command_field("p50_ms"))),
        ("command_p99_ms", number(command_field("p99_ms"))),
        ("command_max_ms", number(command_field("max_ms"))),
        ("command_first_ms", number(command_field("first_ms"))),
        ("commands", command_field("commands").map_or_else(|| number(None), |count| format!("{count:.0}"))),
        ("barman", text("BENCH_BARMAN_VERSION")),
        ("barman_segments", part.len().to_string()),
        ("barman_mb_per_s_core", number(speed(plainly))),
        ("barman_mb_per_s", number(wall(plainly))),
        ("barman_ratio", number(ratio(&part, "barman/default").await)),
        ("barman_l6_mb_per_s_core", number(speed(level_6))),
        ("barman_l6_mb_per_s", number(wall(level_6))),
        ("barman_l6_ratio", number(ratio(&part, "barman/level6").await)),
        ("barman_l9_mb_per_s_core", number(level_9.map(|(cpu, _)| megabytes(&two) / cpu))),
        ("barman_l9_ratio", number(ratio(&two, "barman/level9").await)),
    ];
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    let json = format!("{{\n{}\n}}\n", lines.join(",\n"));
    std::fs::write(variable("BENCH_OUT"), &json).expect("BENCH_OUT");
    println!("{json}");
}
