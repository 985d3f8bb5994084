//! The calls that the controller and the managers make, with the client that they make them with, and what comes back:
//! one line each, without what differs from run to run.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
    Preconditions, WatchEvent, WatchParams,
};
use kube::{Client, Error};
use serde::Serialize;
use serde_json::{Value, json};

pub const NAMESPACE: &str = "dialogue";

/// What was said so far.
pub struct Dialogue {
    client: Client,
    lines: Vec<String>,
}

const CLUSTERS: (&str, &str) = ("postgresql.cnpg.io", "Cluster");
const LEASES: (&str, &str) = ("coordination.k8s.io", "Lease");

/// The whole of it, in a namespace that is there.
pub async fn hold(client: Client) -> Vec<String> {
    let mut dialogue = Dialogue { client, lines: Vec::new() };
    dialogue.leases().await;
    dialogue.clusters().await;
    dialogue.pods().await;
    dialogue.others().await;
    dialogue.watches().await;
    dialogue.lines
}

fn at(object: &Value, path: &str) -> Value {
    object.pointer(path).cloned().unwrap_or_default()
}

fn version(object: &DynamicObject) -> String {
    object.metadata.resource_version.clone().unwrap_or_default()
}

fn object(text: Value) -> DynamicObject {
    serde_json::from_value(text).unwrap()
}

impl Dialogue {
    fn objects(&self, (group, kind): (&str, &str)) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    /// Takes down an answer: of an object these fields, of a refusal all that our code could look at.
    fn said<T: Serialize>(&mut self, what: &str, answer: Result<T, Error>, fields: &[&str]) -> Option<T> {
        let (line, value) = match answer {
            Ok(value) => {
                let object = serde_json::to_value(&value).unwrap();
                let shown: Vec<String> = fields.iter().map(|path| format!("{path}={}", at(&object, path))).collect();
                (format!("{what}: ok {}", shown.join(" ")), Some(value))
            }
            Err(Error::Api(status)) => (format!("{what}: {} {} {}", status.code, status.reason, status.message), None),
            Err(error) => (format!("{what}: {error}"), None),
        };
        self.lines.push(steady(&line));
        value
    }

    /// The compare-and-swap that everything rests on.
    async fn leases(&mut self) {
        let leases = self.objects(LEASES);
        let (post, params) = (PostParams::default(), PatchParams::default());
        let lease = |holder: &str, version: Option<&str>| {
            let metadata = json!({"name": "c", "resourceVersion": version, "finalizers": ["pgherd.io/lease"]});
            object(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
                "spec": {"holderIdentity": holder, "leaseDurationSeconds": 8, "renewTime": "2026-01-01T00:00:00.000001Z"}}))
        };
        self.said("get no lease", leases.get("c").await, &[]);
        let first = self.said("create a lease", leases.create(&post, &lease("a", None)).await, &["/spec"]).unwrap();
        self.said("create it again", leases.create(&post, &lease("b", None)).await, &[]);
        let old = version(&first);
        let taken =
            self.said("take it", leases.replace("c", &post, &lease("b", Some(&old))).await, &["/spec"]).unwrap();
        self.said("take it over an old version", leases.replace("c", &post, &lease("c", Some(&old))).await, &[]);
        self.said("take it over none", leases.replace("c", &post, &lease("c", None)).await, &[]);
        self.said(
            "take one that is not there",
            leases
                .replace("none", &post, &{
                    let mut none = lease("c", Some(&old));
                    none.metadata.name = Some("none".to_owned());
                    none.metadata.finalizers = None;
                    none
                })
                .await,
            &["/spec/holderIdentity"],
        );
        let now = version(&taken);
        let same = self.said("write the same", leases.replace("c", &post, &lease("b", Some(&now))).await, &[]).unwrap();
        let unchanged = version(&same) == now;
        self.lines.push(format!("the same is no new version: {unchanged}"));
        let stale = Patch::Merge(json!({"metadata": {"resourceVersion": old, "annotations": {"a": "b"}}}));
        self.said("patch over an old version", leases.patch("c", &params, &stale).await, &[]);
        let by_name = ListParams::default().fields("metadata.name=c");
        let found = leases.list(&by_name).await.map(|list| list.items.len());
        self.said("list by name", found.map(|count| json!({"count": count})), &["/count"]);
        let gone = leases.delete("c", &DeleteParams::default()).await.map(|either| match either {
            either::Either::Left(object) => json!({"going": object.metadata.deletion_timestamp.is_some()}),
            either::Either::Right(_) => json!({"gone": true}),
        });
        self.said("delete one with a finalizer", gone, &["/going", "/gone"]);
        let going = leases.get("c").await.map(|lease| json!({"going": lease.metadata.deletion_timestamp.is_some()}));
        self.said("it stays", going, &["/going"]);
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        self.said("take the finalizer off", leases.patch("c", &params, &free).await, &["/metadata/finalizers"]);
        self.said("it is gone", leases.get("c").await, &[]);
    }

    /// Spec, status and their versions.
    async fn clusters(&mut self) {
        let clusters = self.objects(CLUSTERS);
        let (post, params) = (PostParams::default(), PatchParams::default());
        let cluster = |name: &str, spec: Value| {
            object(json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": name},
                "spec": spec, "status": {"phase": "ignored"}}))
        };
        let bare = cluster("bare", json!({"instances": 3}));
        self.said("a cluster with defaults", clusters.create(&post, &bare).await, &["/spec", "/status"]);
        let wrong = cluster("c", json!({"instances": 3, "enablePDB": "yes", "storage": {"size": "1Gi"}}));
        self.said("a cluster with a wrong type", clusters.create(&post, &wrong).await, &[]);
        let none = cluster("c", json!({"instances": 0, "storage": {"size": "1Gi"}}));
        self.said("a cluster of none", clusters.create(&post, &none).await, &[]);
        let good = cluster("c", json!({"instances": 3, "storage": {"size": "1Gi"}}));
        let fields = ["/metadata/generation", "/spec/instances", "/status"];
        let made = self.said("a cluster", clusters.create(&post, &good).await, &fields).unwrap();
        self.said("the same cluster", clusters.create(&post, &good).await, &[]);
        let status = Patch::Merge(json!({"spec": {"instances": 9}, "status": {"phase": "p", "currentPrimary": "c-1"}}));
        self.said("patch its status", clusters.patch_status("c", &params, &status).await, &fields);
        let spec = Patch::Merge(json!({"spec": {"instances": 4}, "status": {"phase": "q"}}));
        self.said("patch its spec", clusters.patch("c", &params, &spec).await, &fields);
        let none = Patch::Merge(json!({"status": {"currentPrimary": null}}));
        self.said("take a status field away", clusters.patch_status("c", &params, &none).await, &["/status"]);
        let old = Some(version(&made));
        let stale = Patch::Merge(json!({"metadata": {"resourceVersion": old}, "status": {"phase": "r"}}));
        self.said("patch its status over an old version", clusters.patch_status("c", &params, &stale).await, &[]);
        self.said("replace its status over an old version", clusters.replace_status("c", &post, &made).await, &[]);
        let mut fresh = clusters.get("c").await.unwrap();
        fresh.data["status"]["phase"] = "s".into();
        self.said("replace its status", clusters.replace_status("c", &post, &fresh).await, &fields);
        let unknown = Patch::Merge(json!({"spec": {"nosuch": 1}}));
        self.said("an unknown field", clusters.patch("c", &params, &unknown).await, &["/spec/nosuch"]);
        self.said("patch the status of none", clusters.patch_status("none", &params, &status).await, &[]);
        self.said("patch none", clusters.patch("none", &params, &spec).await, &[]);
        let other = Patch::Merge(json!({"metadata": {"uid": "00000000-0000-0000-0000-000000000001"}}));
        self.said("patch one of another uid", clusters.patch("c", &params, &other).await, &[]);
        let metadata = clusters.get_metadata_opt("c").await.map(|found| json!({"there": found.is_some()}));
        self.said("metadata alone", metadata, &["/there"]);
        let metadata = clusters.get_metadata_opt("none").await.map(|found| json!({"there": found.is_some()}));
        self.said("metadata of none", metadata, &["/there"]);
    }

    async fn pods(&mut self) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let (post, params) = (PostParams::default(), PatchParams::default());
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "labels": {"cnpg.io/cluster": "c"}},
            "spec": {"automountServiceAccountToken": false, "containers": [{"name": "postgres", "image": "i"}]}
        }))
        .unwrap();
        let fields =
            ["/metadata/labels", "/metadata/annotations", "/status/phase", "/spec/terminationGracePeriodSeconds"];
        self.said("a pod", pods.create(&post, &pod).await, &fields);
        self.said("the same pod", pods.create(&post, &pod).await, &[]);
        let label = Patch::Merge(json!({"metadata": {"labels": {"role": "primary"}, "annotations": {"a": "b"}}}));
        self.said("label it", pods.patch("p", &params, &label).await, &fields);
        let unlabel = Patch::Merge(json!({"metadata": {"labels": {"role": null}}}));
        self.said("take the label off", pods.patch("p", &params, &unlabel).await, &fields);
        let labelled = pods.list(&ListParams::default().labels("cnpg.io/cluster=c")).await;
        self.said("list by label", labelled.map(|list| json!({"count": list.items.len()})), &["/count"]);
        let none = pods.list(&ListParams::default().labels("cnpg.io/cluster=c,role")).await;
        self.said("list by no label", none.map(|list| json!({"count": list.items.len()})), &["/count"]);
        let of = |uid: &str| DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let other = "00000000-0000-0000-0000-000000000001";
        self.said("delete one of another uid", pods.delete("p", &of(other)).await.map(|_| ()), &[]);
        let own = pods.get("p").await.unwrap().metadata.uid.unwrap();
        self.said("delete it", pods.delete("p", &of(&own)).await.map(|_| ()), &[]);
        self.said("it is gone", pods.get("p").await, &[]);
        self.said("delete none", pods.delete("p", &DeleteParams::default()).await.map(|_| ()), &[]);
    }

    async fn others(&mut self) {
        let post = PostParams::default();
        let claims = self.objects(("", "PersistentVolumeClaim"));
        let claim = object(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "v"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}));
        let fields = ["/spec/accessModes", "/spec/resources", "/status/phase"];
        self.said("a claim", claims.create(&post, &claim).await, &fields);
        let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}));
        self.said("label it", claims.patch("v", &PatchParams::default(), &label).await, &["/metadata/labels"]);
        let secrets = self.objects(("", "Secret"));
        let secret =
            object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "djE="}}));
        self.said("a secret", secrets.create(&post, &secret).await, &["/data", "/type"]);
        let text = Patch::Merge(json!({"stringData": {"k": "v2"}}));
        self.said(
            "its text changed",
            secrets.patch("s", &PatchParams::default(), &text).await,
            &["/data", "/stringData"],
        );
        let broken = Patch::Merge(json!({"data": {"k": "not base64!"}}));
        let broken = secrets.patch("s", &PatchParams::default(), &broken).await.map_err(without_message);
        self.said("no base64", broken, &[]);
        let services = self.objects(("", "Service"));
        let service = object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c-rw"},
            "spec": {"selector": {"a": "b"}, "ports": [{"name": "postgres", "port": 5432}]}}));
        self.said(
            "a service",
            services.create(&post, &service).await,
            &["/spec/type", "/spec/ports", "/spec/selector"],
        );
        let nowhere: Api<ConfigMap> = Api::namespaced(self.client.clone(), "nowhere");
        let map = ConfigMap {
            metadata: kube::api::ObjectMeta { name: Some("m".into()), ..Default::default() },
            ..Default::default()
        };
        self.said("in no namespace", nowhere.create(&post, &map).await, &[]);
        let served = self.client.list_api_group_resources("monitoring.coreos.com/v1").await.map_err(without_message);
        self.said("a group that is not served", served.map(|_| ()), &[]);
        let monitors = self.objects(("monitoring.coreos.com", "PodMonitor"));
        let none = monitors.get_metadata_opt("c").await.map(|found| json!({"there": found.is_some()}));
        self.said("an object of a kind that is not served", none, &["/there"]);
    }

    /// What a watch tells, in which order, and from when.
    async fn watches(&mut self) {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let (post, params) = (PostParams::default(), PatchParams::default());
        let map = |name: &str| -> ConfigMap {
            serde_json::from_value(json!({"metadata": {"name": name, "labels": {"in": "1"}}, "data": {"k": "1"}}))
                .unwrap()
        };
        let before = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
        maps.create(&post, &map("w")).await.unwrap();
        maps.patch("w", &params, &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
        maps.patch("w", &params, &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
        maps.patch("w", &params, &Patch::Merge(json!({"metadata": {"labels": {"in": null}}}))).await.unwrap();
        maps.delete("w", &DeleteParams::default()).await.unwrap();
        maps.create(&post, &map("last")).await.unwrap();
        for (what, selected) in [("all", WatchParams::default()), ("by label", WatchParams::default().labels("in=1"))] {
            let told = self.told(&maps, &selected, &before).await;
            self.lines.push(format!("a watch of {what}: {}", told.join(", ")));
        }
    }

    /// What is told until the object `last`, or a refusal.
    async fn told(&self, maps: &Api<ConfigMap>, selected: &WatchParams, from: &str) -> Vec<String> {
        let mut told = Vec::new();
        let mut stream = match maps.watch(selected, from).await {
            Ok(stream) => stream.boxed(),
            Err(Error::Api(status)) => return vec![format!("{} {}", status.code, status.reason)],
            Err(error) => return vec![error.to_string()],
        };
        let name = |map: &ConfigMap| map.metadata.name.clone().unwrap_or_default();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(10), stream.next()).await {
            let (line, end) = match event {
                Ok(WatchEvent::Added(map)) => (format!("added {}", name(&map)), name(&map) == "last"),
                Ok(WatchEvent::Modified(map)) => (format!("modified {}", name(&map)), false),
                Ok(WatchEvent::Deleted(map)) => (format!("deleted {}", name(&map)), false),
                Ok(WatchEvent::Bookmark(_)) => continue,
                Ok(WatchEvent::Error(status)) => (format!("{} {}", status.code, status.reason), true),
                Err(error) => (error.to_string(), true),
            };
            told.push(line);
            if end {
                break;
            }
        }
        told
    }
}

/// Nobody reads these words.
fn without_message(error: Error) -> Error {
    match error {
        Error::Api(mut status) => {
            status.message.clear();
            status.reason.clear();
            Error::Api(status)
        }
        other => other,
    }
}

/// Without ids and versions.
fn steady(line: &str) -> String {
    let mut out = String::new();
    const ENDS: [char; 6] = [' ', ',', '"', ':', '(', ')'];
    for word in line.split_inclusive(ENDS) {
        let bare = word.trim_end_matches(ENDS);
        let is_uid = bare.len() == 36 && bare.matches('-').count() == 4;
        out.push_str(&if is_uid { word.replace(bare, "UID") } else { word.to_owned() });
    }
    out.trim_end().to_owned()
}
