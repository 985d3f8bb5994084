//! Whether a pod is as it would be made today. What is compared is the spec that it was made from, which its
//! annotation has (CNPG's `cnpg.io/podSpec`): the API server's defaults and admission hooks change the stored one.

use crate::apply::{Blueprint, pod_spec};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::ResourceExt;
use pgherd_core::cluster::serial_of;
use pgherd_proto::{labels, names};
use serde_json::Value;
use std::sync::Arc;

/// What of `pod` is not as it is wanted, in words. A pod without the annotation is left as it is.
#[must_use]
pub fn outdated(pod: &Pod, blueprint: Blueprint<'_>, restarted_at: Option<&str>) -> Option<String> {
    let serial = serial_of(&blueprint.desired.name, &pod.name_any())?;
    let made = pod.annotations().get(labels::POD_SPEC)?;
    let wanted = pod_spec(blueprint, serial);
    let asked = restarted_at.filter(|at| pod.annotations().get(labels::RESTARTED_AT).map(String::as_str) != Some(at));
    // Most are the same to the letter: nothing of them has to be understood.
    let same = serde_json::to_string(&wanted).is_ok_and(|wanted| wanted == *made);
    let differs = match same {
        true => None,
        false => difference("spec", &serde_json::from_str(made).ok()?, &serde_json::to_value(wanted).ok()?),
    };
    differs
        .map(|path| format!("{path} has changed"))
        .or_else(|| asked.map(|at| format!("a restart was asked for at {at}")))
}

/// The manager's image that the newest of `pods` was made with: what the controller that runs has been told.
#[must_use]
pub fn manager_image_of(pods: &[Arc<Pod>]) -> Option<String> {
    let newest_first = |pod: &&Arc<Pod>| core::cmp::Reverse(pod.creation_timestamp().map(|at| at.0));
    let mut pods: Vec<&Arc<Pod>> = pods.iter().collect();
    pods.sort_by_key(newest_first);
    pods.into_iter().find_map(|pod| {
        let made: PodSpec = serde_json::from_str(pod.annotations().get(labels::POD_SPEC)?).ok()?;
        let bootstrap = |container: &Container| container.name == names::BOOTSTRAP_CONTAINER;
        made.init_containers?.into_iter().find(bootstrap)?.image
    })
}

/// The path of the first difference.
fn difference(path: &str, made: &Value, wanted: &Value) -> Option<String> {
    match (made, wanted) {
        (Value::Object(made), Value::Object(wanted)) => {
            let keys: std::collections::BTreeSet<&String> = made.keys().chain(wanted.keys()).collect();
            keys.into_iter().find_map(|key| {
                let at = format!("{path}.{key}");
                difference(&at, made.get(key).unwrap_or(&Value::Null), wanted.get(key).unwrap_or(&Value::Null))
            })
        }
        (Value::Array(made), Value::Array(wanted)) if made.len() == wanted.len() => {
            made.iter().zip(wanted).find_map(|(made, wanted)| {
                let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
                difference(&format!("{path}[{name}]"), made, wanted)
            })
        }
        _ => (made != wanted).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::desired::desired;
    use pgherd_proto::cluster::{Cluster, ClusterSpec};
    use serde_json::json;

    fn cluster(image: &str) -> Cluster {
        Cluster::new("c", ClusterSpec { image_name: Some(image.into()), ..ClusterSpec::default() })
    }

    fn pod(annotations: &Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "c-1", "annotations": annotations } })).unwrap()
    }

    fn judge(pod: &Pod, image: &str, restarted_at: Option<&str>) -> Option<String> {
        let cluster = cluster(image);
        let (desired, config) = (
            desired(&cluster, &cluster.spec),
            Config { manager_image: "m".into(), status_port: 1, ..Config::default() },
        );
        outdated(pod, Blueprint { spec: &cluster.spec, desired: &desired, config: &config }, restarted_at)
    }

    fn made(image: &str) -> String {
        let cluster = cluster(image);
        let (desired, config) = (
            desired(&cluster, &cluster.spec),
            Config { manager_image: "m".into(), status_port: 1, ..Config::default() },
        );
        let spec = pod_spec(Blueprint { spec: &cluster.spec, desired: &desired, config: &config }, 1);
        serde_json::to_string(&spec).unwrap()
    }

    #[test]
    fn a_pod_is_outdated_once_its_image_is_and_the_path_is_named() {
        let old = pod(&json!({ labels::POD_SPEC: made("pg:15") }));
        assert_eq!(judge(&old, "pg:15", None), None);
        assert_eq!(judge(&old, "pg:16", None).as_deref(), Some("spec.containers[postgres].image has changed"));
    }

    #[test]
    fn the_managers_image_is_that_of_the_newest_pod_which_says_what_it_was_made_from() {
        let pod = |at: &str, image: Option<&str>| -> Arc<Pod> {
            let spec = json!({ "containers": [], "initContainers": [
                { "name": "other", "image": "x" }, { "name": names::BOOTSTRAP_CONTAINER, "image": image } ] });
            let annotations = image.map(|_| json!({ labels::POD_SPEC: spec.to_string() }));
            serde_json::from_value(json!({ "metadata": { "creationTimestamp": at, "annotations": annotations } }))
                .unwrap()
        };
        let (old, new) = (pod("2026-01-01T00:00:00Z", Some("m:1")), pod("2026-01-02T00:00:00Z", Some("m:2")));
        let silent = pod("2026-01-03T00:00:00Z", None);
        assert_eq!(manager_image_of(&[old.clone(), new.clone(), silent.clone()]).as_deref(), Some("m:2"));
        assert_eq!(manager_image_of(&[new, old, silent.clone()]).as_deref(), Some("m:2"));
        assert_eq!(manager_image_of(&[silent]), None);
    }

    #[test]
    fn a_restart_that_was_asked_for_is_due_until_the_pod_was_made_with_it() {
        let old = pod(&json!({ labels::POD_SPEC: made("pg:15"), labels::RESTARTED_AT: "monday" }));
        assert_eq!(judge(&old, "pg:15", Some("monday")), None);
        assert!(judge(&old, "pg:15", Some("tuesday")).is_some_and(|why| why.contains("tuesday")));
        assert_eq!(judge(&old, "pg:15", None), None);
    }

    #[test]
    fn a_pod_that_does_not_say_what_it_was_made_from_is_left_alone() {
        assert_eq!(judge(&pod(&json!({})), "pg:16", Some("now")), None);
    }
}
