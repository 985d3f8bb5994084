//! Nodes, as far as decisions depend on them: where they are, and whether they are to be left.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Taints that say that a node is being emptied: kubectl's, the cluster autoscaler's, Karpenter's (CNPG's default for
/// its `DRAIN_TAINTS`).
pub const DRAIN_TAINTS: [&str; 4] = [
    "node.kubernetes.io/unschedulable",
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
];

/// Taints that say that a node's kubelet is silent, or says that it cannot do its work. What runs there may run on, a
/// primary with its lease too, but Kubernetes has taken it out of all services by then: clients do not reach it.
pub const LOST_TAINTS: [&str; 2] = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"];

/// The label that says which zone a node is in.
pub const ZONE: &str = "topology.kubernetes.io/zone";

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeView {
    /// `metadata.name`.
    pub name: String,
    /// `spec.unschedulable`: it is cordoned.
    pub unschedulable: bool,
    /// Keys of `spec.taints`.
    pub taints: Vec<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}

impl NodeView {
    /// Why whoever runs there is to leave; `None` while it may stay. `drain_taints` are the keys that count, beside
    /// [`LOST_TAINTS`].
    #[must_use]
    pub fn leaving(&self, drain_taints: &[String]) -> Option<String> {
        if self.unschedulable {
            return Some(format!("node {} is cordoned", self.name));
        }
        let counts = |taint: &&String| drain_taints.contains(taint) || LOST_TAINTS.contains(&taint.as_str());
        let taint = self.taints.iter().find(counts)?;
        Some(format!("node {} has taint {taint}", self.name))
    }
}

/// The labels by which failure domains are told apart (`podFailureDomainKeys`, `nodeFailureDomainKeys`, or
/// `syncReplicaElectionConstraint`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DomainKeys {
    /// The keys.
    pub keys: Vec<String>,
    /// They are labels of the nodes; else of the pods.
    pub of_nodes: bool,
}

impl DomainKeys {
    /// Nobody asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What is known of one instance's place: of its pod's labels or its node's, and where the node cannot be seen, what
    /// was known of it `before`.
    #[must_use]
    pub fn place(
        &self,
        pod: &BTreeMap<String, String>,
        node: Option<&NodeView>,
        before: Option<&BTreeMap<String, String>>,
    ) -> BTreeMap<String, String> {
        let labels = match (self.of_nodes, node) {
            (false, _) => Some(pod),
            (true, Some(node)) => Some(&node.labels),
            (true, None) => before,
        };
        let value = |key: &String| Some((key.clone(), labels?.get(key)?.clone()));
        self.keys.iter().filter_map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_node_is_left_when_it_is_cordoned_has_a_taint_of_a_drain_or_its_kubelet_is_lost() {
        let drains = DRAIN_TAINTS.map(str::to_owned);
        let node = NodeView { name: "n1".into(), ..NodeView::default() };
        assert_eq!(node.leaving(&drains), None);
        let cordoned = NodeView { unschedulable: true, ..node.clone() };
        assert_eq!(cordoned.leaving(&drains).as_deref(), Some("node n1 is cordoned"));
        for taint in DRAIN_TAINTS.into_iter().chain(LOST_TAINTS) {
            let tainted = NodeView { taints: vec!["other".into(), taint.into()], ..node.clone() };
            assert_eq!(tainted.leaving(&drains), Some(format!("node n1 has taint {taint}")));
        }
        let pressed = NodeView { taints: vec!["node.kubernetes.io/disk-pressure".into()], ..node };
        assert_eq!(pressed.leaving(&drains), None, "it may pass");
    }

    #[test]
    fn a_place_is_told_by_the_pods_labels_or_the_nodes_and_is_not_forgotten_with_the_node() {
        let pod = labels(&[("rack", "r1"), ("zone", "of-the-pod")]);
        let node = NodeView { labels: labels(&[("zone", "a"), ("other", "x")]), ..NodeView::default() };
        let of_pods = DomainKeys { keys: vec!["rack".into(), "row".into()], of_nodes: false };
        assert_eq!(of_pods.place(&pod, Some(&node), None), labels(&[("rack", "r1")]));
        let of_nodes = DomainKeys { keys: vec!["zone".into()], of_nodes: true };
        assert_eq!(of_nodes.place(&pod, Some(&node), None), labels(&[("zone", "a")]));
        let before = labels(&[("zone", "b"), ("rack", "r9")]);
        assert_eq!(of_nodes.place(&pod, None, Some(&before)), labels(&[("zone", "b")]));
        assert_eq!(of_nodes.place(&pod, None, None), labels(&[]));
        assert_eq!(DomainKeys::default().place(&pod, Some(&node), None), labels(&[]));
    }
}
