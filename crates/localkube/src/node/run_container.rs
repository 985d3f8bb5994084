//! One container of a pod over all its attempts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::container::{self, Ended};
use super::context::NodeContext;
use super::pod_sandbox::PodSandbox;
use super::probe::{self, ProbeKind, ProbeResult, Verdict};
use super::process::ProcessId;
use super::status::{ContainerView, State, Terminated};
use super::worker::Event;
use super::{NodeError, volumes};
use crate::api::object::{list, text, uid};
use pgherd_proto::names::WAL_CLIENT;

/// How long to wait after a container could not be started at all.
const START_RETRY: Duration = Duration::from_secs(2);
/// The init container that brings the manager's binary: the node does it itself.
pub(super) const BOOTSTRAP: &str = "bootstrap-controller";

pub(super) struct ContainerRun {
    pub spec: Container,
    pub init: bool,
    pub state: State,
    pub attempt: u32,
    pub due: Instant,
    pub process: Option<ProcessId>,
    pub log: PathBuf,
    id: String,
    last: Option<Terminated>,
    restarts: u32,
    backoff: Backoff,
    ready: bool,
    started: bool,
    tasks: JoinSet<()>,
}

impl ContainerRun {
    /// A container as its pod's status knows it: after a restart of the daemon, what ran has ended.
    pub fn restore(context: &NodeContext, pod: &Value, spec: Container, init: bool) -> Self {
        let pointer = if init { "/status/initContainerStatuses" } else { "/status/containerStatuses" };
        let known = list(pod, pointer).iter().find(|status| text(status, "/name") == spec.name);
        let number = known.and_then(|status| status.get("restartCount")).and_then(Value::as_u64).unwrap_or(0);
        let mut restarts = u32::try_from(number).unwrap_or(u32::MAX);
        let mut last = None;
        if let Some(since) = known.map(|status| text(status, "/state/running/startedAt")).filter(|s| !s.is_empty()) {
            let now = jiff::Timestamp::now();
            last = Some(Terminated {
                exit_code: 137,
                signal: Some(9),
                reason: "ContainerStatusUnknown",
                message: container::message_of(context, uid(pod), &spec.name, restarts),
                started_at: since.parse().unwrap_or(now),
                finished_at: now,
                container_id: known.map(|status| text(status, "/containerID")).unwrap_or_default().to_owned(),
            });
            restarts = restarts.saturating_add(1);
        }
        Self {
            spec,
            init,
            state: State::Waiting { reason: "PodInitializing", message: String::new() },
            attempt: restarts,
            due: Instant::now(),
            process: None,
            log: PathBuf::new(),
            id: String::new(),
            last,
            restarts,
            backoff: Backoff::new(context.backoff_scale),
            ready: false,
            started: false,
            tasks: JoinSet::new(),
        }
    }

    pub fn view(&self) -> ContainerView<'_> {
        ContainerView {
            name: &self.spec.name,
            image: self.spec.image.as_deref().unwrap_or_default(),
            init: self.init,
            state: &self.state,
            last: self.last.as_ref(),
            restarts: self.restarts,
            ready: self.ready,
            started: self.started,
            id: &self.id,
        }
    }

    pub fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(end) if end.exit_code == 0)
    }

    /// It has ended and is not started again.
    pub fn is_over(&self, policy: &str) -> bool {
        match (&self.state, policy) {
            (State::Terminated(_), "Never") => true,
            (State::Terminated(end), "OnFailure") => end.exit_code == 0,
            _ => false,
        }
    }

    /// Signals PID 1 of the container.
    pub fn signal(&self, signal: Signal) -> bool {
        self.process.is_some_and(|process| process.signal(signal))
    }

    /// A new sandbox: init containers run again.
    pub fn again_after_sandbox(&mut self) {
        if self.init {
            self.state = State::Waiting { reason: "PodInitializing", message: String::new() };
        }
    }

    /// Starts the next attempt, and the tasks that watch it.
    pub async fn start(
        &mut self,
        context: &Arc<NodeContext>,
        sandbox: &PodSandbox,
        pod: &Pod,
        events: &mpsc::Sender<Event>,
    ) {
        if let State::Terminated(end) = &self.state {
            self.last = Some(end.clone());
            self.restarts = self.restarts.saturating_add(1);
            self.attempt = self.restarts;
        }
        if self.init
            && self.spec.name == BOOTSTRAP
            && let Some(manager) = &context.manager
        {
            self.bring_manager(context, manager, sandbox, pod);
            return;
        }
        match container::launch(context, sandbox, pod, &self.spec, self.attempt).await {
            Ok(launched) => {
                self.state = State::Running { since: launched.started_at };
                self.process = Some(launched.process);
                self.id = launched.id;
                self.log = launched.log;
                self.started = self.spec.startup_probe.is_none();
                self.ready = self.started && self.spec.readiness_probe.is_none();
                let (context, events, end) = (Arc::clone(context), events.clone(), launched.end);
                let (name, attempt) = (self.spec.name.clone(), self.attempt);
                let after_start = [ProbeKind::Readiness, ProbeKind::Liveness];
                let probes = if self.started { after_start.as_slice() } else { &[ProbeKind::Startup] };
                self.start_probes(probes, sandbox, &events);
                self.tasks.spawn(async move {
                    let ended = end.wait(&context).await;
                    // The worker has gone: so has the pod.
                    let _unheard = events.send(Event::Exited { container: name, attempt, ended }).await;
                });
            }
            Err(error) => self.failed_to_start(&error),
        }
    }

    fn failed_to_start(&mut self, error: &NodeError) {
        let message = pgherd_telemetry::chain(error);
        tracing::warn!(container = self.spec.name, error = %message, "a container cannot be started");
        let reason = match error {
            NodeError::Missing(_) => "CreateContainerConfigError",
            NodeError::Image(_) => "ErrImagePull",
            _ => "CreateContainerError",
        };
        self.state = State::Waiting { reason, message };
        self.due = later(START_RETRY);
    }

    /// What the init container does in a real pod: the manager's binary into the volume of the other container.
    fn bring_manager(&mut self, context: &NodeContext, manager: &std::path::Path, sandbox: &PodSandbox, pod: &Pod) {
        let target = self.spec.command.iter().chain(self.spec.args.iter()).flatten().next_back().cloned();
        let done =
            target.ok_or_else(|| NodeError::Missing("the target of the manager".to_owned())).and_then(|target| {
                let target = std::path::Path::new(&target);
                let client = (target.with_file_name(WAL_CLIENT), manager.with_file_name(WAL_CLIENT));
                volumes::place(context, pod, &self.spec, sandbox, &client.0, &client.1)?;
                volumes::place(context, pod, &self.spec, sandbox, target, manager)
            });
        match done {
            Ok(()) => {
                let now = jiff::Timestamp::now();
                self.id = format!("pgherd://{}", uuid::Uuid::new_v4().simple());
                self.state = State::Terminated(Terminated {
                    exit_code: 0,
                    signal: None,
                    reason: "Completed",
                    message: String::new(),
                    started_at: now,
                    finished_at: now,
                    container_id: self.id.clone(),
                });
                (self.ready, self.started) = (true, false);
            }
            Err(error) => self.failed_to_start(&error),
        }
    }

    fn start_probes(&mut self, kinds: &[ProbeKind], sandbox: &PodSandbox, events: &mpsc::Sender<Event>) {
        let ports: BTreeMap<String, u16> = self
            .spec
            .ports
            .iter()
            .flatten()
            .filter_map(|port| Some((port.name.clone()?, u16::try_from(port.container_port).ok()?)))
            .collect();
        for kind in kinds {
            let wanted = match kind {
                ProbeKind::Startup => &self.spec.startup_probe,
                ProbeKind::Readiness => &self.spec.readiness_probe,
                ProbeKind::Liveness => &self.spec.liveness_probe,
            };
            let Some(probe) = wanted.clone() else { continue };
            let (verdicts, mut heard) = mpsc::channel(4);
            self.tasks.spawn(probe::run(*kind, probe, sandbox.address, ports.clone(), verdicts));
            let (events, container, attempt) = (events.clone(), self.spec.name.clone(), self.attempt);
            self.tasks.spawn(async move {
                while let Some(result) = heard.recv().await {
                    let event = Event::Probed { container: container.clone(), attempt, result };
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    pub fn probed(
        &mut self,
        result: &ProbeResult,
        pod: &Pod,
        sandbox: Option<&PodSandbox>,
        events: &mpsc::Sender<Event>,
    ) {
        match (result.kind, result.verdict) {
            (ProbeKind::Startup, Verdict::Passing) => {
                self.started = true;
                self.ready = self.spec.readiness_probe.is_none();
                if let Some(sandbox) = sandbox {
                    self.start_probes(&[ProbeKind::Readiness, ProbeKind::Liveness], sandbox, events);
                }
            }
            (ProbeKind::Readiness, verdict) => self.ready = verdict == Verdict::Passing,
            (ProbeKind::Startup | ProbeKind::Liveness, Verdict::Failing) => self.kill_unhealthy(result, pod),
            (ProbeKind::Liveness, Verdict::Passing) => {}
        }
    }

    /// As the kubelet: SIGTERM, the pod's grace period, SIGKILL.
    fn kill_unhealthy(&mut self, result: &ProbeResult, pod: &Pod) {
        tracing::warn!(
            container = self.spec.name, probe = ?result.kind, error = result.message,
            "a container fails its probe and is restarted"
        );
        self.signal(Signal::SIGTERM);
        let Some(process) = self.process else { return };
        let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        let grace = Duration::from_secs(grace.and_then(|grace| u64::try_from(grace).ok()).unwrap_or(30));
        self.tasks.spawn(async move {
            tokio::time::sleep(grace).await;
            process.signal(Signal::SIGKILL);
        });
    }

    pub fn ended(&mut self, ended: Ended, policy: &str) {
        let started_at = match &self.state {
            State::Running { since } => *since,
            _ => ended.exit.at,
        };
        let ran = ended.exit.at.duration_since(started_at);
        let end = Terminated {
            exit_code: ended.exit.code,
            signal: ended.exit.signal,
            reason: if ended.exit.code == 0 { "Completed" } else { "Error" },
            message: ended.message,
            started_at,
            finished_at: ended.exit.at,
            container_id: self.id.clone(),
        };
        self.process = None;
        self.tasks.abort_all();
        (self.ready, self.started) = (self.init && end.exit_code == 0, false);
        let again = policy == "Always" && !self.init || end.exit_code != 0 && policy != "Never";
        let wait = self.backoff.after_exit(Duration::try_from(ran).unwrap_or_default());
        self.due = later(wait);
        self.state = State::Terminated(end.clone());
        if again && !wait.is_zero() {
            self.last = Some(end);
            self.restarts = self.restarts.saturating_add(1);
            self.attempt = self.restarts;
            let message = format!("back-off {}s restarting failed container={}", wait.as_secs(), self.spec.name);
            self.state = State::Waiting { reason: "CrashLoopBackOff", message };
        }
    }
}

fn later(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now)
}
