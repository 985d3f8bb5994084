//! The scheduler: a pod without a node gets one that is ready and open, and that its affinity allows. Pods of one cluster
//! are spread over the nodes; volumes are no obstacle, since all nodes share this machine's disk.

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::NodeContext;
use crate::api::LabelSelector;
use crate::api::object::{at, is_terminating, list, name, namespace, text, uid};

const CLUSTER_LABEL: &str = "/metadata/labels/cnpg.io~1cluster";
const ANTI_AFFINITY: &str = "/spec/affinity/podAntiAffinity";

/// A node takes pods: it is ready, not cordoned, and has no taint.
fn is_open(node: &Value) -> bool {
    let ready = list(node, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    ready && at(node, "/spec/unschedulable") != &json!(true) && list(node, "/spec/taints").is_empty()
}

fn label<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    node.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// Every label of the pod's nodeSelector is the node's.
fn is_selected(node: &Value, pod: &Value) -> bool {
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    wanted.into_iter().flatten().all(|(key, value)| label(node, key) == value.as_str())
}

/// In the node's domain (its zone, its host name) runs a pod that the term wants to keep away from.
fn is_beside(term: &Value, node: &Value, pod: &Value, nodes: &[Arc<Value>], pods: &[Arc<Value>]) -> bool {
    let selector = LabelSelector::from_object(at(term, "/labelSelector"));
    let key = text(term, "/topologyKey");
    let Some(domain) = label(node, key) else { return false };
    let in_domain = |other: &Value| {
        let host = nodes.iter().find(|node| name(node) == text(other, "/spec/nodeName"));
        host.and_then(|node| label(node, key)) == Some(domain)
    };
    pods.iter().any(|other| namespace(other) == namespace(pod) && selector.matches(other) && in_domain(other))
}

/// The node on which the pod runs best, or why it runs on none.
fn choose(nodes: &[Arc<Value>], pod: &Value, pods: &[Arc<Value>]) -> Result<String, String> {
    let others: Vec<Arc<Value>> = pods.iter().filter(|other| uid(other) != uid(pod)).cloned().collect();
    let required = list(pod, &format!("{ANTI_AFFINITY}/requiredDuringSchedulingIgnoredDuringExecution"));
    let preferred = list(pod, &format!("{ANTI_AFFINITY}/preferredDuringSchedulingIgnoredDuringExecution"));
    let open: Vec<&Arc<Value>> = nodes.iter().filter(|node| is_open(node) && is_selected(node, pod)).collect();
    let allowed = |node: &&&Arc<Value>| !required.iter().any(|term| is_beside(term, node, pod, nodes, &others));
    let unwanted = |node: &Value| -> u64 {
        let beside = |term: &&Value| is_beside(at(term, "/podAffinityTerm"), node, pod, nodes, &others);
        preferred.iter().filter(beside).filter_map(|term| term.get("weight").and_then(Value::as_u64)).sum()
    };
    let cluster = text(pod, CLUSTER_LABEL);
    let counts = |node: &Value| {
        let here = || others.iter().filter(|p| text(p, "/spec/nodeName") == name(node) && !is_terminating(p));
        let same = here().filter(|other| !cluster.is_empty() && text(other, CLUSTER_LABEL) == cluster).count();
        (same, here().count())
    };
    let best = open.iter().filter(allowed).min_by_key(|node| (unwanted(node), counts(node), name(node).to_owned()));
    best.map(|node| name(node).to_owned()).ok_or_else(|| {
        format!("0/{} nodes are available: {} open, none that the pod's affinity allows", nodes.len(), open.len())
    })
}

/// Every claim that the pod names is there to stay. A pod that was bound to one on its way out would keep it.
fn has_claims(pod: &Value, claims: &[Arc<Value>]) -> Result<(), String> {
    let named = list(pod, "/spec/volumes").iter().map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    for wanted in named.filter(|wanted| !wanted.is_empty()) {
        let found = claims.iter().find(|claim| name(claim) == wanted);
        let found = found.ok_or_else(|| format!("persistentvolumeclaim {wanted:?} not found"))?;
        if is_terminating(found) {
            return Err(format!("persistentvolumeclaim {wanted:?} is being deleted"));
        }
    }
    Ok(())
}

/// Binds a pod, or says why not. What could not be bound is tried again by the caller.
pub(super) fn bind(context: &NodeContext, pod: &Value) {
    let all = |kind: &str, space| context.store.list(kind, space, "").map(|listed| listed.items).unwrap_or_default();
    let claims = all("persistentvolumeclaims", Some(namespace(pod)));
    let chosen = has_claims(pod, &claims).and_then(|()| choose(&all("nodes", None), pod, &all("pods", None)));
    let written = match chosen {
        Ok(node) => {
            let patch = json!({"metadata": {"uid": uid(pod)}, "spec": {"nodeName": node}});
            context.store.merge("pods", namespace(pod), name(pod), &patch)
        }
        Err(why) => {
            let known = list(pod, "/status/conditions").iter().any(|condition| text(condition, "/message") == why);
            if known {
                return;
            }
            let condition =
                json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why});
            let patch =
                json!({"metadata": {"uid": uid(pod)}, "status": {"phase": "Pending", "conditions": [condition]}});
            context.store.merge_status("pods", namespace(pod), name(pod), &patch)
        }
    };
    if let Err(error) = written {
        tracing::warn!(%error, pod = name(pod), "a pod cannot be bound to a node");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::{choose, has_claims};

    fn node(name: &str, zone: &str) -> Arc<Value> {
        Arc::new(json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": zone}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
    }

    fn pod(node: &str, cluster: &str) -> Arc<Value> {
        Arc::new(json!({"metadata": {"uid": format!("{node}-{cluster}"), "labels": {"cnpg.io/cluster": cluster}},
            "spec": {"nodeName": node}}))
    }

    #[test]
    fn a_pod_waits_for_a_claim_that_is_not_there_or_on_its_way_out() {
        let pod = json!({"spec": {"volumes": [{"name": "pgdata", "persistentVolumeClaim": {"claimName": "db-1"}},
            {"name": "shm", "emptyDir": {}}]}});
        let there = Arc::new(json!({"metadata": {"name": "db-1"}}));
        let going = Arc::new(json!({"metadata": {"name": "db-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        assert_eq!(has_claims(&pod, &[there]), Ok(()));
        assert_eq!(has_claims(&pod, &[]), Err("persistentvolumeclaim \"db-1\" not found".to_owned()));
        assert_eq!(has_claims(&pod, &[going]), Err("persistentvolumeclaim \"db-1\" is being deleted".to_owned()));
    }

    #[test]
    fn pods_of_one_cluster_are_spread_over_the_nodes() {
        let nodes = [node("a", "1"), node("b", "2")];
        let pods = [pod("a", "x"), pod("b", "y"), pod("b", "y")];
        assert_eq!(choose(&nodes, &pod("", "x"), &pods).as_deref(), Ok("b"));
        assert_eq!(choose(&nodes, &pod("", "y"), &pods).as_deref(), Ok("a"));
    }

    #[test]
    fn a_required_anti_affinity_counts_domains_and_a_full_one_keeps_a_pod_waiting() {
        let nodes = [node("a", "1"), node("b", "1"), node("c", "2")];
        let mut wanted = (*pod("", "x")).clone();
        wanted["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!([{"topologyKey": "zone", "labelSelector": {"matchLabels": {"cnpg.io/cluster": "x"}}}]);
        assert_eq!(choose(&nodes, &wanted, &[pod("a", "x")]).as_deref(), Ok("c"), "b is in the zone of a");
        let refused = choose(&nodes, &wanted, &[pod("a", "x"), pod("c", "x")]).unwrap_err();
        assert!(refused.starts_with("0/3 nodes are available"), "{refused}");
    }

    #[test]
    fn a_cordoned_a_tainted_and_a_lost_node_take_no_pods() {
        let mut nodes = [node("a", "1"), node("b", "1"), node("c", "1"), node("d", "2")].map(|node| (*node).clone());
        nodes[0]["spec"]["unschedulable"] = json!(true);
        nodes[1]["status"]["conditions"][0]["status"] = json!("Unknown");
        nodes[2]["spec"]["taints"] = json!([{"key": "k", "effect": "NoSchedule"}]);
        let nodes = nodes.map(Arc::new);
        assert_eq!(choose(&nodes, &pod("", "x"), &[pod("d", "x")]).as_deref(), Ok("d"));
        let mut wanted = (*pod("", "x")).clone();
        wanted["spec"]["nodeSelector"] = json!({"zone": "1"});
        assert!(choose(&nodes, &wanted, &[]).is_err());
    }
}
