//! Pods: the defaults of the API server and of its service-account admission.

use serde_json::{Map, Value, json};

use super::super::object::{as_map, default_field, list, map_mut, text};

/// Where programs look for their identity.
const ACCOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Fills in what is absent in the spec; on creation also status and the service account's volume.
pub fn apply_defaults(pod: &mut Value, creating: bool) {
    {
        let spec = map_mut(as_map(pod), "spec");
        for (field, value) in [
            ("restartPolicy", json!("Always")),
            ("dnsPolicy", json!("ClusterFirst")),
            ("terminationGracePeriodSeconds", json!(30)),
            ("schedulerName", json!("default-scheduler")),
            ("enableServiceLinks", json!(true)),
            ("preemptionPolicy", json!("PreemptLowerPriority")),
            ("priority", json!(0)),
            ("securityContext", json!({})),
            ("serviceAccountName", json!("default")),
        ] {
            default_field(spec, field, value);
        }
        let account = spec.get("serviceAccountName").cloned().unwrap_or(Value::Null);
        spec.insert("serviceAccount".into(), account);
        for field in ["containers", "initContainers"] {
            for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                default_container(as_map(container));
            }
        }
        for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
            default_volume(as_map(volume));
        }
    }
    if creating {
        mount_account(pod);
        let class = quality_class(pod);
        as_map(pod).insert("status".into(), json!({"phase": "Pending", "qosClass": class}));
    }
}

fn default_container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default();
    let latest = !tag.contains('@') && (!tag.contains(':') || tag.ends_with(":latest"));
    default_field(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    default_field(container, "terminationMessagePath", "/dev/termination-log");
    default_field(container, "terminationMessagePolicy", "File");
    default_field(container, "resources", json!({}));
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        default_field(as_map(port), "protocol", "TCP");
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Object(reference)) = variable.pointer_mut("/valueFrom/fieldRef") {
            default_field(reference, "apiVersion", "v1");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(Value::Object(probe)) = container.get_mut(probe) else { continue };
        for (field, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1)] {
            default_field(probe, field, value);
        }
        default_field(probe, "failureThreshold", 3);
        if let Some(Value::Object(get)) = probe.get_mut("httpGet") {
            default_field(get, "path", "/");
            default_field(get, "scheme", "HTTP");
        }
    }
    // A limit without a request is also the request.
    let limits = container.get("resources").and_then(|r| r.get("limits")).cloned();
    if let (Some(Value::Object(limits)), Some(resources)) = (limits, container.get_mut("resources")) {
        let requests = map_mut(as_map(resources), "requests");
        for (key, value) in limits {
            default_field(requests, &key, value);
        }
    }
}

fn default_volume(volume: &mut Map<String, Value>) {
    for kind in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(Value::Object(source)) = volume.get_mut(kind) {
            default_field(source, "defaultMode", 420);
        }
    }
    for source in volume
        .get_mut("projected")
        .and_then(|p| p.get_mut("sources"))
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(Value::Object(token)) = source.get_mut("serviceAccountToken") {
            default_field(token, "expirationSeconds", 3600);
        }
    }
}

/// Adds the projected volume with token, CA and namespace, unless the pod declines it or mounts its own.
fn mount_account(pod: &mut Value) {
    if pod.pointer("/spec/automountServiceAccountToken") == Some(&Value::Bool(false)) {
        return;
    }
    const VOLUME: &str = "kube-api-access";
    let spec = map_mut(as_map(pod), "spec");
    let mut mounted = false;
    for field in ["containers", "initContainers"] {
        for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if list(container, "/volumeMounts").iter().any(|mount| text(mount, "/mountPath") == ACCOUNT_PATH) {
                continue;
            }
            let mounts = as_map(container).entry("volumeMounts").or_insert_with(|| json!([]));
            if let Some(mounts) = mounts.as_array_mut() {
                mounts.push(json!({"name": VOLUME, "mountPath": ACCOUNT_PATH, "readOnly": true}));
                mounted = true;
            }
        }
    }
    if !mounted {
        return;
    }
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(json!({"name": VOLUME, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]}}));
    }
}

/// Guaranteed, Burstable or BestEffort, as the scheduler and `kubectl describe` understand them.
fn quality_class(pod: &Value) -> &'static str {
    let containers = list(pod, "/spec/containers");
    let both = |c: &Value| {
        ["cpu", "memory"].iter().all(|r| {
            let limit = c.pointer(&format!("/resources/limits/{r}"));
            limit.is_some() && limit == c.pointer(&format!("/resources/requests/{r}"))
        })
    };
    let none = |c: &Value| {
        ["requests", "limits"]
            .iter()
            .all(|kind| c.pointer(&format!("/resources/{kind}")).and_then(Value::as_object).is_none_or(Map::is_empty))
    };
    if containers.iter().all(none) {
        "BestEffort"
    } else if containers.iter().all(both) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
