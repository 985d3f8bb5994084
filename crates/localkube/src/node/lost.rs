//! What the control plane does about a node that it does not hear of: after a while it is not ready, takes no pods, and
//! its pods are not ready either, so that services leave them out. Evicting them is not done here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::context::NodeContext;
use crate::api::object::{is_terminating, list, name, namespace, text};

/// How often a silent node is looked at.
const LOOK: Duration = Duration::from_millis(200);
const TAINT: &str = "node.kubernetes.io/unreachable";

/// Watches over the nodes until `stop`.
pub(super) async fn run(context: Arc<NodeContext>, stop: CancellationToken) {
    let mut kubelets = context.kubelets.subscribe();
    let mut silent: Vec<(String, Instant)> = Vec::new();
    loop {
        kubelets.borrow_and_update();
        let lost = context.kubelets.nodes();
        for node in &lost {
            if !silent.iter().any(|(known, _)| known == node) {
                silent.push((node.clone(), Instant::now()));
            }
        }
        silent.retain(|(node, _)| lost.contains(node));
        let grace = context.node_grace;
        let overdue = |since: &Instant| since.elapsed() >= grace;
        for node in context.nodes.iter().map(|node| node.name.as_str()) {
            let gone = silent.iter().any(|(known, since)| known == node && overdue(since));
            tell(&context, node, gone);
        }
        let soon = silent.iter().any(|(_, since)| !overdue(since));
        let wait = async { if soon { tokio::time::sleep(LOOK).await } else { std::future::pending().await } };
        tokio::select! {
            changed = kubelets.changed() => if changed.is_err() { return },
            () = wait => {}
            () = stop.cancelled() => return,
        }
    }
}

fn ready(object: &Value) -> &str {
    let found = list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == "Ready");
    found.map_or("", |condition| text(condition, "/status"))
}

fn tell(context: &NodeContext, node: &str, gone: bool) {
    let Ok(object) = context.store.get("nodes", "", node) else { return };
    if (ready(&object) == "Unknown") == gone {
        return;
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = if gone {
        json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.", "lastTransitionTime": now})
    } else {
        json!({"type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "the local node runs pods as processes", "lastTransitionTime": now})
    };
    let kept = list(&object, "/spec/taints").iter().filter(|taint| text(taint, "/key") != TAINT).cloned();
    let own = ["NoSchedule", "NoExecute"].map(|effect| json!({"key": TAINT, "effect": effect}));
    let taints: Vec<Value> = kept.chain(own.into_iter().filter(|_| gone)).collect();
    let written = context
        .store
        .merge_status("nodes", "", node, &json!({"status": {"conditions": [condition]}}))
        .and_then(|_| context.store.merge("nodes", "", node, &json!({"spec": {"taints": taints}})));
    if let Err(error) = written {
        tracing::warn!(%error, node, "a node's state cannot be written");
    }
    if gone {
        for pod in context.store.list("pods", None, "").map(|listed| listed.items).unwrap_or_default() {
            if text(&pod, "/spec/nodeName") == node && !is_terminating(&pod) {
                not_ready(context, &pod, &now);
            }
        }
    }
}

fn not_ready(context: &NodeContext, pod: &Value, now: &str) {
    let changed = |condition: &Value| {
        let mut condition = condition.clone();
        if text(&condition, "/type") == "Ready"
            && let Some(map) = condition.as_object_mut()
        {
            map.insert("status".to_owned(), "False".into());
            map.insert("reason".to_owned(), "NodeNotReady".into());
            map.insert("lastTransitionTime".to_owned(), now.into());
        }
        condition
    };
    let conditions: Vec<Value> = list(pod, "/status/conditions").iter().map(changed).collect();
    let patch = json!({"status": {"conditions": conditions}});
    if let Err(error) = context.store.merge_status("pods", namespace(pod), name(pod), &patch) {
        tracing::debug!(%error, pod = name(pod), "the pod of a lost node is gone");
    }
}
