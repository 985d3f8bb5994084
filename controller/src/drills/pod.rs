//! The pod of a drill: an instance's image, rights, limits and settings, and none of its ports, probes, labels or
//! volumes. Its volume is its own and goes with it.

use crate::apply::{Blueprint, pod_spec};
use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, EnvVarSource, EphemeralVolumeSource, ObjectFieldSelector, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, Pod, PodSpec, Volume, VolumeResourceRequirements, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use pgherd_core::cluster::Storage;
use pgherd_proto::cluster::{Cluster, DrillOrder};
use pgherd_proto::{labels, names};
use std::collections::BTreeMap;

/// Nobody waits for it: what it holds is a copy.
const GRACE_SECONDS: i64 = 10;
/// Kubernetes itself ends it where this process does not come to it.
const DEADLINE_SLACK: i64 = 120;

/// The pod `name` that carries `order` out.
pub(super) fn build(blueprint: Blueprint<'_>, cluster: &Cluster, name: &str, order: &DrillOrder) -> Pod {
    let desired = blueprint.desired;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let owner = OwnerReference {
        block_owner_deletion: Some(true),
        controller: Some(true),
        ..cluster.owner_ref(&()).unwrap_or_default()
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(desired.namespace.clone()),
        labels: Some(BTreeMap::from([
            label(labels::VERIFIES, &desired.name),
            label(labels::APP_NAME, labels::APP_POSTGRESQL),
            label(labels::APP_COMPONENT, "restore-drill"),
            label(labels::APP_MANAGED_BY, labels::MANAGED_BY),
        ])),
        annotations: Some(BTreeMap::from([
            label(labels::DRILL_ORDER, &serde_json::to_string(order).unwrap_or_default()),
            label(labels::OPERATOR_VERSION, env!("CARGO_PKG_VERSION")),
        ])),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    };
    Pod { metadata, spec: Some(spec(blueprint, name, order)), status: None }
}

fn spec(blueprint: Blueprint<'_>, name: &str, order: &DrillOrder) -> PodSpec {
    let instance = pod_spec(blueprint, 0);
    let seconds = i64::try_from(order.within().as_secs()).unwrap_or(i64::MAX);
    PodSpec {
        hostname: None,
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        active_deadline_seconds: Some(seconds.saturating_add(DEADLINE_SLACK)),
        affinity: instance.affinity.clone().map(preferred),
        containers: instance.containers.iter().cloned().map(|container| program(container, name)).collect(),
        volumes: instance.volumes.clone().map(|all| {
            all.into_iter()
                .map(|volume| match (volume.name.as_str(), &blueprint.desired.wal_storage) {
                    (names::DATA_VOLUME, _) => own(blueprint, names::DATA_VOLUME, &blueprint.desired.storage),
                    (names::WAL_VOLUME, Some(storage)) => own(blueprint, names::WAL_VOLUME, storage),
                    _ => volume,
                })
                .collect()
        }),
        ..instance
    }
}

fn program(instance: Container, name: &str) -> Container {
    let mut env = instance.env.clone().unwrap_or_default();
    for variable in env.iter_mut().filter(|variable| variable.name == "POD_NAME") {
        variable.value = Some(name.to_owned());
    }
    // By a field of the pod, and not as a value, in which `$(...)` would be replaced.
    env.push(EnvVar {
        name: names::DRILL_ORDER_VARIABLE.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: format!("metadata.annotations['{}']", labels::DRILL_ORDER),
                api_version: None,
            }),
            ..EnvVarSource::default()
        }),
    });
    Container {
        command: Some([names::MANAGER_BINARY, "verify"].map(str::to_owned).to_vec()),
        env: Some(env),
        ports: None,
        startup_probe: None,
        readiness_probe: None,
        liveness_probe: None,
        ..instance
    }
}

/// A volume that Kubernetes makes with the pod and deletes with it.
fn own(blueprint: Blueprint<'_>, name: &str, storage: &Storage) -> Volume {
    let Storage { size, class, .. } = storage.clone();
    let claim = PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        storage_class_name: class,
        resources: Some(VolumeResourceRequirements {
            requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(size))])),
            limits: None,
        }),
        ..PersistentVolumeClaimSpec::default()
    };
    let label = (labels::VERIFIES.to_owned(), blueprint.desired.name.clone());
    let metadata = ObjectMeta { labels: Some(BTreeMap::from([label])), ..ObjectMeta::default() };
    let template = PersistentVolumeClaimTemplate { metadata: Some(metadata), spec: claim };
    Volume {
        name: name.to_owned(),
        ephemeral: Some(EphemeralVolumeSource { volume_claim_template: Some(template) }),
        ..Volume::default()
    }
}

/// Away from the instances where there is room, since it is hard on a disk; beside one rather than nowhere.
fn preferred(affinity: Affinity) -> Affinity {
    let mut affinity = affinity;
    if let Some(anti) = &mut affinity.pod_anti_affinity {
        let required = anti.required_during_scheduling_ignored_during_execution.take().unwrap_or_default();
        let terms = required.into_iter().map(|term| WeightedPodAffinityTerm { weight: 100, pod_affinity_term: term });
        anti.preferred_during_scheduling_ignored_during_execution.get_or_insert_default().extend(terms);
    }
    affinity
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::desired::desired;

    #[test]
    fn it_is_no_instance_to_anybody_and_is_limited_as_one() {
        let mut cluster: Cluster =
            serde_yaml_ng::from_str(include_str!("../../../docs/examples/cluster.yaml")).unwrap();
        cluster.metadata.uid = Some("cu".into());
        let wanted = desired(&cluster, &cluster.spec);
        let config = Config::default();
        let blueprint = Blueprint { spec: &cluster.spec, desired: &wanted, config: &config };
        let order = DrillOrder { query: Some("SELECT $$(a)$$ = $(PGDATA)".into()), ..DrillOrder::default() };
        let pod = build(blueprint, &cluster, "c-verify-1", &order);
        let instance = pod_spec(blueprint, 1);
        let labels = pod.metadata.labels.unwrap();
        assert!(labels.keys().all(|key| !key.starts_with("cnpg.io/") && key != "role"), "{labels:?}");
        assert_eq!(pod.metadata.owner_references.unwrap()[0].uid, "cu");
        let spec = pod.spec.unwrap();
        assert_eq!(spec.security_context, instance.security_context);
        assert_eq!(spec.service_account_name, instance.service_account_name);
        let (own, its) = (&spec.containers[0], &instance.containers[0]);
        assert_eq!((&own.security_context, &own.resources), (&its.security_context, &its.resources));
        assert_eq!((&own.ports, &own.readiness_probe, &own.liveness_probe), (&None, &None, &None));
        assert_eq!(own.image, its.image);
        let volumes = spec.volumes.unwrap();
        assert!(volumes.iter().all(|volume| volume.persistent_volume_claim.is_none()), "no claim that outlives it");
        assert_eq!(volumes.iter().filter(|volume| volume.ephemeral.is_some()).count(), 1);
        assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
        let told = &pod.metadata.annotations.unwrap()[pgherd_proto::labels::DRILL_ORDER];
        assert_eq!(serde_json::from_str::<DrillOrder>(told).unwrap(), order);
        let terms = spec.affinity.and_then(|affinity| affinity.pod_anti_affinity);
        assert!(terms.is_none_or(|anti| anti.required_during_scheduling_ignored_during_execution.is_none()));
    }
}
