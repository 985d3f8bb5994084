//! Pods of the instances, in CNPG's shape.

use super::{ApplyError, Target, gone_is_fine, mounts, probes, scheduling, security};
use crate::config::Config;
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector, Pod, PodSpec,
    ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, Preconditions};
use pgherd_core::cluster::Desired;
use pgherd_core::identity::PodUid;
use pgherd_proto::cluster::{ClusterSpec, LogLevel};
use pgherd_proto::{labels, names};
use std::collections::BTreeMap;

pub(super) async fn create(target: &Target<'_>, serial: u32) -> Result<(), ApplyError> {
    let pod = build(target, serial);
    target.create(target.api::<Pod>(), &pod, &format!("pod {}", target.desired.instance(serial))).await
}

pub(super) async fn delete(target: &Target<'_>, name: &str, uid: &PodUid) -> Result<(), ApplyError> {
    let only = Preconditions { uid: Some(uid.0.clone()), resource_version: None };
    let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
    gone_is_fine(target.api::<Pod>().delete(name, &params).await, format!("delete pod {name}"))
}

/// What a pod's spec is made from.
#[derive(Clone, Copy)]
pub struct Blueprint<'a> {
    /// The spec in force.
    pub spec: &'a ClusterSpec,
    /// The same as plain values.
    pub desired: &'a Desired,
    /// What this controller was started with.
    pub config: &'a Config,
}

pub(super) fn build(target: &Target<'_>, serial: u32) -> Pod {
    let desired = target.desired;
    let name = desired.instance(serial);
    let mut metadata = target.meta(name.clone());
    metadata.labels.get_or_insert_default().extend([
        (labels::INSTANCE_NAME.to_owned(), name),
        (labels::POD_ROLE.to_owned(), labels::POD_ROLE_INSTANCE.to_owned()),
    ]);
    if let Some(major) = major(&desired.image) {
        metadata.labels.get_or_insert_default().insert(labels::APP_VERSION.to_owned(), major);
    }
    let spec = pod_spec(Blueprint { spec: target.spec, desired, config: target.config }, serial);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(labels::NODE_SERIAL.to_owned(), serial.to_string());
    // The API server adds its defaults to the spec: this is what the next look compares with.
    annotations.insert(labels::POD_SPEC.to_owned(), serde_json::to_string(&spec).unwrap_or_default());
    annotations.extend(target.cluster.restarted_at().map(|at| (labels::RESTARTED_AT.to_owned(), at)));
    Pod { metadata, spec: Some(spec), status: None }
}

/// The pod spec of one instance as it is wanted today.
#[must_use]
pub fn pod_spec(blueprint: Blueprint<'_>, serial: u32) -> PodSpec {
    let desired = blueprint.desired;
    let name = desired.instance(serial);
    let pull_secrets = &blueprint.spec.image_pull_secrets;
    let reference = |name: &String| LocalObjectReference { name: name.clone() };
    let pod = PodSpec {
        hostname: Some(name.clone()),
        service_account_name: Some(desired.account().to_owned()),
        automount_service_account_token: Some(false),
        restart_policy: Some("Always".to_owned()),
        termination_grace_period_seconds: i64::try_from(desired.stop_delay.as_secs()).ok(),
        security_context: Some(security::of_pod(blueprint)),
        image_pull_secrets: (!pull_secrets.is_empty())
            .then(|| pull_secrets.iter().map(|secret| reference(&secret.name)).collect()),
        init_containers: Some(vec![bootstrap(blueprint)]),
        containers: vec![postgres(blueprint, &name)],
        volumes: Some(mounts::volumes(blueprint, &name)),
        ..PodSpec::default()
    };
    scheduling::place(blueprint, pod)
}

/// The major version in an image's tag, if that is how the tag begins.
fn major(image: &str) -> Option<String> {
    let (_, tag) = image.rsplit_once(':')?;
    let digits: String = tag.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn bootstrap(blueprint: Blueprint<'_>) -> Container {
    Container {
        name: names::BOOTSTRAP_CONTAINER.to_owned(),
        image: Some(blueprint.config.manager_image.clone()),
        image_pull_policy: blueprint.spec.image_pull_policy.clone(),
        command: Some(["/manager", "bootstrap", names::MANAGER_BINARY].map(str::to_owned).to_vec()),
        volume_mounts: Some(mounts::mounts(blueprint)),
        resources: Some(resources(blueprint)),
        security_context: Some(security::of_container(blueprint)),
        ..Container::default()
    }
}

fn postgres(blueprint: Blueprint<'_>, name: &str) -> Container {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: names::POSTGRES_CONTAINER.to_owned(),
        image: Some(blueprint.desired.image.clone()),
        image_pull_policy: blueprint.spec.image_pull_policy.clone(),
        command: Some([names::MANAGER_BINARY, "run", names::STATUS_PORT_TLS].map(str::to_owned).to_vec()),
        env: Some(environment(blueprint, name)),
        env_from: (!blueprint.spec.env_from.is_empty()).then(|| blueprint.spec.env_from.clone()),
        ports: Some(vec![
            port(names::POSTGRES_PORT_NAME, names::POSTGRES_PORT),
            port(names::METRICS_PORT_NAME, names::METRICS_PORT),
            port(names::STATUS_PORT_NAME, names::STATUS_PORT),
        ]),
        startup_probe: Some(probes::startup(blueprint)),
        readiness_probe: Some(probes::readiness(blueprint)),
        liveness_probe: Some(probes::liveness(blueprint)),
        resources: Some(resources(blueprint)),
        security_context: Some(security::of_container(blueprint)),
        termination_message_path: Some(names::TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(mounts::mounts(blueprint)),
        ..Container::default()
    }
}

fn environment(blueprint: Blueprint<'_>, name: &str) -> Vec<EnvVar> {
    let set =
        |name: &str, value: &str| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None };
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
    };
    let port = names::POSTGRES_PORT.to_string();
    let mut all = vec![
        set("PGDATA", names::PGDATA),
        set("POD_NAME", name),
        set("NAMESPACE", &blueprint.desired.namespace),
        set("CLUSTER_NAME", &blueprint.desired.name),
        set("PSQL_HISTORY", "/controller/tmp/.psql_history"),
        set("PGPORT", &port),
        set("PGHOST", names::RUN_DIR),
        set("TMPDIR", names::TMP_DIR),
        field("POD_UID", "metadata.uid"),
        field("POD_IP", "status.podIP"),
    ];
    if blueprint.desired.wal_storage.is_some() {
        all.push(set(names::WAL_MOUNT_VARIABLE, names::WAL_MOUNT));
    }
    // Only where it is not the default, so that pods of an earlier version are as they would be made today.
    if blueprint.spec.log_level != LogLevel::Info {
        all.push(set(names::LOG_LEVEL_VARIABLE, blueprint.spec.log_level.as_str()));
    }
    // Ours cannot be overridden: the manager would act for somebody else.
    let own: Vec<String> = all.iter().map(|variable| variable.name.clone()).collect();
    all.extend(blueprint.spec.env.iter().filter(|variable| !own.contains(&variable.name)).cloned());
    all
}

fn resources(blueprint: Blueprint<'_>) -> ResourceRequirements {
    let quantities = |map: &BTreeMap<String, String>| {
        let all: BTreeMap<String, Quantity> =
            map.iter().map(|(name, value)| (name.clone(), Quantity(value.clone()))).collect();
        (!all.is_empty()).then_some(all)
    };
    let resources = &blueprint.desired.resources;
    ResourceRequirements {
        requests: quantities(&resources.requests),
        limits: quantities(&resources.limits),
        ..ResourceRequirements::default()
    }
}
