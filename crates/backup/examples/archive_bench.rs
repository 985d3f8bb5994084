//! Measures the archiver against barman-cloud-wal-archive, side by side on the same segments and the same store.
//!
//! Reads everything from its environment, which `tests/tools/archive-bench.sh` prepares: `BENCH_SEGMENTS` (a folder
//! of WAL segments), `BENCH_ENDPOINT`, `BENCH_BUCKET`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `BENCH_BARMAN`
//! (the program), `BENCH_COMMIT`, `BENCH_OUT` (the JSON file). Megabytes are 10^6 bytes of WAL; "per core" is by CPU
//! time, ours of this process, barman's of its processes.
#![allow(clippy::expect_used, clippy::cast_precision_loss)]

use pgherd_backup::{Source, WalArchive, WalSettings, gzip};
use pgherd_core::wal::{Compression, WalName};
use pgherd_objectstore::{S3Config, S3Credentials, S3Store};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

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
    let config = S3Config {
        endpoint_url: Some(variable("BENCH_ENDPOINT")),
        region: Some("us-east-1".to_owned()),
        credentials: S3Credentials::Given {
            access_key_id: variable("AWS_ACCESS_KEY_ID"),
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
            session_token: None,
        },
        ..S3Config::new(variable("BENCH_BUCKET"))
    };
    let settings =
        WalSettings { root: "ours/c".into(), compression: Some(Compression::Gzip), ..WalSettings::default() };
    let archive = WalArchive::new(Arc::new(S3Store::new(config)), settings).expect("an archive");
    let (cpu, wall) = (cpu_seconds(false), Instant::now());
    for (name, path) in segments {
        archive.put(*name, Source::File(path.clone())).await.expect("archived");
    }
    (cpu_seconds(false) - cpu, wall.elapsed().as_secs_f64())
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
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let segments = segments();
    let megabytes = segments.iter().map(|(_, path)| size(path)).sum::<f64>() / 1e6;
    let (mut plain, mut packed) = (0.0, 0.0);
    let compressing = cpu_seconds(false);
    for (_, path) in &segments {
        let content = std::fs::read(path).expect("a segment");
        plain += content.len() as f64;
        packed += gzip(&content).expect("compressed").len() as f64;
    }
    let compressing = cpu_seconds(false) - compressing;
    eprintln!("{} segments, {megabytes:.0} MB, ratio {:.2}", segments.len(), plain / packed);
    let (our_cpu, our_wall) = ours(&segments).await;
    eprintln!("ours: {:.1} MB/s per core, {:.1} MB/s wall", megabytes / our_cpu, megabytes / our_wall);
    let default: Vec<_> = segments.iter().take(6).cloned().collect();
    let part = default.iter().map(|(_, path)| size(path)).sum::<f64>() / 1e6;
    let plainly = barman(&default, "default", &[]);
    let level_6 = barman(&default, "level6", &["--compression-level", "6"]);
    let per_core = |run: Option<(f64, f64)>| run.map(|(cpu, _)| part / cpu);
    let per_wall = |run: Option<(f64, f64)>| run.map(|(_, wall)| part / wall);
    let fields = [
        ("commit", format!("\"{}\"", variable("BENCH_COMMIT"))),
        ("started_at", format!("\"{}\"", variable("BENCH_STARTED_AT"))),
        ("started_at_unix", started.to_string()),
        ("host", format!("\"{}\"", variable("BENCH_HOST"))),
        ("command", "\"archive_bench\"".to_owned()),
        ("segments", segments.len().to_string()),
        ("mb_per_s_core", number(Some(megabytes / our_cpu))),
        ("mb_per_s", number(Some(megabytes / our_wall))),
        ("compress_mb_per_s_core", number(Some(megabytes / compressing))),
        ("ratio", number(Some(plain / packed))),
        (
            "command_p50_ms",
            variable("BENCH_COMMAND_P50_MS").parse().map_or_else(|_| number(None), |ms| number(Some(ms))),
        ),
        ("barman_mb_per_s_core", number(per_core(plainly))),
        ("barman_mb_per_s", number(per_wall(plainly))),
        ("barman_l6_mb_per_s_core", number(per_core(level_6))),
        ("barman_l6_mb_per_s", number(per_wall(level_6))),
    ];
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    let json = format!("{{\n{}\n}}\n", lines.join(",\n"));
    std::fs::write(variable("BENCH_OUT"), &json).expect("BENCH_OUT");
    println!("{json}");
}
