//! The store's promises, each on a directory of its own.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::builtin::ClusterIps;
use super::super::lifecycle::DeleteOptions;
use super::super::selector::Selection;
use super::{At, ChangeKind, Gone, Listed, Page, Store, WatchStart};

#[derive(Default)]
struct Ips(Mutex<Vec<String>>);

impl ClusterIps for Ips {
    fn allocate(&self, _: &str, _: &str, wanted: Option<&str>) -> Result<String, String> {
        let mut used = self.0.lock().unwrap();
        let ip = wanted.map_or_else(|| format!("10.0.0.{}", used.len() + 1), str::to_owned);
        if used.contains(&ip) {
            return Err(format!("{ip} is taken"));
        }
        used.push(ip.clone());
        Ok(ip)
    }

    fn release(&self, ip: &str) {
        self.0.lock().unwrap().retain(|used| used != ip);
    }
}

fn open(directory: &Path) -> Store {
    let store = Store::open(directory, Arc::new(Ips::default())).unwrap();
    let _ = store.create("namespaces", "", json!({"metadata": {"name": "n"}}));
    store
}

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "1"}})
}

fn reason<T: std::fmt::Debug>(result: Result<T, super::ApiError>) -> &'static str {
    result.unwrap_err().reason
}

#[test]
fn a_restart_forgets_nothing_and_never_reuses_a_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let kept = store.create("configmaps", "n", map("kept")).unwrap();
    store.create("configmaps", "n", map("gone")).unwrap();
    store.delete("configmaps", "n", "gone", &DeleteOptions::default()).unwrap();
    let version = store.version();
    drop(store);
    let mut journal = std::fs::OpenOptions::new().append(true).open(directory.path().join("journal.jsonl")).unwrap();
    journal.write_all(b"{\"version\":99,\"plural\":\"configm").unwrap();
    let store = open(directory.path());
    assert_eq!(store.version(), version, "a torn last line was never answered");
    assert_eq!(store.get("configmaps", "n", "kept").unwrap(), kept);
    assert_eq!(reason(store.get("configmaps", "n", "gone")), "NotFound");
    assert_eq!(reason(store.watch("configmaps", None, WatchStart::After(version - 1)).map(|_| ())), "Expired");
}

#[test]
fn a_write_decided_on_an_older_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let first = store.create("configmaps", "n", map("m")).unwrap();
    assert_eq!(reason(store.create("configmaps", "n", map("m"))), "AlreadyExists");
    let mut change = (*first).clone();
    change["data"]["a"] = json!("2");
    let second = store.update("configmaps", change.clone()).unwrap();
    assert_eq!(reason(store.update("configmaps", change)), "Conflict");
    let unchanged = store.update("configmaps", (*second).clone()).unwrap();
    assert_eq!(unchanged, second, "a write that changes nothing makes no version");
    assert_eq!(reason(store.create("configmaps", "absent", map("m"))), "NotFound");
    let mut other = (*second).clone();
    other["metadata"]["uid"] = json!("another");
    assert_eq!(reason(store.update("configmaps", other)), "Conflict");
}

#[test]
fn a_lease_is_changed_only_by_whoever_saw_its_current_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let leases = "leases.coordination.k8s.io";
    let lease = store.create(leases, "n", json!({"metadata": {"name": "l"}, "spec": {}})).unwrap();
    let mut blind = (*lease).clone();
    blind["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(reason(store.update(leases, blind)), "Invalid");
    let mut take = (*lease).clone();
    take["spec"]["holderIdentity"] = json!("c-1");
    take["spec"]["renewTime"] = json!("2026-01-01T00:00:00.000000Z");
    let taken = store.update(leases, take.clone()).unwrap();
    assert_eq!(taken["spec"]["holderIdentity"], "c-1");
    assert_eq!(reason(store.update(leases, take)), "Conflict");
    store.delete(leases, "n", "l", &DeleteOptions::default()).unwrap();
    assert_eq!(reason(store.update(leases, (*taken).clone())), "Conflict", "a UID is a precondition");
}

#[test]
fn a_watch_sees_every_change_once_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create("configmaps", "n", map("old")).unwrap();
    let mut watch = store.watch("configmaps", Some("n"), WatchStart::Everything).unwrap();
    store.create("configmaps", "n", map("new")).unwrap();
    store.merge("configmaps", "n", "new", &json!({"data": {"a": "2"}})).unwrap();
    store.create("secrets", "n", json!({"metadata": {"name": "unseen"}})).unwrap();
    store.delete("configmaps", "n", "old", &DeleteOptions::default()).unwrap();
    let mut seen = Vec::new();
    while let Some((kind, object)) = watch.try_next().unwrap() {
        seen.push((kind, object["metadata"]["name"].as_str().unwrap().to_owned()));
    }
    let expected = [
        (ChangeKind::Added, "old"),
        (ChangeKind::Added, "new"),
        (ChangeKind::Modified, "new"),
        (ChangeKind::Deleted, "old"),
    ];
    assert_eq!(seen, expected.map(|(kind, name)| (kind, name.to_owned())));
}

#[test]
fn a_running_pod_goes_when_its_node_says_so_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
    store.create("pods", "n", pod.clone()).unwrap();
    let (_, gone) = store.delete("pods", "n", "p", &DeleteOptions::default()).unwrap();
    assert!(gone, "no node has it");
    store.create("pods", "n", pod).unwrap();
    store.merge("pods", "n", "p", &json!({"spec": {"nodeName": "local"}})).unwrap();
    let (marked, gone) = store.delete("pods", "n", "p", &DeleteOptions::default()).unwrap();
    assert!(!gone);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let uid = marked["metadata"]["uid"].as_str().map(str::to_owned);
    let wrong = DeleteOptions { grace: Some(0), uid: Some("other".into()), ..DeleteOptions::default() };
    assert_eq!(reason(store.delete("pods", "n", "p", &wrong)), "Conflict");
    let right = DeleteOptions { grace: Some(0), uid, ..DeleteOptions::default() };
    assert!(store.delete("pods", "n", "p", &right).unwrap().1);
    assert_eq!(reason(store.get("pods", "n", "p")), "NotFound");
}

#[test]
fn dependents_follow_their_owner_unless_they_are_orphaned() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for (orphan, left) in [(false, 0), (true, 1)] {
        let owner = store.create("configmaps", "n", map("owner")).unwrap();
        let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
            "uid": owner["metadata"]["uid"]}]);
        let owned = json!({"metadata": {"name": "owned", "labels": {"x": "y"}, "ownerReferences": reference}});
        store.create("secrets", "n", owned.clone()).unwrap();
        let options = DeleteOptions { orphan, ..DeleteOptions::default() };
        store.delete("configmaps", "n", "owner", &options).unwrap();
        assert_eq!(store.list("secrets", Some("n"), "x=y").unwrap().items.len(), left);
    }
}

#[test]
fn finalizers_hold_an_object_until_the_last_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let held = json!({"metadata": {"name": "held", "finalizers": ["a/b"]}});
    store.create("configmaps", "n", held).unwrap();
    assert!(!store.delete("configmaps", "n", "held", &DeleteOptions::default()).unwrap().1);
    let more = store.merge("configmaps", "n", "held", &json!({"metadata": {"finalizers": ["a/b", "c/d"]}}));
    assert_eq!(reason(more), "Invalid");
    store.merge("configmaps", "n", "held", &json!({"metadata": {"finalizers": null}})).unwrap();
    assert_eq!(reason(store.get("configmaps", "n", "held")), "NotFound");
}

#[test]
fn a_namespace_goes_when_it_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let held = json!({"metadata": {"name": "held", "finalizers": ["a/b"]}});
    store.create("configmaps", "n", held).unwrap();
    store.delete("namespaces", "", "n", &DeleteOptions::default()).unwrap();
    assert_eq!(store.get("namespaces", "", "n").unwrap()["status"]["phase"], "Terminating");
    assert_eq!(reason(store.create("configmaps", "n", map("late"))), "Forbidden");
    store.merge("configmaps", "n", "held", &json!({"metadata": {"finalizers": null}})).unwrap();
    assert_eq!(reason(store.get("namespaces", "", "n")), "NotFound");
}

#[test]
fn a_definition_brings_its_resource_and_takes_it_away_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let things = "things.a.io";
    assert_eq!(reason(store.list(things, None, "")), "NotFound");
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer", "default": 1}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
    let definition = json!({"metadata": {"name": things}, "spec": {"group": "a.io", "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"}, "versions": [{"name": "v1", "served": true, "storage": true,
        "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}]}});
    let stored = store.create("customresourcedefinitions.apiextensions.k8s.io", "", definition).unwrap();
    assert_eq!(stored["status"]["conditions"][1]["type"], "Established");
    let thing = json!({"metadata": {"name": "t"}, "spec": {"odd": true}, "status": {"ignored": true}});
    let thing = store.create(things, "n", thing).unwrap();
    assert_eq!((&thing["spec"], &thing["status"]), (&json!({"size": 1}), &Value::Null));
    let thing = store.merge_status(things, "n", "t", &json!({"status": {"seen": 1}, "spec": {"size": 9}})).unwrap();
    assert_eq!((&thing["spec"]["size"], &thing["metadata"]["generation"]), (&json!(1), &json!(1)));
    let thing = store.merge(things, "n", "t", &json!({"status": null, "spec": {"size": 9}})).unwrap();
    assert_eq!((&thing["status"]["seen"], &thing["metadata"]["generation"]), (&json!(1), &json!(2)));
    assert_eq!(reason(store.merge(things, "n", "t", &json!({"spec": {"size": "big"}}))), "Invalid");
    let all = DeleteOptions::default();
    store.delete("customresourcedefinitions.apiextensions.k8s.io", "", things, &all).unwrap();
    assert_eq!(reason(store.list(things, None, "")), "NotFound");
}

#[test]
fn a_service_gets_an_ip_keeps_it_and_gives_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let service = |name: &str| json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 5432}]}});
    let first = store.create("services", "n", service("a")).unwrap();
    assert_eq!(first["spec"]["clusterIP"], "10.0.0.1");
    assert_eq!(first["spec"]["ports"][0]["targetPort"], 5432);
    let mut blind = service("a");
    blind["metadata"]["namespace"] = json!("n");
    blind["spec"]["selector"] = json!({"role": "primary"});
    assert_eq!(store.update("services", blind).unwrap()["spec"]["clusterIP"], "10.0.0.1");
    store.delete("services", "n", "a", &DeleteOptions::default()).unwrap();
    assert_eq!(store.create("services", "n", service("b")).unwrap()["spec"]["clusterIP"], "10.0.0.1");
}

#[test]
fn a_list_comes_in_pages_of_one_version_until_that_has_left_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for name in ["a", "b", "c"] {
        store.create("configmaps", "n", map(name)).unwrap();
    }
    let info = store.resource("configmaps").unwrap();
    let page = |at, after: Option<&(String, String)>, limit| {
        store.page_in(&info, Some("n"), &Selection::default(), &Page { at, after: after.cloned(), limit })
    };
    let names = |listed: &Listed| -> Vec<String> {
        listed.items.iter().map(|object| super::super::object::name(object).to_owned()).collect()
    };
    let first = page(At::Now, None, Some(2)).unwrap();
    let rest = first.rest.clone().unwrap();
    assert_eq!((names(&first), rest.count), (vec!["a".to_owned(), "b".to_owned()], Some(1)));
    store.delete("configmaps", "n", "c", &DeleteOptions::default()).unwrap();
    store.create("configmaps", "n", map("d")).unwrap();
    let of_then = page(At::Exactly(first.version), Some(&rest.after), None).unwrap();
    assert_eq!((names(&of_then), of_then.version, of_then.rest), (vec!["c".to_owned()], first.version, None));
    assert_eq!(names(&page(At::Now, Some(&rest.after), None).unwrap()), ["d"]);
    store.forget_history();
    assert!(matches!(page(At::Exactly(first.version), Some(&rest.after), None), Err(Gone::Expired)));
    let future = page(At::NotOlderThan(store.version() + 1), None, None);
    assert!(matches!(future, Err(Gone::Refused(error)) if error.code == 504));
}
