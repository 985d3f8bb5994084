//! Where the instances may run.

use super::Blueprint;
use k8s_openapi::api::core::v1::{Affinity, PodAffinityTerm, PodAntiAffinity, PodSpec, WeightedPodAffinityTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use pgherd_core::cluster::AntiAffinity;
use pgherd_proto::labels;
use std::collections::BTreeMap;

/// Adds everything about it to the spec of a pod.
pub(super) fn place(blueprint: Blueprint<'_>, pod: PodSpec) -> PodSpec {
    let spec = blueprint.spec;
    let given = spec.affinity.as_ref();
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    PodSpec {
        affinity: affinity(blueprint),
        node_selector: given.map(|given| given.node_selector.clone()).filter(|selector| !selector.is_empty()),
        tolerations: given.map(|given| given.tolerations.clone()).filter(|all| !all.is_empty()),
        topology_spread_constraints: (!spec.topology_spread_constraints.is_empty())
            .then(|| spec.topology_spread_constraints.clone()),
        scheduler_name: filled(&spec.scheduler_name),
        priority_class_name: filled(&spec.priority_class_name),
        ..pod
    }
}

fn affinity(blueprint: Blueprint<'_>) -> Option<Affinity> {
    let given = blueprint.spec.affinity.as_ref();
    let more = given.and_then(|given| given.additional_pod_anti_affinity.as_deref().cloned());
    let all = Affinity {
        node_affinity: given.and_then(|given| given.node_affinity.as_deref().cloned()),
        pod_affinity: given.and_then(|given| given.additional_pod_affinity.as_deref().cloned()),
        pod_anti_affinity: match (apart(blueprint), more) {
            (Some(ours), Some(more)) => Some(joined(ours, more)),
            (ours, more) => ours.or(more),
        },
    };
    (all != Affinity::default()).then_some(all)
}

/// The instances of one cluster are kept apart.
fn apart(blueprint: Blueprint<'_>) -> Option<PodAntiAffinity> {
    let desired = blueprint.desired;
    let selector = [
        (labels::CLUSTER.to_owned(), desired.name.clone()),
        (labels::POD_ROLE.to_owned(), labels::POD_ROLE_INSTANCE.to_owned()),
    ];
    let term = PodAffinityTerm {
        label_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from(selector)),
            ..LabelSelector::default()
        }),
        topology_key: desired.topology_key.clone(),
        ..PodAffinityTerm::default()
    };
    match desired.anti_affinity {
        AntiAffinity::Off => None,
        AntiAffinity::Preferred => Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        }),
        AntiAffinity::Required => Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..PodAntiAffinity::default()
        }),
    }
}

fn joined(ours: PodAntiAffinity, more: PodAntiAffinity) -> PodAntiAffinity {
    PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: both(
            ours.preferred_during_scheduling_ignored_during_execution,
            more.preferred_during_scheduling_ignored_during_execution,
        ),
        required_during_scheduling_ignored_during_execution: both(
            ours.required_during_scheduling_ignored_during_execution,
            more.required_during_scheduling_ignored_during_execution,
        ),
    }
}

fn both<T>(ours: Option<Vec<T>>, more: Option<Vec<T>>) -> Option<Vec<T>> {
    match (ours, more) {
        (Some(ours), Some(more)) => Some(ours.into_iter().chain(more).collect()),
        (ours, more) => ours.or(more),
    }
}
