//! The rules of what becomes of pods: image, environment, tolerations, probes.

use super::Report;
use crate::cluster::{AffinityConfiguration, ClusterSpec, ProbesConfiguration};
use crate::finding::{Finding, Kind};
use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pgherd_core::rules::{bounds, majors, names, quantity, sizes};
use std::collections::BTreeMap;

pub(super) fn check(report: &mut Report, spec: &ClusterSpec) {
    if let Some(image) = spec.image_name.as_deref().filter(|image| !image.is_empty()) {
        report.rule("spec.imageName", names::image(image));
    }
    if let Some(major) = spec.image_catalog_ref.as_ref().and(spec.postgres_major()) {
        report.rule("spec.imageCatalogRef.major", majors::supported(major));
    }
    if spec.service_account_name.is_some() && spec.service_account_template.is_some() {
        let message = "no ServiceAccount is made where spec.serviceAccountName names one: the template does nothing";
        report.push(Finding::new(Kind::Advice, "spec.serviceAccountTemplate", message));
    }
    if let Some(policy) = spec.image_pull_policy.as_deref().filter(|policy| !policy.is_empty())
        && !["Always", "Never", "IfNotPresent"].contains(&policy)
    {
        report.invalid("spec.imagePullPolicy", "if defined it must be one of 'Always', 'Never' or 'IfNotPresent'");
    }
    for (index, variable) in spec.env.iter().enumerate() {
        report.rule(&format!("spec.env[{index}].name"), names::variable(&variable.name));
    }
    if let Some(affinity) = &spec.affinity {
        tolerations(report, affinity);
    }
    if let Some(probes) = &spec.probes {
        check_probes(report, probes);
    }
    if let Some(timeout) = spec.liveness_probe_timeout {
        report.rule("spec.livenessProbeTimeout", bounds::delay_seconds("livenessProbeTimeout", i64::from(timeout)));
    }
    if let Some(limit) = &spec.ephemeral_volumes_size_limit {
        for (field, size) in [("shm", &limit.shm), ("temporaryData", &limit.temporary_data)] {
            if let Some(size) = size {
                report.rule(&format!("spec.ephemeralVolumesSizeLimit.{field}"), quantity::quantity(&size.0));
            }
        }
    }
    memory(report, spec);
}

/// As Kubernetes judges those of a pod.
fn tolerations(report: &mut Report, affinity: &AffinityConfiguration) {
    for (index, toleration) in affinity.tolerations.iter().enumerate() {
        let path = format!("spec.affinity.tolerations[{index}]");
        let Toleration { effect, key, operator, toleration_seconds, value } = toleration;
        let exists = operator.as_deref() == Some("Exists");
        if key.as_deref().unwrap_or_default().is_empty() && !exists {
            report.invalid(&format!("{path}.operator"), "operator must be Exists when `key` is empty");
        }
        if !matches!(operator.as_deref(), None | Some("" | "Equal" | "Exists")) {
            report.invalid(&format!("{path}.operator"), "operator must be Equal or Exists");
        }
        if exists && value.as_deref().is_some_and(|value| !value.is_empty()) {
            report.invalid(&format!("{path}.value"), "value must be empty when `operator` is 'Exists'");
        }
        if toleration_seconds.is_some() && effect.as_deref() != Some("NoExecute") {
            report.invalid(&format!("{path}.effect"), "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
        if !matches!(effect.as_deref(), None | Some("" | "NoSchedule" | "PreferNoSchedule" | "NoExecute")) {
            report.invalid(&format!("{path}.effect"), "effect must be NoSchedule, PreferNoSchedule or NoExecute");
        }
    }
}

fn check_probes(report: &mut Report, probes: &ProbesConfiguration) {
    const AT: &str = "spec.probes";
    for (name, probe) in [("startup", &probes.startup), ("readiness", &probes.readiness)] {
        if let Some(lag) = probe.as_ref().and_then(|probe| probe.maximum_lag.as_ref()) {
            report.rule(&format!("{AT}.{name}.maximumLag"), quantity::quantity(&lag.0));
        }
    }
    let thresholds = [
        ("startup", probes.startup.as_ref().and_then(|probe| probe.success_threshold)),
        ("liveness", probes.liveness.as_ref().and_then(|probe| probe.success_threshold)),
    ];
    for (name, threshold) in thresholds {
        if threshold.is_some_and(|threshold| threshold > 1) {
            report.invalid(&format!("{AT}.{name}.successThreshold"), "Kubernetes allows 1 alone for this probe");
        }
    }
}

/// Hugepages, and `shared_buffers` beside the memory that is asked for.
fn memory(report: &mut Report, spec: &ClusterSpec) {
    let none = BTreeMap::new();
    let resources = spec.resources.as_ref();
    let requests = resources.and_then(|resources| resources.requests.as_ref()).unwrap_or(&none);
    let limits = resources.and_then(|resources| resources.limits.as_ref()).unwrap_or(&none);
    let read = |size: &Quantity| quantity::quantity(&size.0).unwrap_or(0);
    let huge = |all: &BTreeMap<String, Quantity>| -> BTreeMap<String, u64> {
        let pages = all.iter().filter(|(name, _)| name.starts_with("hugepages-"));
        pages.map(|(name, size)| (name.clone(), read(size))).collect()
    };
    let (asked, allowed) = (huge(requests), huge(limits));
    for (name, size) in &asked {
        if allowed.get(name).is_some_and(|limit| limit != size) {
            report.invalid(&format!("spec.resources.requests.{name}"), "HugePages requests must equal the limits");
        }
    }
    let plain = ["cpu", "memory"].iter().any(|name| requests.contains_key(*name) || limits.contains_key(*name));
    let pages = !asked.is_empty() || !allowed.is_empty();
    if pages && !plain {
        report.invalid("spec.resources", "HugePages require cpu or memory");
    }
    let Some(postgresql) = &spec.postgresql else { return };
    let memory = requests.get("memory").map(|size| (size.0.as_str(), read(size)));
    let largest = asked.values().chain(allowed.values()).copied().max().unwrap_or(0);
    report.rule("spec.postgresql.parameters", sizes::buffers(&postgresql.parameters, memory, largest));
    let buffers = postgresql.parameters.get("shared_buffers");
    if buffers.is_some_and(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())) {
        report.push(
            Finding::new(
                Kind::Advice,
                "spec.postgresql.parameters.shared_buffers",
                "without a unit postgres counts blocks of 8 kB, and CNPG's checks count megabytes",
            )
            .hint("write a unit, such as 256MB"),
        );
    }
}
