//! One attempt of one container: from the spec to a running PID 1, and its end.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::NodeError;
use super::clocks;
use super::context::{NodeContext, PodUser};
use super::env;
use super::image;
use super::pod_sandbox::PodSandbox;
use super::process::{BootId, ProcessId};
use super::sandbox::{ContainerSpec, Exit, Mount, MountKind, Started};
use super::volumes::{self, write_for};

/// The image's user in CNPG's images; here it is the system's postgres user.
const IMAGE_USER: i64 = 26;
/// A message beyond this is cut, as the kubelet does.
const MESSAGE_LIMIT: usize = 4096;
/// How long a container's PID 1 may take to exist.
const COMES_UP: Duration = Duration::from_secs(20);

/// A container that runs.
#[derive(Debug)]
pub(super) struct Launched {
    pub process: ProcessId,
    pub id: String,
    pub started_at: jiff::Timestamp,
    pub log: PathBuf,
    pub end: End,
}

/// What waits for a container's end.
#[derive(Debug)]
pub(super) struct End {
    lines: Lines<BufReader<ChildStdout>>,
    shim: Child,
    shim_id: Option<ProcessId>,
    process: ProcessId,
    message: PathBuf,
}

/// A container that has ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub exit: Exit,
    pub message: String,
}

/// Where attempt `attempt` keeps its files.
fn attempt_directory(sandbox: &PodSandbox, container: &str, attempt: u32) -> PathBuf {
    sandbox.directory.join(container).join(attempt.to_string())
}

/// Where the log of an attempt is; it stays when the pod is gone.
pub(super) fn log_file(context: &NodeContext, pod: &Pod, container: &str, attempt: u32) -> PathBuf {
    let meta = &pod.metadata;
    let part = |value: &Option<String>| value.clone().unwrap_or_default();
    let directory = format!("{}_{}_{}", part(&meta.namespace), part(&meta.name), part(&meta.uid));
    context.directory.join("logs").join(directory).join(container).join(format!("{attempt}.log"))
}

/// The message that an attempt left, also when the daemon did not see its end.
pub(super) fn message_of(context: &NodeContext, uid: &str, container: &str, attempt: u32) -> String {
    let directory = context.directory.join("pods").join(uid).join(container).join(attempt.to_string());
    read_message(&directory.join("termination-log"))
}

fn read_message(path: &std::path::Path) -> String {
    let mut text = std::fs::read(path).unwrap_or_default();
    text.truncate(MESSAGE_LIMIT);
    String::from_utf8_lossy(&text).into_owned()
}

/// Who a container runs as.
fn user_of(context: &NodeContext, pod: &Pod, container: &Container) -> PodUser {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let of_container = container.security_context.as_ref();
    let uid = of_container.and_then(|c| c.run_as_user).or(of_pod.and_then(|c| c.run_as_user));
    let gid = of_container.and_then(|c| c.run_as_group).or(of_pod.and_then(|c| c.run_as_group));
    let map = |id: Option<i64>, own: u32| match id {
        None | Some(IMAGE_USER) => own,
        Some(other) => u32::try_from(other).unwrap_or(own),
    };
    PodUser { uid: map(uid, context.user.uid), gid: map(gid, context.user.gid) }
}

/// Starts an attempt, and answers once its PID 1 exists.
pub(super) async fn launch(
    context: &Arc<NodeContext>,
    sandbox: &PodSandbox,
    pod: &Pod,
    container: &Container,
    attempt: u32,
) -> Result<Launched, NodeError> {
    let address = sandbox.address.to_string();
    let user = user_of(context, pod, container);
    let owner = context.owner_for(user);
    let directory = attempt_directory(sandbox, &container.name, attempt);
    let root = directory.join("root");
    std::fs::create_dir_all(&root).map_err(NodeError::file(&root))?;
    let message = directory.join("termination-log");
    write_for(&message, b"", owner)?;
    let log = log_file(context, pod, &container.name, attempt);
    if let Some(parent) = log.parent() {
        std::fs::create_dir_all(parent).map_err(NodeError::file(parent))?;
    }
    let mut mounts = image::mounts(&context.servers, pod, container, &directory)?;
    mounts.extend(volumes::mounts(context, pod, container, &sandbox.directory, &address, owner)?);
    let file = |target: &str, source: PathBuf| Mount {
        target: PathBuf::from(target),
        read_only: false,
        kind: MountKind::Bind(source),
    };
    mounts.push(file("/etc/hosts", sandbox.hosts_file()));
    if let Some(library) = &context.clocks {
        mounts.push(clocks::provide(library, &sandbox.directory).map_err(NodeError::file(library))?);
    }
    mounts.push(file(container.termination_message_path.as_deref().unwrap_or("/dev/termination-log"), message.clone()));
    let env = env::environment(context, pod, container, &address)?;
    let spec = ContainerSpec {
        pause: sandbox.holder.pid,
        root,
        mounts,
        command: env::command(container, &env)?,
        env,
        working_dir: container.working_dir.clone().unwrap_or_default(),
        uid: user.uid,
        gid: user.gid,
        own_identity: context.single_identity,
        log: log.clone(),
    };
    let spec_file = directory.join("spec.json");
    let text = serde_json::to_vec(&spec).map_err(NodeError::Pod)?;
    // Only root reads it: the environment has secrets.
    write_for(&spec_file, &text, PodUser { uid: 0, gid: 0 })?;
    let mut command = Command::new(&context.helper);
    command.arg("local-container").arg(&spec_file).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut shim = context.spawner.spawn(command).await.map_err(NodeError::Process)?;
    let mut lines = BufReader::new(shim.stdout.take().ok_or(NodeError::Sandbox)?).lines();
    let line = tokio::time::timeout(COMES_UP, lines.next_line()).await.map_err(|_| NodeError::Sandbox)?;
    let line = line.map_err(NodeError::Process)?.ok_or(NodeError::Sandbox)?;
    let started: Started = serde_json::from_str(&line).map_err(NodeError::Pod)?;
    // A PID 1 that is gone already has ended, which the next line tells; its id then matches no process.
    let gone = ProcessId { boot: BootId::present(), pid: started.pid, start: u64::MAX };
    let process = ProcessId::of(started.pid).unwrap_or(gone);
    let shim_id = shim.id().and_then(|pid| i32::try_from(pid).ok()).and_then(ProcessId::of);
    for id in [Some(process), shim_id].into_iter().flatten() {
        context.records.add(id).map_err(NodeError::Process)?;
    }
    let id = format!("pgherd://{}", uuid::Uuid::new_v4().simple());
    Ok(Launched { process, id, started_at: started.at, log, end: End { lines, shim, shim_id, process, message } })
}

impl End {
    /// Waits for the end. A shim that is killed takes its container with it.
    pub async fn wait(mut self, context: &NodeContext) -> Ended {
        let told = self.lines.next_line().await.ok().flatten();
        let told = told.and_then(|line| serde_json::from_str::<Exit>(&line).ok());
        let exit = told.unwrap_or_else(|| Exit { code: 137, signal: Some(9), at: jiff::Timestamp::now() });
        let _reaped = self.shim.wait().await;
        for id in [Some(self.process), self.shim_id].into_iter().flatten() {
            context.records.remove(id);
        }
        Ended { exit, message: read_message(&self.message) }
    }
}
