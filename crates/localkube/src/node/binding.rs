//! The scheduler: a pod without a node gets one. Pods of one cluster are spread over the nodes; volumes are no obstacle,
//! since all nodes share this machine's disk.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::{LocalNode, NodeContext};
use crate::api::object::{is_terminating, name, namespace, text, uid};

const CLUSTER_LABEL: &str = "/metadata/labels/cnpg.io~1cluster";

/// The node with the fewest pods of the same cluster, then with the fewest pods, then the first.
fn choose<'a>(nodes: &'a [LocalNode], pod: &Value, pods: &[impl AsRef<Value>]) -> Option<&'a LocalNode> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let cluster = text(pod, CLUSTER_LABEL);
    for other in pods.iter().map(AsRef::as_ref).filter(|other| !is_terminating(other)) {
        let (same, all) = counts.entry(text(other, "/spec/nodeName")).or_default();
        *all = all.saturating_add(1);
        if !cluster.is_empty() && text(other, CLUSTER_LABEL) == cluster {
            *same = same.saturating_add(1);
        }
    }
    nodes.iter().min_by_key(|node| counts.get(node.name.as_str()).copied().unwrap_or_default())
}

/// Binds a pod. A failure is seen again with the pod's next change.
pub(super) fn bind(context: &NodeContext, pod: &Value) {
    let pods = context.store.list("pods", None, "").map(|listed| listed.items).unwrap_or_default();
    let Some(node) = choose(&context.nodes, pod, &pods) else { return };
    let patch = json!({"metadata": {"uid": uid(pod)}, "spec": {"nodeName": node.name}});
    if let Err(error) = context.store.merge("pods", namespace(pod), name(pod), &patch) {
        tracing::warn!(%error, pod = name(pod), "a pod cannot be bound to a node");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::context::LocalNode;
    use super::choose;

    #[test]
    fn pods_of_one_cluster_are_spread_over_the_nodes() {
        let nodes = ["a", "b"].map(|name| LocalNode { name: name.to_owned(), zone: name.to_owned() });
        let pod = |node: &str, cluster: &str| {
            Arc::new(json!({"metadata": {"labels": {"cnpg.io/cluster": cluster}}, "spec": {"nodeName": node}}))
        };
        let pods: Vec<Arc<Value>> = vec![pod("a", "x"), pod("b", "y"), pod("b", "y")];
        assert_eq!(choose(&nodes, &pod("", "x"), &pods).map(|n| n.name.as_str()), Some("b"));
        assert_eq!(choose(&nodes, &pod("", "y"), &pods).map(|n| n.name.as_str()), Some("a"));
    }
}
