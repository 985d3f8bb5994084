//! Pods of the instances, in CNPG's shape.

use super::{ApplyError, Target, gone_is_fine};
use crate::config::Config;
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, Pod, PodAffinityTerm, PodAntiAffinity, PodSecurityContext,
    PodSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecurityContext,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{DeleteParams, Preconditions};
use pgherd_core::cluster::{AntiAffinity, Desired};
use pgherd_core::identity::PodUid;
use pgherd_proto::cluster::ClusterSpec;
use pgherd_proto::{labels, names};
use std::collections::BTreeMap;

const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// CNPG's probe period and timeout, in seconds.
const PROBE_PERIOD: i32 = 10;
const PROBE_TIMEOUT: i32 = 5;
/// An instance that comes up is to be seen at once; CNPG asks every 10 s.
const STARTUP_PERIOD: i32 = 1;
const READINESS_PERIOD: i32 = 2;

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
    PodSpec {
        hostname: Some(name.clone()),
        service_account_name: Some(desired.name.clone()),
        automount_service_account_token: Some(false),
        restart_policy: Some("Always".to_owned()),
        termination_grace_period_seconds: i64::try_from(desired.stop_delay.as_secs()).ok(),
        security_context: Some(PodSecurityContext {
            run_as_user: Some(desired.postgres_uid),
            run_as_group: Some(desired.postgres_gid),
            fs_group: Some(desired.postgres_gid),
            run_as_non_root: Some(true),
            seccomp_profile: Some(seccomp()),
            ..PodSecurityContext::default()
        }),
        affinity: affinity(blueprint),
        init_containers: Some(vec![bootstrap(blueprint)]),
        containers: vec![postgres(blueprint, &name)],
        volumes: Some(volumes(&name)),
        ..PodSpec::default()
    }
}

/// The major version in an image's tag, if that is how the tag begins.
fn major(image: &str) -> Option<String> {
    let (_, tag) = image.rsplit_once(':')?;
    let digits: String = tag.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn seccomp() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        seccomp_profile: Some(seccomp()),
        ..SecurityContext::default()
    }
}

fn bootstrap(blueprint: Blueprint<'_>) -> Container {
    Container {
        name: names::BOOTSTRAP_CONTAINER.to_owned(),
        image: Some(blueprint.config.manager_image.clone()),
        image_pull_policy: blueprint.spec.image_pull_policy.clone(),
        command: Some(["/manager", "bootstrap", names::MANAGER_BINARY].map(str::to_owned).to_vec()),
        volume_mounts: Some(mounts()),
        resources: Some(resources(blueprint)),
        security_context: Some(container_security()),
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
    let start = i32::try_from(blueprint.desired.start_delay.as_secs()).unwrap_or(i32::MAX);
    Container {
        name: names::POSTGRES_CONTAINER.to_owned(),
        image: Some(blueprint.desired.image.clone()),
        image_pull_policy: blueprint.spec.image_pull_policy.clone(),
        command: Some([names::MANAGER_BINARY, "run"].map(str::to_owned).to_vec()),
        env: Some(environment(blueprint, name)),
        env_from: (!blueprint.spec.env_from.is_empty()).then(|| blueprint.spec.env_from.clone()),
        ports: Some(vec![
            port(names::POSTGRES_PORT_NAME, names::POSTGRES_PORT),
            port(names::METRICS_PORT_NAME, names::METRICS_PORT),
            port(names::STATUS_PORT_NAME, names::STATUS_PORT),
        ]),
        startup_probe: Some(probe("/startupz", STARTUP_PERIOD, start.max(1))),
        readiness_probe: Some(probe("/readyz", READINESS_PERIOD, 3)),
        liveness_probe: Some(probe("/healthz", PROBE_PERIOD, 3)),
        resources: Some(resources(blueprint)),
        security_context: Some(container_security()),
        termination_message_path: Some(names::TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(mounts()),
        ..Container::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(names::STATUS_PORT)),
            scheme: Some("HTTPS".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(PROBE_TIMEOUT),
        failure_threshold: Some(failures),
        ..Probe::default()
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
    // Ours cannot be overridden: the manager would act for somebody else.
    let own: Vec<String> = all.iter().map(|variable| variable.name.clone()).collect();
    all.extend(blueprint.spec.env.iter().filter(|variable| !own.contains(&variable.name)).cloned());
    all
}

fn mounts() -> Vec<VolumeMount> {
    let mount = |volume: &str, path: &str, sub: Option<&str>| VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        sub_path: sub.map(str::to_owned),
        ..VolumeMount::default()
    };
    let token = VolumeMount { read_only: Some(true), ..mount("service-account", SERVICE_ACCOUNT_DIR, None) };
    vec![
        mount(names::DATA_VOLUME, names::DATA_MOUNT, None),
        mount(names::SCRATCH_VOLUME, "/run", Some("run")),
        mount(names::SCRATCH_VOLUME, names::CONTROLLER_DIR, Some("controller")),
        mount(names::SHM_VOLUME, "/dev/shm", None),
        token,
    ]
}

fn volumes(name: &str) -> Vec<Volume> {
    let volume = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    let token =
        ServiceAccountTokenProjection { path: "token".to_owned(), expiration_seconds: Some(3607), audience: None };
    let (root, namespace) = token_companions();
    let sources =
        vec![VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() }, root, namespace];
    let memory = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit: None };
    let projected = ProjectedVolumeSource { sources: Some(sources), default_mode: Some(0o644) };
    vec![
        Volume {
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: name.to_owned(),
                read_only: None,
            }),
            ..volume(names::DATA_VOLUME)
        },
        Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..volume(names::SCRATCH_VOLUME) },
        Volume { empty_dir: Some(memory), ..volume(names::SHM_VOLUME) },
        Volume { projected: Some(projected), ..volume("service-account") },
    ]
}

/// What stands beside the token in Kubernetes' own mount: the API server's authority and the namespace.
fn token_companions() -> (VolumeProjection, VolumeProjection) {
    use k8s_openapi::api::core::v1::{ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath};
    let authority = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
        optional: None,
    };
    let namespace = DownwardAPIProjection {
        items: Some(vec![DownwardAPIVolumeFile {
            path: "namespace".to_owned(),
            field_ref: Some(ObjectFieldSelector { field_path: "metadata.namespace".to_owned(), api_version: None }),
            ..DownwardAPIVolumeFile::default()
        }]),
    };
    (
        VolumeProjection { config_map: Some(authority), ..VolumeProjection::default() },
        VolumeProjection { downward_api: Some(namespace), ..VolumeProjection::default() },
    )
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

fn affinity(blueprint: Blueprint<'_>) -> Option<Affinity> {
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
    let anti = match desired.anti_affinity {
        AntiAffinity::Off => return None,
        AntiAffinity::Preferred => PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        },
        AntiAffinity::Required => PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..PodAntiAffinity::default()
        },
    };
    Some(Affinity { pod_anti_affinity: Some(anti), ..Affinity::default() })
}
