//! The real kubectl, and the client that manager and controller use, against the small API server.

mod answers;
mod server;

use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use serde_json::json;
use server::{Running, THINGS};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: db}}
spec:
  containers:
  - {name: main, image: "postgres:15", ports: [{containerPort: 5432, name: pg}], env: [{name: A, value: "1"}]}
"#;

const THING: &str = r#"
apiVersion: a.io/v1
kind: Thing
metadata: {name: t}
spec: {size: 3, note: hello}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_gets_describes_and_deletes_built_in_objects() {
    let server = Running::start().await;
    assert!(server.kubectl(&["apply", "-f", "-"], POD).await.contains("pod/p created"));
    assert!(server.kubectl(&["apply", "-f", "-"], POD).await.contains("pod/p unchanged"));
    let newer = POD.replace("postgres:15", "postgres:16").replace("app: db", "app: db, tier: data");
    assert!(server.kubectl(&["apply", "-f", "-"], &newer).await.contains("pod/p configured"));
    let table = server.kubectl(&["get", "pods", "--show-labels"], "").await;
    assert!(table.contains("NAME") && table.contains("0/1") && table.contains("Pending"), "{table}");
    assert!(table.contains("tier=data"), "{table}");
    assert!(server.kubectl(&["get", "all", "-A"], "").await.contains("pod/p"));
    let told = server.kubectl(&["describe", "pod", "p"], "").await;
    assert!(told.contains("postgres:16") && told.contains("A:  1"), "{told}");
    server.kubectl(&["label", "pod", "p", "app=other", "--overwrite"], "").await;
    server.kubectl(&["annotate", "pod", "p", "note=x"], "").await;
    let found = server.kubectl(&["get", "pods", "-l", "app=other", "-o", "name"], "").await;
    assert_eq!(found.trim(), "pod/p");
    let image = server.kubectl(&["get", "pod", "p", "-o", "jsonpath={.spec.containers[0].image}"], "").await;
    assert_eq!(image, "postgres:16");
    let refused = server.refused(&["apply", "-f", "-"], &POD.replace("image:", "imagee: x, image:")).await;
    assert!(refused.contains("unknown field \"spec.containers[0].imagee\""), "{refused}");
    assert!(server.kubectl(&["create", "secret", "generic", "s", "--from-literal=a=b"], "").await.contains("created"));
    assert!(server.kubectl(&["describe", "secret", "s"], "").await.contains("a:  1 bytes"));
    assert!(server.kubectl(&["auth", "can-i", "delete", "pods"], "").await.contains("yes"));
    assert!(server.kubectl(&["create", "token", "default"], "").await.starts_with("ey"));
    assert!(server.kubectl(&["api-resources"], "").await.contains("poddisruptionbudgets"));
    assert!(server.kubectl(&["delete", "pod", "p"], "").await.contains("deleted"));
    assert!(server.refused(&["get", "pod", "p"], "").await.contains("(NotFound)"));
    server.kubectl(&["create", "namespace", "other"], "").await;
    server.kubectl(&["delete", "namespace", "other"], "").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_with_custom_resources() {
    let server = Running::start().await;
    assert!(server.kubectl(&["apply", "-f", "-"], THINGS).await.contains("created"));
    server.kubectl(&["wait", "--for=condition=Established", "crd/things.a.io", "--timeout=10s"], "").await;
    assert!(server.kubectl(&["apply", "-f", "-"], THING).await.contains("thing.a.io/t created"));
    assert!(server.kubectl(&["apply", "-f", "-"], &THING.replace("hello", "bye")).await.contains("configured"));
    let table = server.kubectl(&["get", "things"], "").await;
    let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((cells[0], cells[1], cells[2]), ("t", "3", "bye"), "{table}");
    assert!(server.kubectl(&["scale", "thing/t", "--replicas=5"], "").await.contains("scaled"));
    assert_eq!(server.kubectl(&["get", "tng", "t", "-o", "jsonpath={.spec.size}"], "").await, "5");
    let told = server.kubectl(&["describe", "thing", "t"], "").await;
    assert!(told.contains("Size:  5"), "{told}");
    assert!(server.kubectl(&["explain", "thing.spec"], "").await.contains("size"));
    let refused = server.refused(&["apply", "-f", "-"], &THING.replace("size: 3", "size: 0")).await;
    assert!(refused.contains("spec.size") && refused.contains("greater than or equal to 1"), "{refused}");
    let refused = server.refused(&["apply", "-f", "-"], &THING.replace("note:", "nota:")).await;
    assert!(refused.contains("unknown field \"spec.nota\""), "{refused}");
    let status = r#"{"status":{"phase":"Ready"}}"#;
    server.kubectl(&["patch", "thing", "t", "--subresource=status", "--type=merge", "-p", status], "").await;
    server.kubectl(&["wait", "--for=jsonpath={.status.phase}=Ready", "thing/t", "--timeout=10s"], "").await;
    assert!(server.kubectl(&["delete", "-f", "-"], THING).await.contains("deleted"));
    assert!(server.kubectl(&["delete", "crd", "things.a.io"], "").await.contains("deleted"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_watches_and_waits_for_what_happens_later() {
    let server = Running::start().await;
    let arguments = ["get", "configmaps", "--watch", "--output-watch-events", "-o", "name", "--request-timeout=60s"];
    let mut watch = server.spawn(&arguments);
    server.until_line(&mut watch, "kube-root-ca.crt").await;
    server.kubectl(&["create", "configmap", "late", "--from-literal=a=b"], "").await;
    server.until_line(&mut watch, "late").await;
    watch.kill().await.unwrap();
    let waiting = server.kubectl(&["wait", "--for=delete", "configmap/late", "--timeout=20s"], "");
    let deleting = async { server.kubectl(&["delete", "configmap", "late"], "").await };
    let (waited, deleted) = tokio::join!(waiting, deleting);
    assert!(waited.contains("late") || waited.is_empty(), "{waited}");
    assert!(deleted.contains("deleted"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_follows_the_store_and_survives_a_restart_of_the_server() {
    use k8s_openapi::api::core::v1::ConfigMap;
    let server = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    let (reader, writer) = reflector::store();
    let stream = reflector::reflector(writer, watcher(maps.clone(), watcher::Config::default())).default_backoff();
    let task = tokio::spawn(stream.for_each(|_| async {}));
    let map = |name: &str| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a": "1"}})).unwrap()
    };
    maps.create(&PostParams::default(), &map("one")).await.unwrap();
    server.until(|| reader.state().iter().any(|m| m.metadata.name.as_deref() == Some("one"))).await;
    let server = server.restart().await;
    server.until_async(async || maps.create(&PostParams::default(), &map("two")).await.is_ok()).await;
    server.until(|| reader.state().iter().any(|m| m.metadata.name.as_deref() == Some("two"))).await;
    maps.delete("one", &DeleteParams::default()).await.unwrap();
    server.until(|| reader.state().iter().all(|m| m.metadata.name.as_deref() != Some("one"))).await;
    task.abort();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_meets_conflicts_patches_and_unknown_tokens_as_in_a_cluster() {
    use k8s_openapi::api::coordination::v1::Lease;
    use pgherd_localkube::api::Cut;
    let server = Running::start().await;
    let leases: Api<Lease> = Api::default_namespaced(server.client().await);
    let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {}})).unwrap();
    let mut first = leases.create(&PostParams::default(), &lease).await.unwrap();
    let mut second = first.clone();
    first.spec.get_or_insert_default().holder_identity = Some("a".into());
    second.spec.get_or_insert_default().holder_identity = Some("b".into());
    leases.replace("l", &PostParams::default(), &first).await.unwrap();
    let lost = leases.replace("l", &PostParams::default(), &second).await.unwrap_err();
    assert!(matches!(&lost, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"), "{lost:?}");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"x": "y"}}}));
    let patched = leases.patch("l", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.annotations.unwrap()["x"], "y");
    let applied = Patch::Apply(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "m"}, "spec": {"holderIdentity": "c"}}));
    let applied = leases.patch("m", &PatchParams::apply("test"), &applied).await.unwrap();
    assert_eq!(applied.spec.unwrap().holder_identity.as_deref(), Some("c"));
    assert_eq!(leases.list(&ListParams::default()).await.unwrap().items.len(), 2);
    let stranger: Api<Lease> = Api::default_namespaced(server.client_with_token("wrong"));
    let refused = stranger.get("l").await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 401), "{refused:?}");
    let friend: Api<Lease> = Api::default_namespaced(server.client_with_token("secret"));
    friend.get("l").await.unwrap();

    server.faults().fail_next(1, 500);
    assert!(friend.get("l").await.is_err());
    friend.get("l").await.unwrap();
    server.faults().cut_client("127.0.0.1".parse().unwrap(), Cut::Reset);
    // A connection that is open already is reset by its own task, which may be busy with a request.
    server.until_async(async || friend.get("l").await.is_err()).await;
    assert!(friend.get("l").await.is_err(), "it stays so");
    server.faults().cut_client("127.0.0.1".parse().unwrap(), Cut::Silent);
    let hung = tokio::time::timeout(Duration::from_millis(300), friend.get("l")).await;
    assert!(hung.is_err(), "nothing moves on a silent connection");
    server.faults().heal();
    server.until_async(async || friend.get("l").await.is_ok()).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_manifests_are_applied_as_they_are() {
    let server = Running::start().await;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    server.kubectl(&["apply", "-f", &format!("{root}/proto/crds")], "").await;
    server.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=10s"], "").await;
    server.kubectl(&["create", "namespace", "phoenix-guardian"], "").await;
    let cluster = format!("{root}/docs/examples/cluster.yaml");
    assert!(server.kubectl(&["apply", "-f", &cluster], "").await.contains("created"));
    assert!(server.kubectl(&["apply", "-f", &cluster], "").await.contains("unchanged"));
    let backup = format!("{root}/docs/examples/scheduledbackup.yaml");
    assert!(server.kubectl(&["apply", "-f", &backup], "").await.contains("created"));
    let arguments = ["-n", "phoenix-guardian", "scale", "cluster/phoenix-guardian-db", "--replicas=2"];
    server.kubectl(&arguments, "").await;
    let instances = ["-n", "phoenix-guardian", "get", "cluster", "-o", "jsonpath={.items[0].spec.instances}"];
    assert_eq!(server.kubectl(&instances, "").await, "2");
    assert!(server.kubectl(&["get", "clusters", "-A"], "").await.contains("phoenix-guardian-db"));
    assert!(server.kubectl(&["delete", "-f", &cluster], "").await.contains("deleted"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_allows_bookmarks_has_one_with_its_version_before_it_ends_and_another_has_none() {
    let server = Running::start().await;
    let client = server.client().await;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(client);
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let map = |name: &str| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    maps.create(&PostParams::default(), &map("seen")).await.unwrap();
    let watched = async |params: WatchParams| {
        let stream = maps.watch(&params.timeout(3), &from).await.unwrap();
        stream.map(Result::unwrap).collect::<Vec<WatchEvent<_>>>().await
    };
    let allowed = WatchParams { bookmarks: true, ..WatchParams::default() };
    let plain = WatchParams { bookmarks: false, ..WatchParams::default() };
    // Together: each lasts as long as it is told to.
    let (with, without) = tokio::join!(watched(allowed), watched(plain));
    let [WatchEvent::Added(seen), WatchEvent::Bookmark(mark)] = with.as_slice() else { panic!("{with:?}") };
    assert_eq!(mark.metadata.resource_version, seen.metadata.resource_version.clone().unwrap(), "of all that was told");
    assert_eq!((mark.types.api_version.as_str(), mark.types.kind.as_str()), ("v1", "ConfigMap"));
    assert!(matches!(without.as_slice(), [WatchEvent::Added(_)]), "{without:?}");

    maps.create(&PostParams::default(), &map("later")).await.unwrap();
    let stream = maps.watch(&WatchParams::default().timeout(1), &mark.metadata.resource_version).await.unwrap();
    let after: Vec<_> = stream.map(Result::unwrap).collect().await;
    let [WatchEvent::Added(later)] = after.as_slice() else { panic!("{after:?}") };
    assert_eq!(later.metadata.name.as_deref(), Some("later"), "nothing again, nothing left out");
    server.stop().await;
}
