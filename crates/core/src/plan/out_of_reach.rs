//! What the scheduler says of a pod that it finds no node for: `0/3 nodes are available: 2 node(s) had volume node
//! affinity conflict, 1 node(s) were unschedulable. preemption: ...`. Each node is counted with what keeps the pod from
//! it.

/// A volume that is bound is not where the node is: its affinity, its zone, or that of a local one.
const OF_VOLUMES: [&str; 4] = [
    "node(s) had volume node affinity conflict",
    "node(s) didn't match PersistentVolume's node affinity",
    "node(s) had no available volume zone",
    "node(s) didn't satisfy plugin(s) [VolumeBinding]",
];

/// Nodes that no instance was ever on, for as long as they are what they are.
const OF_CONTROL_PLANES: [&str; 2] = [
    "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }",
    "node(s) had untolerated taint {node-role.kubernetes.io/master: }",
];

/// Whether of all nodes, but those of the control plane, none can have the pod's volumes. Whatever else keeps it from a
/// node, one that is cordoned above all, may pass; what is not understood is taken for that.
pub(super) fn is_out_of_reach(message: &str) -> bool {
    let Some((all, said)) = message.strip_prefix("0/").and_then(|rest| rest.split_once(" nodes are available: "))
    else {
        return false;
    };
    // What comes after the first sentence is about preemption.
    let said = said.split(". ").next().unwrap_or_default().trim().trim_end_matches('.');
    let (mut counted, mut of_volumes) = (0_u32, 0_u32);
    for part in said.split(", ") {
        let Some((number, reason)) = part.split_once(' ') else { return false };
        let Ok(number) = number.parse::<u32>() else { return false };
        let volume = OF_VOLUMES.contains(&reason);
        if !volume && !OF_CONTROL_PLANES.contains(&reason) {
            return false;
        }
        counted = counted.saturating_add(number);
        of_volumes = of_volumes.saturating_add(if volume { number } else { 0 });
    }
    // A node that is not accounted for may be the one.
    of_volumes > 0 && all.parse() == Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::is_out_of_reach;

    #[test]
    fn a_volume_is_out_of_reach_where_every_node_says_so() {
        for message in [
            "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
            "0/3 nodes are available: 3 node(s) had volume node affinity conflict. preemption: 0/3 nodes are \
             available: 3 Preemption is not helpful for scheduling.",
            "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity. no new claims to \
             deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
            "0/3 nodes are available: 1 node(s) had no available volume zone, 2 node(s) had volume node affinity \
             conflict.",
            "0/5 nodes are available: 5 node(s) didn't satisfy plugin(s) [VolumeBinding].",
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 \
             node(s) had volume node affinity conflict. preemption: 0/3 nodes are available: 3 Preemption is not \
             helpful.",
        ] {
            assert!(is_out_of_reach(message), "{message}");
        }
    }

    #[test]
    fn a_node_that_is_cordoned_lost_or_full_may_be_the_volumes_own_and_is_waited_for() {
        for message in [
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict.",
            "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 2 node(s) \
             had volume node affinity conflict.",
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had volume node affinity conflict.",
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) had volume node affinity conflict.",
            "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) had volume node \
             affinity conflict.",
            "0/3 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate, 2 node(s) had volume \
             node affinity conflict.",
        ] {
            assert!(!is_out_of_reach(message), "{message}");
        }
    }

    #[test]
    fn what_is_not_understood_or_does_not_add_up_says_nothing() {
        for message in [
            "",
            "no nodes available to schedule pods",
            "0/0 nodes are available: .",
            "0/4 nodes are available: 3 node(s) had volume node affinity conflict.",
            "0/1 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }.",
            "1/3 nodes are available: 3 node(s) had volume node affinity conflict.",
            "0/3 nodes are available: 99999999999 node(s) had volume node affinity conflict.",
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        ] {
            assert!(!is_out_of_reach(message), "{message}");
        }
    }
}
