//! Defaults that the API server fills into built-in objects, by kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::object::{as_map, default_field, map_mut, meta_mut, name};
use super::super::resource::GroupResource;
use super::{super::crd, pod};

/// Fills in what is absent. `creating` also sets what a new object starts with, such as a phase.
pub fn apply_defaults(gr: &GroupResource, object: &mut Value, creating: bool) {
    match (gr.group.as_str(), gr.plural.as_str()) {
        ("", "namespaces") => namespace(object, creating),
        ("", "pods") => pod::apply_defaults(object, creating),
        ("", "secrets") => secret(object),
        ("", "persistentvolumeclaims") => claim(object, creating),
        ("", "persistentvolumes") => volume(object, creating),
        ("", "events") => event(object),
        ("storage.k8s.io", "storageclasses") => {
            let class = as_map(object);
            default_field(class, "reclaimPolicy", "Delete");
            default_field(class, "volumeBindingMode", "Immediate");
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            default_field(map_mut(as_map(object), "roleRef"), "apiGroup", "rbac.authorization.k8s.io");
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => crd::default_definition(object),
        _ => {}
    }
}

fn namespace(object: &mut Value, creating: bool) {
    let own_name = name(object).to_owned();
    map_mut(meta_mut(object), "labels").insert("kubernetes.io/metadata.name".into(), own_name.into());
    if creating {
        map_mut(as_map(object), "spec").insert("finalizers".into(), json!(["kubernetes"]));
        as_map(object).insert("status".into(), json!({"phase": "Active"}));
    }
}

/// `stringData` is write-only: it lands base64-encoded in `data`.
fn secret(object: &mut Value) {
    let secret = as_map(object);
    default_field(secret, "type", "Opaque");
    if let Some(Value::Object(plain)) = secret.remove("stringData") {
        let data = map_mut(secret, "data");
        for (key, value) in plain {
            data.insert(key, STANDARD.encode(value.as_str().unwrap_or_default()).into());
        }
    }
}

fn claim(object: &mut Value, creating: bool) {
    let claim = as_map(object);
    default_field(map_mut(claim, "spec"), "volumeMode", "Filesystem");
    if creating {
        claim.insert("status".into(), json!({"phase": "Pending"}));
    }
}

fn volume(object: &mut Value, creating: bool) {
    let volume = as_map(object);
    let spec = map_mut(volume, "spec");
    default_field(spec, "volumeMode", "Filesystem");
    default_field(spec, "persistentVolumeReclaimPolicy", "Retain");
    if creating {
        volume.insert("status".into(), json!({"phase": "Pending"}));
    }
}

fn event(object: &mut Value) {
    let event = as_map(object);
    default_field(event, "reportingComponent", "");
    default_field(event, "reportingInstance", "");
    default_field(event, "source", json!({}));
}
