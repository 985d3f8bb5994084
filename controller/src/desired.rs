//! From a Cluster as stored to what the user wants, as plain values.

use crate::tls::CertificateNames;
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::ResourceExt;
use pgherd_core::cluster::{AntiAffinity, Desired, PrimaryUpdate, Resources, ServiceKind, Storage};
use pgherd_core::identity::PodUid;
use pgherd_proto::cluster::{
    AntiAffinityType, Cluster, ClusterSpec, PrimaryUpdateMethod, PrimaryUpdateStrategy, ServiceSelector,
    StorageConfiguration,
};

/// What is wanted of `cluster`, by a spec of it that has passed validation.
#[must_use]
pub fn desired(cluster: &Cluster, spec: &ClusterSpec) -> Desired {
    let affinity = spec.affinity.clone().unwrap_or_default();
    let app = spec.application();
    let sync = spec.sync_spec(cluster.annotated_quorum());
    Desired {
        name: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
        uid: PodUid(cluster.uid().unwrap_or_default()),
        generation: cluster.metadata.generation.unwrap_or_default(),
        deleting: cluster.metadata.deletion_timestamp.is_some(),
        instances: u32::try_from(spec.instances).unwrap_or(1),
        image: spec.postgres_image().to_owned(),
        postgres_uid: spec.postgres_uid,
        postgres_gid: spec.postgres_gid,
        storage: spec.storage.as_ref().map_or_else(Storage::default, storage),
        wal_storage: spec.wal_storage.as_deref().map(storage),
        resources: spec.resources.as_ref().map_or_else(Resources::default, resources),
        anti_affinity: match (affinity.enable_pod_anti_affinity, affinity.pod_anti_affinity_type) {
            (Some(false), _) => AntiAffinity::Off,
            (_, AntiAffinityType::Preferred) => AntiAffinity::Preferred,
            (_, AntiAffinityType::Required) => AntiAffinity::Required,
        },
        topology_key: affinity.topology_key,
        database: app.database,
        owner: app.owner,
        owner_secret: app.secret,
        disabled_services: disabled_services(spec),
        superuser_secret: spec.enable_superuser_access && spec.superuser_secret.is_none(),
        service_account: spec.service_account_name.clone().filter(|name| !name.is_empty()),
        brought: CertificateNames::of(&cluster.name_any(), "", spec).brought_kinds,
        timings: spec.timings(),
        synchronous: sync.is_some(),
        sync_number: sync.as_ref().map(|sync| sync.number).unwrap_or_default(),
        failover_quorum: sync.is_some_and(|sync| sync.failover_quorum),
        domain_keys: spec.domain_keys(),
        primary_update: PrimaryUpdate {
            by_switchover: spec.primary_update_method == PrimaryUpdateMethod::Switchover,
            supervised: spec.primary_update_strategy == PrimaryUpdateStrategy::Supervised,
        },
        failover_delay: spec.failover_delay(),
        start_delay: spec.start_delay(),
        stop_delay: spec.stop_delay(),
        pod_monitor: spec.monitoring.as_ref().is_some_and(|monitoring| monitoring.enable_pod_monitor),
        disruption_budgets: spec.enable_pdb && !in_maintenance(spec),
        fenced: cluster.fenced_instances(),
        nodes_in_maintenance: in_maintenance(spec),
    }
}

fn storage(from: &StorageConfiguration) -> Storage {
    Storage {
        size: from.requested().to_owned(),
        class: from.class().map(str::to_owned),
        grows: from.resize_in_use_volumes,
    }
}

/// Nodes are worked on, and instances wait for theirs: budgets would only keep a node from being drained (as in CNPG).
fn in_maintenance(spec: &ClusterSpec) -> bool {
    spec.node_maintenance_window.as_ref().is_some_and(|window| window.in_progress && window.reuse_pvc)
}

/// The primary's cannot be left out.
fn disabled_services(spec: &ClusterSpec) -> Vec<ServiceKind> {
    let services = spec.managed.as_ref().and_then(|managed| managed.services.as_ref());
    let named = services.map(|services| services.disabled_default_services.as_slice()).unwrap_or_default();
    let kind = |selector: &ServiceSelector| match selector {
        ServiceSelector::Rw => None,
        ServiceSelector::Ro => Some(ServiceKind::Ro),
        ServiceSelector::R => Some(ServiceKind::R),
    };
    named.iter().filter_map(kind).collect()
}

fn resources(from: &ResourceRequirements) -> Resources {
    let plain = |map: &Option<
        std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    >| { map.iter().flatten().map(|(name, quantity)| (name.clone(), quantity.0.clone())).collect() };
    Resources { requests: plain(&from.requests), limits: plain(&from.limits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_proto::labels;

    #[test]
    fn an_empty_spec_has_cnpgs_defaults() {
        let cluster = Cluster::new("c", ClusterSpec::default());
        let desired = desired(&cluster, &cluster.spec);
        assert_eq!((desired.instances, desired.postgres_uid, desired.database.as_str()), (1, 26, "app"));
        assert_eq!(desired.anti_affinity, AntiAffinity::Preferred);
    }

    #[test]
    fn a_maintenance_window_takes_the_budgets_away_while_instances_wait_for_their_nodes() {
        let budgets = |window: &str| {
            let text = format!(r#"{{"instances":1,"nodeMaintenanceWindow":{window}}}"#);
            let cluster = Cluster::new("c", serde_json::from_str(&text).unwrap());
            let desired = desired(&cluster, &cluster.spec);
            assert_ne!(desired.disruption_budgets, desired.nodes_in_maintenance);
            desired.disruption_budgets
        };
        assert!(!budgets(r#"{"inProgress":true}"#));
        assert!(budgets(r#"{"inProgress":false}"#) && budgets(r#"{"inProgress":true,"reusePVC":false}"#));
    }

    #[test]
    fn a_fence_that_is_no_list_fences_nobody() {
        let mut cluster = Cluster::new("c", ClusterSpec::default());
        cluster.annotations_mut().insert(labels::FENCED_INSTANCES.into(), "c-1".into());
        assert!(desired(&cluster, &cluster.spec).fenced.is_empty());
        cluster.annotations_mut().insert(labels::FENCED_INSTANCES.into(), r#"["c-1"]"#.into());
        assert_eq!(desired(&cluster, &cluster.spec).fenced, ["c-1"]);
    }
}
