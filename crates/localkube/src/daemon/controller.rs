//! The controller as a child process in the cluster's network, started again when it ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::DaemonError;
use super::api_side::Access;
use super::options::{Layout, UpOptions};
use super::serve::listen;
use crate::fault::Controllers;
use crate::net::address::{API_PORT, CONTROLLER_PORTS, GATEWAY};
use crate::node::NodeContext;
use crate::node::process::ProcessId;
use crate::node::records::Records;
use crate::node::spawner::Spawner;

/// The longest wait before it is started again.
const LONGEST: Duration = Duration::from_secs(30);

/// What it is started with.
#[derive(Clone)]
struct Controller {
    helper: PathBuf,
    program: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    /// Its pod's name, by which it is told from the other.
    name: String,
    env: BTreeMap<String, String>,
    /// Multiplies the waits before it is started again.
    backoff_scale: f64,
}

/// The first controller, and the second for when a fault wants it, each with a way to the API of its own.
pub(super) async fn start_all(
    controllers: &Controllers,
    options: &UpOptions,
    layout: &Layout,
    access: &Access,
    context: &NodeContext,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(), DaemonError> {
    let api = SocketAddr::from((GATEWAY, API_PORT));
    let mut made = Vec::new();
    for (number, (port, way)) in CONTROLLER_PORTS.into_iter().zip(controllers.ways.clone()).enumerate() {
        let (listener, stop) = (listen(GATEWAY, port).await?, stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = way.run(listener, api) => {}
                () = stop.cancelled() => {}
            }
        });
        let Some(program) = options.controller.clone() else { continue };
        let kubeconfig = layout.controller_kubeconfig(number);
        access.for_controller(layout, number, port)?;
        made.push(Controller {
            helper: options.helper.clone(),
            program,
            kubeconfig,
            log: layout.controller_log(number),
            name: format!("pgherd-controller-local-{number}"),
            env: context.env.clone(),
            backoff_scale: options.backoff_scale,
        });
    }
    if let (Some(second), Some(first)) = (made.pop(), made.pop()) {
        let (spawner, records) = (context.spawner.clone(), context.records.clone());
        let running = controllers.first.clone();
        tasks.spawn(run(first, spawner.clone(), records.clone(), running, stop.clone()));
        tasks.spawn(run_second(second, spawner, records, controllers.clone(), stop.clone()));
    }
    Ok(())
}

/// A second one beside the first, while a fault wants it.
async fn run_second(
    controller: Controller,
    spawner: Spawner,
    records: Records,
    controllers: Controllers,
    stop: CancellationToken,
) {
    let mut wanted = controllers.doubled.subscribe();
    loop {
        tokio::select! {
            told = wanted.wait_for(|wanted| *wanted) => if told.is_err() { return },
            () = stop.cancelled() => return,
        }
        let until = stop.child_token();
        let running = controllers.second.clone();
        let runs = run(controller.clone(), spawner.clone(), records.clone(), running, until.clone());
        let mut runs = std::pin::pin!(runs);
        let no_more = async { drop(wanted.wait_for(|wanted| !wanted).await) };
        tokio::select! {
            () = &mut runs => continue,
            () = no_more => until.cancel(),
        }
        runs.await;
    }
}

/// Keeps it running until `stop`, which ends it with SIGKILL (it must survive that at any time).
async fn run(
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
            () = tokio::time::sleep(wait.mul_f64(controller.backoff_scale)) => {}
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
        .env("POD_NAME", &controller.name)
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
