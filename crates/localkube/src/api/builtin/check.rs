//! Validation of built-in objects: the few rules that a client here can run into.

use serde_json::Value;

use super::super::crd;
use super::super::error::Cause;
use super::super::names;
use super::super::object::{list, text};
use super::super::resource::GroupResource;

/// What is wrong with a new or changed object.
pub fn check_create(gr: &GroupResource, object: &Value) -> Vec<Cause> {
    match (gr.group.as_str(), gr.plural.as_str()) {
        ("", "pods") => check_pod(object),
        ("", "services") => check_service(object),
        ("", "persistentvolumeclaims") => {
            let mut causes = Vec::new();
            if object.pointer("/spec/resources/requests/storage").is_none() {
                causes.push(Cause::required("spec.resources[storage]"));
            }
            if list(object, "/spec/accessModes").is_empty() {
                causes.push(Cause::required("spec.accessModes"));
            }
            causes
        }
        ("storage.k8s.io", "storageclasses") if text(object, "/provisioner").is_empty() => {
            vec![Cause::required("provisioner")]
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => crd::check_definition(object),
        ("coordination.k8s.io", "leases") => check_lease(object),
        _ => Vec::new(),
    }
}

/// What may not change from the stored object to the new one, and what is wrong with the new one.
pub fn check_update(gr: &GroupResource, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = check_create(gr, new);
    match (gr.group.as_str(), gr.plural.as_str()) {
        ("", "pods") if fixed_part_of_pod(old) != fixed_part_of_pod(new) => {
            let why = "pod updates may not change fields other than `spec.containers[*].image`,\
                `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations`,\
                `spec.terminationGracePeriodSeconds`";
            causes.push(Cause::forbidden("spec", why));
        }
        ("", "secrets" | "configmaps") if old["immutable"] == true => {
            for field in ["data", "stringData", "binaryData", "immutable"] {
                if old.get(field) != new.get(field) {
                    causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
                }
            }
        }
        ("", "secrets") if old["type"] != new["type"] => {
            causes.push(Cause::invalid("type", &new["type"], "field is immutable"));
        }
        ("rbac.authorization.k8s.io", _) if old.get("roleRef") != new.get("roleRef") => {
            causes.push(Cause::invalid("roleRef", &new["roleRef"], "cannot change roleRef"));
        }
        _ => {}
    }
    causes
}

fn check_pod(pod: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if list(pod, "/spec/containers").is_empty() {
        causes.push(Cause::required("spec.containers"));
    }
    let volumes = list(pod, "/spec/volumes");
    for field in ["containers", "initContainers"] {
        for (index, container) in list(pod, &format!("/spec/{field}")).iter().enumerate() {
            for required in ["name", "image"] {
                if text(container, &format!("/{required}")).is_empty() {
                    causes.push(Cause::required(format!("spec.{field}[{index}].{required}")));
                }
            }
            let name = text(container, "/name");
            if !name.is_empty() && !names::is_label(name) {
                causes.push(Cause::invalid(format!("spec.{field}[{index}].name"), &container["name"], names::LABEL));
            }
            for (at, mount) in list(container, "/volumeMounts").iter().enumerate() {
                if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
                    let path = format!("spec.{field}[{index}].volumeMounts[{at}].name");
                    let message = format!("Not found: {}", mount["name"]);
                    causes.push(Cause { field: path, reason: "FieldValueNotFound", message });
                }
            }
        }
    }
    causes
}

fn check_service(service: &Value) -> Vec<Cause> {
    let headless = text(service, "/spec/clusterIP") == "None" || text(service, "/spec/type") == "ExternalName";
    let ports = list(service, "/spec/ports");
    let mut causes = Vec::new();
    if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports"));
    }
    for (index, port) in ports.iter().enumerate() {
        if ports.len() > 1 && text(port, "/name").is_empty() {
            causes.push(Cause::required(format!("spec.ports[{index}].name")));
        }
        if !port["port"].as_i64().is_some_and(|n| (1..=65535).contains(&n)) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{index}].port"), &port["port"], why));
        }
    }
    causes
}

fn check_lease(lease: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|n| n <= 0) {
        let why = "must be greater than 0";
        causes.push(Cause::invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], why));
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|n| n < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.leaseTransitions", &spec["leaseTransitions"], why));
    }
    causes
}

fn fixed_part_of_pod(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        // The node is filled in once by whoever schedules.
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"] {
            spec.remove(field);
        }
        for field in ["containers", "initContainers"] {
            for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.remove("image");
                    container.remove("imagePullPolicy");
                }
            }
        }
    }
    spec
}
