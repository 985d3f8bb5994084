//! The controller as a child process in the cluster's network, started again when it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::node::process::ProcessId;
use crate::node::records::Records;
use crate::node::spawner::Spawner;

/// The longest wait before it is started again.
const LONGEST: Duration = Duration::from_secs(30);

/// What it is started with.
pub(super) struct Controller {
    pub helper: PathBuf,
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
    pub log: PathBuf,
    pub env: BTreeMap<String, String>,
}

/// Keeps it running until `stop`, which ends it with SIGKILL (it must survive that at any time).
pub(super) async fn run(
    controller: Controller,
    spawner: Spawner,
    records: Records,
    running: tokio::sync::watch::Sender<Option<ProcessId>>,
    stop: CancellationToken,
) {
    let mut wait = Duration::from_millis(200);
    while !stop.is_cancelled() {
        let began = Instant::now();
        match once(&controller, &spawner, &records, &running, &stop).await {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => tracing::warn!("the controller has ended and is started again"),
            Err(error) => tracing::error!(%error, "the controller cannot be started"),
        }
        if began.elapsed() > Duration::from_secs(60) {
            wait = Duration::from_millis(200);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
        wait = wait.saturating_mul(2).min(LONGEST);
    }
}

async fn once(
    controller: &Controller,
    spawner: &Spawner,
    records: &Records,
    running: &tokio::sync::watch::Sender<Option<ProcessId>>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&controller.log)?;
    let mut command = Command::new(&controller.helper);
    command
        .arg("local-exec")
        .arg(&controller.program)
        .arg("run")
        .env_clear()
        .envs(&controller.env)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("KUBECONFIG", &controller.kubeconfig)
        .env("POD_NAME", "pgherd-controller-local")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = spawner.spawn(command).await?;
    let id = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(ProcessId::of);
    if let Some(id) = id {
        records.add(id)?;
    }
    running.send_replace(id);
    tokio::select! {
        status = child.wait() => drop(status?),
        () = stop.cancelled() => child.kill().await?,
    }
    running.send_replace(None);
    if let Some(id) = id {
        records.remove(id);
    }
    Ok(())
}
