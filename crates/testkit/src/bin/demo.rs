//! `make demo`: starts the seed's cluster, kills its primary, loses a table and restores it, and holds what follows
//! against what is promised.

use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::daemon::{STATE_ROOT, UpOptions};
use pgherd_testkit::bed::{Bed, Place};
use pgherd_testkit::demo::{Plan, Report, run};
use pgherd_testkit::machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
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
    let mut report = Report {
        commit: machine::commit(),
        started_at: jiff::Timestamp::now().to_string(),
        host: machine::host(),
        ..Report::default()
    };
    println!("demo: this takes about 20 seconds from here, on a slow machine up to three minutes");
    let place = Place::of_example();
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
