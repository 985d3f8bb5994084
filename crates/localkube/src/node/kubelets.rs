//! Which kubelets do not hear the API, or stand still. Faults set it, the pods' workers obey it.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// What a kubelet does not do any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deaf {
    /// It neither hears the API nor reports to it, and keeps its pods running as it last knew them.
    Apart,
    /// It does nothing at all.
    Stopped,
}

/// Whose kubelet. All nodes share one machine here, so a single pod can have one of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Of the pod with this UID.
    Pod(String),
    /// Of a node, by name.
    Node(String),
}

/// The switch; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Kubelets {
    deaf: watch::Sender<BTreeMap<Whose, Deaf>>,
}

impl Kubelets {
    /// From now on.
    pub fn set(&self, whose: Whose, deaf: Deaf) {
        self.deaf.send_modify(|all| {
            all.insert(whose, deaf);
        });
    }

    /// It is itself again.
    pub fn heal(&self, whose: &Whose) {
        self.deaf.send_modify(|all| {
            all.remove(whose);
        });
    }

    /// What the kubelet of a pod does not do; the stricter word counts.
    pub fn of(&self, node: &str, pod: &str) -> Option<Deaf> {
        let all = self.deaf.borrow();
        let found = [all.get(&Whose::Node(node.to_owned())), all.get(&Whose::Pod(pod.to_owned()))];
        let found = || found.iter().copied().flatten().copied();
        found().find(|deaf| *deaf == Deaf::Stopped).or_else(|| found().next())
    }

    /// The nodes whose kubelet is not heard of.
    pub fn nodes(&self) -> Vec<String> {
        let name = |whose: &Whose| match whose {
            Whose::Node(name) => Some(name.clone()),
            Whose::Pod(_) => None,
        };
        self.deaf.borrow().keys().filter_map(name).collect()
    }

    /// To wait for changes.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<Whose, Deaf>> {
        self.deaf.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::{Deaf, Kubelets, Whose};

    #[test]
    fn a_pod_obeys_its_own_kubelet_and_that_of_its_node() {
        let kubelets = Kubelets::default();
        let (pod, node) = (Whose::Pod("u1".to_owned()), Whose::Node("n1".to_owned()));
        kubelets.set(pod.clone(), Deaf::Apart);
        assert_eq!((kubelets.of("n1", "u1"), kubelets.of("n1", "u2")), (Some(Deaf::Apart), None));
        kubelets.set(node.clone(), Deaf::Stopped);
        assert_eq!((kubelets.of("n1", "u1"), kubelets.of("n1", "u2")), (Some(Deaf::Stopped), Some(Deaf::Stopped)));
        assert_eq!(kubelets.nodes(), ["n1"]);
        kubelets.heal(&node);
        kubelets.heal(&pod);
        assert_eq!(kubelets.of("n1", "u1"), None);
    }
}
