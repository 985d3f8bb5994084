//! `make demo`: starts the seed's cluster, kills its primary, and holds what follows against what is promised.

use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::daemon::{STATE_ROOT, UpOptions};
use pgherd_testkit::demo::{Bed, Host, Place, Plan, Report, run};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

const MANIFESTS: [&str; 2] = ["docs/examples/cluster.yaml", "docs/examples/scheduledbackup.yaml"];
const NAME: &str = "demo";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let binaries = std::env::current_exe()?.parent().map(Path::to_path_buf).context("no directory of our own")?;
    let directory = PathBuf::from("target/demo");
    std::fs::create_dir_all(&directory).context("failed to make target/demo")?;
    let mut report =
        Report { commit: commit(), started_at: jiff::Timestamp::now().to_string(), host: host(), ..Report::default() };
    println!("demo: this takes one to three minutes from here");
    let place = Place { namespace: "phoenix-guardian".to_owned(), cluster: "phoenix-guardian-db".to_owned() };
    let plan = Plan {
        cluster: place.cluster.clone(),
        directory: directory.clone(),
        judge: binaries.join("journal-check"),
        writing: Duration::from_secs(5),
    };
    let mut options = UpOptions::new(NAME, &binaries.join("pgherd"));
    options.files = MANIFESTS.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
    let bed = match Bed::up(options, place).await {
        Ok(bed) => Some(bed),
        Err(error) => {
            report.error = Some(format!("{error:#}"));
            None
        }
    };
    if let Some(bed) = bed {
        for made in bed.made().await.unwrap_or_default() {
            println!("demo: local environment: {made}");
        }
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let ran = tokio::select! {
            ran = run(&bed, &plan, &mut report) => ran,
            _ = interrupted.recv() => Err(anyhow::anyhow!("interrupted")),
            _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
        };
        if let Err(error) = ran {
            report.error = Some(format!("{error:#}"));
        }
        leave(bed, &directory, &mut report).await;
    }
    report.duration_seconds = began.elapsed().as_secs_f64();
    let path = directory.join("report.json");
    std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&report)?))
        .context("failed to write the report")?;
    println!("\n{}\nthe report is in {}", report.summary(), path.display());
    Ok(if report.kept() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Ends the environment, unless `KEEP=1`; what it logged stays in `target/demo/logs`.
async fn leave(bed: Bed, directory: &Path, report: &mut Report) {
    bed.keep_logs(&directory.join("logs"));
    if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        println!("demo: the cluster stays up; to go on:");
        println!("  export KUBECONFIG={}", bed.kubeconfig().display());
        println!("  target/debug/pgherd psql --name {NAME}");
        println!("  target/debug/pgherd local down --name {NAME}");
        return;
    }
    if let Err(error) = bed.down().await {
        println!("demo: the environment could not be removed: {error:#}");
        report.error.get_or_insert(format!("{error:#}"));
    } else {
        println!(
            "demo: nothing of it is left in {STATE_ROOT}/{NAME}; logs are in {}",
            directory.join("logs").display()
        );
    }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn commit() -> String {
    let Some(head) = said("git", &["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    let clean = said("git", &["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
    if clean { head } else { format!("{head}-dirty") }
}

fn host() -> Host {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Host {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_mib: kib.unwrap_or(0) / 1024,
        system: said("uname", &["-srm"]).unwrap_or_default(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}
