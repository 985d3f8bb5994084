//! Follows the pods and gives each a worker. What runs is known to faults and logs through [`RunningPods`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::context::NodeContext;
use super::process::ProcessId;
use super::worker::Worker;
use super::{binding, lost};
use crate::api::object::{text, uid};
use crate::api::{ChangeKind, WatchStart};

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningContainer {
    /// Its PID 1.
    pub process: ProcessId,
    /// Its log.
    pub log: PathBuf,
}

/// A pod that has a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: a pod that was force-deleted may run beside the one that took its name.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// The process that holds its namespaces.
    pub holder: Option<ProcessId>,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Its `/etc/hosts`.
    pub hosts: Option<PathBuf>,
    /// Its directory for clocks of its own, if it has them.
    pub clocks: Option<PathBuf>,
    /// Directories of its volumes, by claim.
    pub volumes: BTreeMap<String, PathBuf>,
    /// Its containers that run, by name.
    pub containers: BTreeMap<String, RunningContainer>,
}

/// What runs now, by pod UID. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RunningPods {
    inner: Arc<Mutex<BTreeMap<String, RunningPod>>>,
}

impl RunningPods {
    /// The pod of this name; of two, the one that came last.
    pub fn find(&self, namespace: &str, name: &str) -> Option<RunningPod> {
        self.named(name).into_iter().rfind(|pod| pod.namespace == namespace)
    }

    /// All that are meant by `NAME`, `NAMESPACE/NAME` or a UID, the oldest first.
    pub fn named(&self, wanted: &str) -> Vec<RunningPod> {
        let is = |pod: &RunningPod| {
            pod.name == wanted || pod.uid == wanted || format!("{}/{}", pod.namespace, pod.name) == wanted
        };
        let mut found: Vec<RunningPod> = self.all().into_iter().filter(is).collect();
        found.sort_by_key(|pod| pod.holder.map(|holder| holder.start));
        found
    }

    /// All of them.
    pub fn all(&self) -> Vec<RunningPod> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn put(&self, uid: &str, pod: RunningPod) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), pod);
    }

    pub(super) fn remove(&self, uid: &str) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// How often pods that found no node are looked at again: a node may have become free, a claim may be there.
const BIND_AGAIN: Duration = Duration::from_millis(500);

fn bind_again(context: &NodeContext) {
    let pods = context.store.list("pods", None, "").map(|listed| listed.items).unwrap_or_default();
    pods.iter().filter(|pod| text(pod, "/spec/nodeName").is_empty()).for_each(|pod| binding::bind(context, pod));
}

/// Runs the pods of all local nodes until `stop`. Then every pod is killed at once: ending them in good order first is
/// the caller's part (delete them, wait until they are gone).
pub async fn run(context: Arc<NodeContext>, running: RunningPods, stop: CancellationToken) {
    tokio::select! {
        () = follow(Arc::clone(&context), running) => {}
        () = lost::run(context, stop.clone()) => {}
        () = stop.cancelled() => {}
    }
}

async fn follow(context: Arc<NodeContext>, running: RunningPods) {
    let mut workers: BTreeMap<String, watch::Sender<Option<Arc<Value>>>> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut again = tokio::time::interval(BIND_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut watcher = match context.store.watch("pods", None, WatchStart::Everything) {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::error!(%error, "the node cannot watch pods");
                return;
            }
        };
        let listed = context.store.list("pods", None, "").map(|listed| listed.items).unwrap_or_default();
        let present: Vec<&str> = listed.iter().map(|pod| uid(pod)).collect();
        workers.iter().filter(|(uid, _)| !present.contains(&uid.as_str())).for_each(|(_, worker)| {
            worker.send_replace(None);
        });
        loop {
            let change = tokio::select! {
                change = watcher.next() => change,
                _ = again.tick() => {
                    bind_again(&context);
                    continue;
                }
            };
            let Ok((kind, pod)) = change else { break };
            while tasks.try_join_next().is_some() {}
            if kind == ChangeKind::Deleted {
                if let Some(worker) = workers.remove(uid(&pod)) {
                    worker.send_replace(None);
                }
                continue;
            }
            let node = text(&pod, "/spec/nodeName");
            if node.is_empty() {
                binding::bind(&context, &pod);
                continue;
            }
            if !context.nodes.iter().any(|own| own.name == node) {
                continue;
            }
            if let Some(worker) = workers.get(uid(&pod)) {
                worker.send_replace(Some(pod));
                continue;
            }
            match Worker::new(Arc::clone(&context), running.clone(), Arc::clone(&pod)) {
                Ok(worker) => {
                    let (sender, wanted) = watch::channel(Some(Arc::clone(&pod)));
                    workers.insert(uid(&pod).to_owned(), sender);
                    tasks.spawn(worker.run(wanted));
                }
                Err(error) => tracing::error!(%error, pod = text(&pod, "/metadata/name"), "a pod cannot be read"),
            }
        }
        // So slow that the history went past: look at everything again.
    }
}
