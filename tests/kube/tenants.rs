//! Least privilege, by the API server's own word and by real calls: the managers of a cluster reach what is their
//! cluster's, in their namespace, and the controller what its rules say; nobody was ever refused what they asked for.

use std::collections::BTreeSet;

use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER, NAMESPACE};
use crate::install::{SYSTEM, token};
use crate::plane::{AGENT, Plane, text};

/// The other tenant.
const OTHER: &str = "tenant-b";
const THEIRS: &str = "their-db";
const WE: &str = "manager-a";

/// Verb, resource (`resource/name`), subresource: what the managers of a cluster do, and no more.
fn may(cluster: &str) -> Vec<(&'static str, String, &'static str)> {
    let of = |resource: &str| format!("{resource}/{cluster}");
    let secret = |suffix: &str| format!("secrets/{cluster}-{suffix}");
    vec![
        ("get", of("clusters.postgresql.cnpg.io"), ""),
        ("watch", of("clusters.postgresql.cnpg.io"), ""),
        ("patch", of("clusters.postgresql.cnpg.io"), "status"),
        ("get", of("leases.coordination.k8s.io"), ""),
        ("update", of("leases.coordination.k8s.io"), ""),
        ("create", "leases.coordination.k8s.io".to_owned(), ""),
        ("list", "pods".to_owned(), ""),
        ("patch", format!("pods/{cluster}-1"), ""),
        ("get", secret("server"), ""),
        ("get", secret("replication"), ""),
        ("get", secret("app"), ""),
        ("list", "backups.postgresql.cnpg.io".to_owned(), ""),
        ("delete", "backups.postgresql.cnpg.io/old".to_owned(), ""),
        ("patch", "backups.postgresql.cnpg.io/new".to_owned(), "status"),
        ("patch", of("failoverquorums.postgresql.cnpg.io"), "status"),
        ("create", "events".to_owned(), ""),
    ]
}

/// What they may not, in their own namespace either.
fn may_not(cluster: &str) -> Vec<(&'static str, String, &'static str)> {
    let name = |text: &str| text.to_owned();
    vec![
        ("list", name("clusters.postgresql.cnpg.io"), ""),
        ("get", name("clusters.postgresql.cnpg.io/another"), ""),
        ("update", format!("clusters.postgresql.cnpg.io/{cluster}"), ""),
        ("patch", format!("clusters.postgresql.cnpg.io/{cluster}"), ""),
        ("delete", format!("clusters.postgresql.cnpg.io/{cluster}"), ""),
        ("patch", name("clusters.postgresql.cnpg.io/another"), "status"),
        ("list", name("leases.coordination.k8s.io"), ""),
        ("get", name("leases.coordination.k8s.io/another"), ""),
        ("update", name("leases.coordination.k8s.io/another"), ""),
        ("delete", format!("leases.coordination.k8s.io/{cluster}"), ""),
        ("list", name("secrets"), ""),
        ("watch", name("secrets"), ""),
        ("get", name("secrets/another"), ""),
        ("get", format!("secrets/{cluster}-ca"), ""),
        ("update", format!("secrets/{cluster}-ca"), ""),
        ("create", name("secrets"), ""),
        ("patch", name("pods/another"), ""),
        ("create", name("pods"), ""),
        ("delete", format!("pods/{cluster}-1"), ""),
        ("create", format!("pods/{cluster}-1"), "exec"),
        ("get", name("configmaps"), ""),
        ("get", name("services"), ""),
        ("create", format!("serviceaccounts/{cluster}"), "token"),
        ("get", name("roles.rbac.authorization.k8s.io"), ""),
        ("patch", name("roles.rbac.authorization.k8s.io"), ""),
        ("get", name("nodes"), ""),
        ("impersonate", name("users"), ""),
    ]
}

/// What the controller has no business with.
const CONTROLLER_MAY_NOT: [(&str, &str); 11] = [
    ("delete", "clusters.postgresql.cnpg.io"),
    ("update", "clusters.postgresql.cnpg.io"),
    ("delete", "secrets"),
    ("update", "secrets"),
    ("update", "services"),
    ("delete", "leases.coordination.k8s.io"),
    ("patch", "nodes"),
    ("list", "configmaps"),
    ("create", "clusterroles.rbac.authorization.k8s.io"),
    ("escalate", "roles.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
];

impl Plane {
    /// Another tenant's cluster in a namespace of its own, beside the bed's: neither gets at the other.
    pub async fn keep_tenants_apart(&self, bed: &Bed) {
        let admin = self.client("admin").await;
        let other = self.other_tenant(bed).await;
        let ours = token(&admin, NAMESPACE, CLUSTER).await;
        self.write_kubeconfig(WE, &ours);
        for (verb, what, subresource) in may(CLUSTER) {
            assert!(
                self.can(WE, verb, &what, subresource, NAMESPACE).await,
                "a manager has to {verb} {what} {subresource}"
            );
            assert!(!self.can(WE, verb, &what, subresource, OTHER).await, "{verb} {what} {subresource} in {OTHER}");
        }
        for (verb, what, subresource) in may(THEIRS) {
            assert!(!self.can(WE, verb, &what, subresource, OTHER).await, "{verb} {what} {subresource} in {OTHER}");
        }
        for (verb, what, subresource) in may_not(CLUSTER) {
            assert!(
                !self.can(WE, verb, &what, subresource, NAMESPACE).await,
                "a manager can {verb} {what} {subresource}"
            );
        }
        for (verb, what) in CONTROLLER_MAY_NOT {
            assert!(!self.can("controller", verb, what, "", NAMESPACE).await, "the controller can {verb} {what}");
        }
        assert!(
            !self.can("controller", "create", "pods", "exec", NAMESPACE).await,
            "the controller can run programs in pods"
        );
        self.real_calls(bed, &other).await;
        self.refused_nothing();
        bed.say("two tenants do not reach each other, and no manager more than its own");
        let gone = self.must("admin", &["delete", "namespace", OTHER, "--wait=false"]).await;
        bed.say(gone.trim());
    }

    /// What `kubectl auth can-i` says.
    pub async fn can(&self, who: &str, verb: &str, what: &str, subresource: &str, namespace: &str) -> bool {
        let subresource = format!("--subresource={subresource}");
        let said = self.kubectl(who, &["auth", "can-i", verb, what, &subresource, "-n", namespace]).await;
        match (said.status.success(), text(&said.stdout).trim()) {
            (true, "yes") => true,
            (false, "no") => false,
            other => panic!("{other:?}: {}", text(&said.stderr)),
        }
    }

    /// A cluster of one instance, without an archive.
    async fn other_tenant(&self, bed: &Bed) -> Bed2 {
        self.must("admin", &["create", "namespace", OTHER]).await;
        let cluster = json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": THEIRS, "namespace": OTHER},
            "spec": {"instances": 1, "storage": {"size": "1Gi"}},
        });
        let mut other = (**bed).clone();
        OTHER.clone_into(&mut other.place.namespace);
        THEIRS.clone_into(&mut other.place.cluster);
        let cluster: DynamicObject = serde_json::from_value(cluster).unwrap();
        other.objects("postgresql.cnpg.io", "Cluster").create(&PostParams::default(), &cluster).await.unwrap();
        other.healthy(std::time::Duration::from_secs(120)).await.unwrap();
        other
    }

    /// The same by asking for it, with the token that the managers of the bed's cluster have.
    async fn real_calls(&self, bed: &Bed, other: &Bed2) {
        let client = self.client(WE).await;
        let (mut we, mut them) = ((**bed).clone(), other.clone());
        (we.client, them.client) = (client.clone(), client);
        let put = |bed: &Bed2, group: &str, kind: &str| bed.objects(group, kind);
        let cluster = "postgresql.cnpg.io";
        we.cluster().await.expect("its own Cluster");
        we.secret(&format!("{CLUSTER}-app"), "username").await.expect("its own secret");
        put(&we, "coordination.k8s.io", "Lease").get(CLUSTER).await.expect("its own lease");
        let by_name = ListParams::default().fields(&format!("metadata.name={CLUSTER}"));
        put(&we, cluster, "Cluster").list(&by_name).await.expect("the list of its own Cluster alone");

        let refused = |what: &str, code: Option<u16>| assert_eq!(code, Some(403), "{what}");
        let everything = ListParams::default();
        refused("all Clusters", code(put(&we, cluster, "Cluster").list(&everything).await));
        refused("its own authority's key", code(put(&we, "", "Secret").get(&format!("{CLUSTER}-ca")).await));
        refused("all secrets", code(put(&we, "", "Secret").list(&everything).await));
        refused("the secret of S3 keys in another namespace", code(put(&them, "", "Secret").get("aws-creds").await));
        refused("their secrets", code(put(&them, "", "Secret").list(&everything).await));
        refused("their CA", code(put(&them, "", "Secret").get(&format!("{THEIRS}-ca")).await));
        refused("their Cluster", code(put(&them, cluster, "Cluster").get(THEIRS).await));
        refused("their pods", code(put(&them, "", "Pod").list(&everything).await));
        refused("their lease", code(put(&them, "coordination.k8s.io", "Lease").get(THEIRS).await));
        let taken = Patch::Merge(json!({"spec": {"holderIdentity": "x"}, "status": {"targetPrimary": "x"}}));
        let params = PatchParams::default();
        let lease = put(&them, "coordination.k8s.io", "Lease").patch(THEIRS, &params, &taken).await;
        refused("taking their lease", code(lease));
        let status = put(&them, cluster, "Cluster").patch_status(THEIRS, &params, &taken).await;
        refused("their status", code(status));
        let image = Patch::Merge(json!({"spec": {"containers": [{"name": "postgres", "image": "x"}]}}));
        refused("their pod", code(put(&them, "", "Pod").patch(&format!("{THEIRS}-1"), &params, &image).await));
        let pod = put(&we, "", "Pod").delete(&format!("{CLUSTER}-1"), &Default::default()).await;
        refused("deleting a pod of its own", code(pod));
    }

    /// Whatever the controller and the managers asked for until now, they were allowed to. (What this test asked for in
    /// their name is told by its agent.) Later it is not so: for a moment after its start an API server refuses everybody
    /// whose role it has not read yet, and a cluster that is deleted loses its role before its pods.
    fn refused_nothing(&self) {
        let audit = std::fs::read_to_string(self.directory.join("audit.jsonl")).unwrap();
        let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
        let mut refused = BTreeSet::new();
        for line in audit.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let field = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (user, agent) = (field("/user/username"), field("/userAgent"));
            let Some(account) = user.strip_prefix("system:serviceaccount:") else { continue };
            let who = if account.starts_with(SYSTEM) { "controller" } else { "manager" };
            if agent.starts_with("kubectl") || agent == AGENT {
                continue;
            }
            let resource = format!("{}/{}", field("/objectRef/resource"), field("/objectRef/subresource"));
            let what = format!("{} {}", field("/verb"), resource.trim_end_matches('/'));
            asked.insert((who.to_owned(), what.clone()));
            if event.pointer("/responseStatus/code").and_then(Value::as_u64) == Some(403) {
                refused.insert((user.clone(), what, field("/requestURI"), agent));
            }
        }
        for (who, what) in &asked {
            println!("{who} asked to {what}");
        }
        assert!(asked.iter().any(|(who, _)| who == "manager") && asked.iter().any(|(who, _)| who == "controller"));
        assert!(refused.is_empty(), "refused: {refused:#?}");
    }
}

type Bed2 = pgherd_testkit::bed::Bed;

/// The code of a refusal.
fn code<T>(answer: Result<T, kube::Error>) -> Option<u16> {
    match answer {
        Err(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}
