//! The watch of the nodes: where they are, and whether they are to be left. A controller that may not see them goes on
//! without: nobody is moved before a drain then, and a zone is what the pod says.

use crate::queue::Waker;
use crate::retry::Retry;
use crate::watched::Watched;
use core::time::Duration;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use pgherd_core::cluster::NodeView;
use pgherd_proto::watching;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The first look at the clusters waits for the nodes no longer than this.
const LISTED_WITHIN: Duration = Duration::from_secs(3);

/// The nodes as last seen.
#[derive(Clone)]
pub struct Nodes {
    known: Arc<RwLock<BTreeMap<String, NodeView>>>,
    listed: watch::Receiver<bool>,
}

impl Nodes {
    /// Just these, for tests.
    #[cfg(test)]
    #[must_use]
    pub fn of(nodes: impl IntoIterator<Item = NodeView>) -> Self {
        let known = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
        Self { known: Arc::new(RwLock::new(known)), listed: watch::channel(true).1 }
    }

    /// Starts the watch; a change that decisions depend on wakes the clusters with a pod on that node.
    pub fn start(client: &Client, pods: &Watched<Pod>, waker: &Waker, tasks: &mut JoinSet<()>) -> Self {
        let (told, listed) = watch::channel(false);
        let nodes = Self { known: Arc::default(), listed };
        tasks.spawn(follow(client.clone(), nodes.clone(), pods.clone(), waker.clone(), told));
        nodes
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<NodeView> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Waits for the first list, or until it is clear that there will be none soon.
    pub async fn ready(&self) {
        let mut listed = self.listed.clone();
        // Late, refused or ended: in each case the clusters are looked at without.
        let _ = tokio::time::timeout(LISTED_WITHIN, listed.wait_for(|listed| *listed)).await;
    }

    /// True where something differs that matters.
    fn put(&self, node: &NodeView) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(node.name.clone(), node.clone()).as_ref() != Some(node)
    }

    fn remove(&self, name: &str) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn keep(&self, names: &BTreeSet<String>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(name));
    }
}

async fn follow(client: Client, nodes: Nodes, pods: Watched<Pod>, waker: Waker, told: watch::Sender<bool>) {
    let stream = watching::watcher(Api::<Node>::all(client), watcher::Config::default()).backoff(Retry::default());
    let mut stream = std::pin::pin!(stream);
    let (mut listing, mut complained) = (BTreeSet::new(), false);
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Init) => listing.clear(),
            Ok(watcher::Event::InitApply(node)) => {
                listing.insert(node.name_any());
                seen(&nodes, &node, &pods, &waker).await;
            }
            Ok(watcher::Event::InitDone) => {
                nodes.keep(&listing);
                complained = false;
                told.send_replace(true);
            }
            Ok(watcher::Event::Apply(node)) => seen(&nodes, &node, &pods, &waker).await,
            Ok(watcher::Event::Delete(node)) => nodes.remove(&node.name_any()),
            Err(error) => {
                // Where they may not be seen at all, that is so for ever and need not be said for ever.
                if !complained {
                    tracing::warn!(error = %pgherd_telemetry::chain(&error),
                        "the nodes cannot be seen: nobody is moved before a drain meanwhile");
                }
                complained = true;
                told.send_replace(true);
            }
        }
    }
}

async fn seen(nodes: &Nodes, node: &Node, pods: &Watched<Pod>, waker: &Waker) {
    let view = node_view(node);
    let name = view.name.clone();
    if !nodes.put(&view) {
        return;
    }
    let is_here = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) == Some(&name);
    for key in pods.clusters_with(is_here) {
        waker.wake(key).await;
    }
}

/// What of a node decisions depend on; its heartbeats are not.
#[must_use]
pub fn node_view(node: &Node) -> NodeView {
    let spec = node.spec.clone().unwrap_or_default();
    NodeView {
        name: node.name_any(),
        unschedulable: spec.unschedulable.unwrap_or(false),
        taints: spec.taints.unwrap_or_default().into_iter().map(|taint| taint.key).collect(),
        labels: node.labels().clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_node_its_labels_its_cordon_and_its_taints_count_and_nothing_else() {
        let node = |ready: &str| {
            let node = json!({ "metadata": { "name": "n1", "labels": { "zone": "a" } },
                "spec": { "unschedulable": true, "taints": [{ "key": "k", "effect": "NoSchedule" }] },
                "status": { "conditions": [{ "type": "Ready", "status": ready }] } });
            node_view(&serde_json::from_value(node).unwrap())
        };
        let nodes = Nodes::of([]);
        assert!(nodes.put(&node("True")));
        assert!(!nodes.put(&node("False")), "a heartbeat wakes nobody");
        let known = nodes.get("n1").unwrap();
        assert_eq!((known.unschedulable, known.taints, known.labels["zone"].as_str()), (true, vec!["k".into()], "a"));
        nodes.keep(&BTreeSet::new());
        assert_eq!(nodes.get("n1"), None);
    }
}
