//! One pod from its binding to its removal.
//!
//! Level-triggered: whatever happened, [`Worker::advance`] looks at what is wanted and what is there, does what is due,
//! and says when it wants to look again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::NodeError;
use super::clocks;
use super::container::Ended;
use super::context::NodeContext;
use super::kubelets::Deaf;
use super::notices::{self, Notice};
use super::pod_sandbox::PodSandbox;
use super::probe::{ProbeResult, Verdict};
use super::run_container::ContainerRun;
use super::runner::{RunningContainer, RunningPod, RunningPods};
use super::status::{PodView, State, Transitions, render};
use super::volumes::claim_directory;
use crate::api::DeleteOptions;
use crate::api::object::{is_terminating, list, name, namespace, text, uid};
use crate::net::address::NODE;

/// How long to wait after a sandbox could not be made.
const SANDBOX_RETRY: Duration = Duration::from_secs(2);
/// How often a pod is looked at though nothing happened.
const RESYNC: Duration = Duration::from_secs(10);

/// What a pod's own tasks tell its worker.
#[derive(Debug)]
pub(super) enum Event {
    Exited { container: String, attempt: u32, ended: Ended },
    Probed { container: String, attempt: u32, result: ProbeResult },
}

pub(super) struct Worker {
    context: Arc<NodeContext>,
    running: RunningPods,
    pod: Arc<Value>,
    typed: Pod,
    sandbox: Option<PodSandbox>,
    sandbox_due: Instant,
    sandbox_problem: String,
    containers: Vec<ContainerRun>,
    events: mpsc::Sender<Event>,
    received: mpsc::Receiver<Event>,
    /// When the pod was asked to end.
    ending_since: Option<Instant>,
    published: Value,
    transitions: Transitions,
    started_at: String,
    /// Directories of its claims, also after these are gone.
    volumes: BTreeMap<String, PathBuf>,
}

impl Worker {
    pub fn new(context: Arc<NodeContext>, running: RunningPods, pod: Arc<Value>) -> Result<Self, NodeError> {
        let typed: Pod = serde_json::from_value((*pod).clone()).map_err(NodeError::Pod)?;
        let (events, received) = mpsc::channel(64);
        let spec = typed.spec.clone().unwrap_or_default();
        let init = spec.init_containers.unwrap_or_default().into_iter().map(|c| (c, true));
        let all = init.chain(spec.containers.into_iter().map(|c| (c, false)));
        let containers =
            all.map(|(c, init): (Container, bool)| ContainerRun::restore(&context, &pod, c, init)).collect();
        let begun = pod.pointer("/status/startTime").and_then(Value::as_str).map(str::to_owned);
        let started_at = begun.unwrap_or_else(|| jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        Ok(Self {
            context,
            running,
            pod,
            typed,
            containers,
            events,
            received,
            started_at,
            sandbox: None,
            sandbox_due: Instant::now(),
            sandbox_problem: String::new(),
            ending_since: None,
            published: Value::Null,
            transitions: Transitions::new(),
            volumes: BTreeMap::new(),
        })
    }

    /// Until the pod is gone. `wanted` is the pod as the API has it, `None` once it is removed there.
    pub async fn run(mut self, mut wanted: watch::Receiver<Option<Arc<Value>>>) {
        let mut names = self.context.names.clone();
        let mut kubelets = self.context.kubelets.subscribe();
        // Nothing more is heard of a pod that is removed; a deaf kubelet goes on with it all the same.
        let (mut heard, mut was_deaf) = (true, false);
        loop {
            kubelets.borrow_and_update();
            let deaf = self.deaf();
            if was_deaf && deaf.is_none() {
                // Others may have written a status meanwhile.
                self.published = Value::Null;
            }
            was_deaf = deaf.is_some();
            let now = wanted.borrow_and_update().clone();
            if let (Some(pod), None) = (&now, deaf) {
                self.pod = Arc::clone(pod);
            }
            let ending = now.as_ref().is_none_or(|pod| is_terminating(pod));
            let next = match deaf {
                Some(Deaf::Stopped) => later(RESYNC),
                // It goes on with what it last heard.
                Some(Deaf::Apart) if self.ending_since.is_none() => self.advance().await,
                _ if ending => match self.end(now.is_none()).await {
                    Some(next) => next,
                    None => break,
                },
                _ => self.advance().await,
            };
            self.publish();
            tokio::select! {
                changed = wanted.changed(), if heard => heard = changed.is_ok(),
                Some(event) = self.received.recv() => self.take(event),
                Ok(()) = names.changed() => self.write_hosts(),
                Ok(()) = kubelets.changed() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.destroy(&self.context).await;
        }
        self.running.remove(uid(&self.pod));
        self.remove().await;
    }

    /// What this pod's kubelet does not do now.
    fn deaf(&self) -> Option<Deaf> {
        self.context.kubelets.of(text(&self.pod, "/spec/nodeName"), uid(&self.pod))
    }

    /// Does what is due; answers when to look again.
    async fn advance(&mut self) -> Instant {
        let now = Instant::now();
        let later = now.checked_add(RESYNC).unwrap_or(now);
        if self.sandbox.as_mut().is_some_and(|sandbox| !sandbox.is_alive()) {
            self.containers.iter_mut().for_each(|c| {
                c.signal(Signal::SIGKILL);
            });
            if self.containers.iter().any(|c| c.process.is_some()) {
                return later;
            }
            if let Some(sandbox) = self.sandbox.take() {
                sandbox.destroy(&self.context).await;
            }
            self.containers.iter_mut().for_each(|c| c.again_after_sandbox());
        }
        if self.is_over() || self.context.stopping.is_cancelled() {
            return later;
        }
        if self.sandbox.is_none() {
            if now < self.sandbox_due {
                return self.sandbox_due;
            }
            if let Err(error) = self.make_sandbox().await {
                let text = pgherd_telemetry::chain(&error);
                tracing::warn!(pod = name(&self.pod), error = %text, "the pod's sandbox cannot be made");
                self.sandbox_problem = text;
                self.sandbox_due = now.checked_add(SANDBOX_RETRY).unwrap_or(now);
                return self.sandbox_due;
            }
            self.publish();
        }
        self.start_due(now).await.unwrap_or(later).min(later)
    }

    fn is_over(&self) -> bool {
        let policy = self.restart_policy();
        policy != "Always" && self.containers.iter().filter(|c| !c.init).all(|c| c.is_over(&policy))
    }

    fn restart_policy(&self) -> String {
        let policy = self.typed.spec.as_ref().and_then(|spec| spec.restart_policy.clone());
        policy.unwrap_or_else(|| "Always".to_owned())
    }

    async fn make_sandbox(&mut self) -> Result<(), NodeError> {
        let sandbox = PodSandbox::create(&self.context, uid(&self.pod), name(&self.pod)).await?;
        self.sandbox_problem.clear();
        self.sandbox = Some(sandbox);
        self.write_hosts();
        Ok(())
    }

    fn write_hosts(&self) {
        if let Some(sandbox) = &self.sandbox
            && let Err(error) = sandbox.write_hosts(&self.context, name(&self.pod), namespace(&self.pod))
        {
            tracing::warn!(%error, pod = name(&self.pod), "the pod's names cannot be written");
        }
    }

    /// Starts what is due, init containers first and one after the other. Answers when the next is due.
    async fn start_due(&mut self, now: Instant) -> Option<Instant> {
        let policy = self.restart_policy();
        let first_open = self.containers.iter().position(|c| c.init && !c.has_succeeded());
        let range = first_open.map_or(0..self.containers.len(), |index| index..index.saturating_add(1));
        let mut next: Option<Instant> = None;
        for index in range {
            let Some(run) = self.containers.get_mut(index) else { continue };
            if run.process.is_some() || run.is_over(&policy) || (run.init && run.has_succeeded()) {
                continue;
            }
            if run.due > now {
                next = Some(next.map_or(run.due, |next| next.min(run.due)));
                continue;
            }
            let Some(sandbox) = &self.sandbox else { continue };
            run.start(&self.context, sandbox, &self.typed, &self.events).await;
            let (container, told) = (run.spec.name.clone(), started(run));
            for (notice, message) in told {
                notices::tell(&self.context.store, &self.pod, &container, notice, &message);
            }
            if run.process.is_none() {
                // Done at once, or failed: look again.
                next = Some(if run.has_succeeded() { now } else { next.map_or(run.due, |n| n.min(run.due)) });
            }
            self.publish();
        }
        next
    }

    fn take(&mut self, event: Event) {
        let (policy, deaf) = (self.restart_policy(), self.deaf());
        let (Event::Exited { container, attempt, .. } | Event::Probed { container, attempt, .. }) = &event;
        let found = self.containers.iter_mut().find(|c| c.spec.name == *container && c.attempt == *attempt);
        let Some(run) = found else { return };
        match event {
            Event::Exited { ended, .. } => {
                run.ended(ended, &policy);
                if let State::Waiting { reason: "CrashLoopBackOff", message } = &run.state
                    && self.ending_since.is_none()
                {
                    notices::tell(&self.context.store, &self.pod, &run.spec.name, Notice::BackOff, message);
                }
            }
            Event::Probed { .. } if deaf == Some(Deaf::Stopped) => {}
            Event::Probed { result, .. } => {
                if result.verdict == Verdict::Failing {
                    let message = format!("{:?} probe failed: {}", result.kind, result.message);
                    notices::tell(&self.context.store, &self.pod, &run.spec.name, Notice::Unhealthy, &message);
                }
                run.probed(&result, &self.typed, self.sandbox.as_ref(), &self.events);
            }
        }
    }

    /// Ends the pod; `None` once nothing of it is left.
    async fn end(&mut self, at_once: bool) -> Option<Instant> {
        let now = Instant::now();
        let since = match self.ending_since {
            Some(since) => since,
            None => {
                self.ending_since = Some(now);
                for run in &mut self.containers {
                    if run.signal(Signal::SIGTERM) {
                        let message = format!("Stopping container {}", run.spec.name);
                        notices::tell(&self.context.store, &self.pod, &run.spec.name, Notice::Killing, &message);
                    }
                }
                now
            }
        };
        let grace = self.pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(0);
        let deadline = since.checked_add(Duration::from_secs(grace)).unwrap_or(since);
        if at_once || now >= deadline {
            for run in &mut self.containers {
                run.signal(Signal::SIGKILL);
            }
        }
        if self.containers.iter().all(|c| c.process.is_none()) {
            return None;
        }
        let again = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
        Some(if now < deadline { deadline } else { again })
    }

    async fn remove(&self) {
        let options =
            DeleteOptions { grace: Some(0), uid: Some(uid(&self.pod).to_owned()), ..DeleteOptions::default() };
        if let Err(error) = self.context.store.delete("pods", namespace(&self.pod), name(&self.pod), &options) {
            tracing::debug!(%error, "the pod is gone from the API already");
        }
        let directory = self.context.directory.join("pods").join(uid(&self.pod));
        if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
            tracing::debug!(%error, "the pod's directory is gone already");
        }
    }

    fn publish(&mut self) {
        for run in &mut self.containers {
            if let (State::Waiting { message, .. }, true) = (&mut run.state, self.sandbox.is_none()) {
                message.clone_from(&self.sandbox_problem);
            }
        }
        let policy = self.restart_policy();
        let view = PodView {
            address: self.sandbox.as_ref().map(|sandbox| sandbox.address.to_string()),
            node_address: NODE.to_string(),
            started_at: self.started_at.clone(),
            restart_policy: &policy,
            containers: self.containers.iter().map(ContainerRun::view).collect(),
        };
        let status = render(&view, &mut self.transitions, jiff::Timestamp::now());
        self.find_volumes();
        self.running.put(uid(&self.pod), self.running_pod());
        if let Some(address) = view_address(&status) {
            let slot = self.typed.status.get_or_insert_default();
            slot.pod_ip = Some(address);
        }
        if status == self.published || self.deaf().is_some() {
            return;
        }
        let patch = json!({"metadata": {"uid": uid(&self.pod)}, "status": status});
        match self.context.store.merge_status("pods", namespace(&self.pod), name(&self.pod), &patch) {
            Ok(_) => self.published = status,
            Err(error) => tracing::debug!(%error, pod = name(&self.pod), "the pod's status is not wanted any more"),
        }
    }

    fn find_volumes(&mut self) {
        let in_namespace = namespace(&self.pod);
        for volume in list(&self.pod, "/spec/volumes") {
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            if claim.is_empty() || self.volumes.contains_key(claim) {
                continue;
            }
            if let Ok(found) = self.context.store.get("persistentvolumeclaims", in_namespace, claim) {
                let path = claim_directory(&self.context.directory, in_namespace, claim, uid(&found));
                self.volumes.insert(claim.to_owned(), path);
            }
        }
    }

    fn running_pod(&self) -> RunningPod {
        let containers = self.containers.iter().filter_map(|c| {
            let process = c.process?;
            Some((c.spec.name.clone(), RunningContainer { process, log: c.log.clone() }))
        });
        RunningPod {
            namespace: namespace(&self.pod).to_owned(),
            name: name(&self.pod).to_owned(),
            uid: uid(&self.pod).to_owned(),
            node: text(&self.pod, "/spec/nodeName").to_owned(),
            holder: self.sandbox.as_ref().map(|sandbox| sandbox.holder),
            address: self.sandbox.as_ref().map(|sandbox| sandbox.address),
            hosts: self.sandbox.as_ref().map(PodSandbox::hosts_file),
            clocks: self.context.clocks.as_ref().and(self.sandbox.as_ref()).map(|s| clocks::directory_of(&s.directory)),
            volumes: self.volumes.clone(),
            containers: containers.collect::<BTreeMap<_, _>>(),
        }
    }
}

/// What is to be told of a container that was to be started.
fn started(run: &ContainerRun) -> Vec<(Notice, String)> {
    let name = &run.spec.name;
    let image = run.spec.image.as_deref().unwrap_or_default();
    match &run.state {
        State::Waiting { message, .. } => vec![(Notice::Failed, format!("Error: {message}"))],
        _ => vec![
            (Notice::Pulled, format!("Container image \"{image}\" is this machine")),
            (Notice::Created, format!("Created container {name}")),
            (Notice::Started, format!("Started container {name}")),
        ],
    }
}

fn later(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now)
}

fn view_address(status: &Value) -> Option<String> {
    status.get("podIP").and_then(Value::as_str).map(str::to_owned)
}
