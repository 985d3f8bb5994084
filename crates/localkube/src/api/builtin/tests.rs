//! Tables for the rules of built-in kinds.

use serde_json::json;

use super::super::resource::GroupResource;
use super::{apply_defaults, check_create, check_update, event_as_core, event_as_events, normalise};

#[test]
fn unknown_fields_of_built_in_kinds_are_dropped_and_wrong_types_refused() {
    let pods = GroupResource::new("", "pods");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": "i", "imagee": "x"}]}});
    let (kept, dropped) = normalise(&pods, pod).unwrap();
    assert_eq!(dropped, ["spec.containers[0].imagee"]);
    assert_eq!(kept["spec"]["containers"][0]["image"], "i");
    assert!(normalise(&pods, json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": "x"}})).is_err());
}

#[test]
fn a_pod_gets_the_servers_defaults_and_its_service_account() {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "i:1",
        "readinessProbe": {"httpGet": {"port": 8000}}}]}});
    apply_defaults(&GroupResource::new("", "pods"), &mut pod, true);
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 30);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["readinessProbe"]["failureThreshold"], 3);
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["path"], "token");
    assert!(check_create(&GroupResource::new("", "pods"), &pod).is_empty());
}

#[test]
fn plain_secret_data_is_stored_encoded() {
    let mut secret = json!({"stringData": {"password": "abc"}});
    apply_defaults(&GroupResource::new("", "secrets"), &mut secret, true);
    assert_eq!(secret, json!({"type": "Opaque", "data": {"password": "YWJj"}}));
}

#[test]
fn the_spec_of_a_pod_stays_as_it_was_made() {
    let pods = GroupResource::new("", "pods");
    let old = json!({"spec": {"containers": [{"name": "a", "image": "i", "args": ["x"]}]}});
    let mut image = old.clone();
    image["spec"]["containers"][0]["image"] = json!("j");
    assert!(check_update(&pods, &old, &image).is_empty());
    let mut args = old.clone();
    args["spec"]["containers"][0]["args"] = json!(["y"]);
    assert_eq!(check_update(&pods, &old, &args).len(), 1);
}

#[test]
fn events_are_the_same_in_both_groups() {
    let new = json!({"apiVersion": "events.k8s.io/v1", "regarding": {"name": "c"}, "note": "hello"});
    let core = event_as_core(new.clone());
    assert_eq!(core, json!({"apiVersion": "v1", "involvedObject": {"name": "c"}, "message": "hello"}));
    assert_eq!(event_as_events(core), new);
}
