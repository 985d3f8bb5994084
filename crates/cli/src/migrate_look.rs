//! What taking a CloudNativePG cluster over comes to, from its objects alone: what stays, what changes, what does nothing,
//! and what has to be done first.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use pgherd_proto::cluster::Cluster;
use pgherd_proto::finding::Kind;
use pgherd_proto::{labels, names, validate};
use serde::Serialize;

/// What is there.
#[derive(Debug, Default)]
pub struct Seen {
    pub cluster: Option<Cluster>,
    pub pods: Vec<Pod>,
    pub claims: Vec<PersistentVolumeClaim>,
    /// Their names and keys are looked at, and no value.
    pub secrets: Vec<Secret>,
    pub lease: Option<Lease>,
    /// Pods of CloudNativePG's operator, as namespace/name.
    pub operators: Vec<String>,
}

/// What kind of thing is said, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It cannot be taken over as it is.
    Refused,
    /// Something has to be done before.
    First,
    /// It is accepted and does nothing.
    Ignored,
    /// It will be otherwise.
    Changes,
    /// It stays as it is.
    Stays,
}

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Line {
    pub verdict: Verdict,
    pub what: String,
}

/// Everything that is to be said.
pub fn look(seen: &Seen) -> Vec<Line> {
    let Some(cluster) = &seen.cluster else { return Vec::new() };
    let mut said = Said(Vec::new());
    manifest(cluster, &mut said);
    state(cluster, seen, &mut said);
    volumes(cluster, &seen.claims, &mut said);
    secrets(cluster, &seen.secrets, &mut said);
    lease(seen, &mut said);
    always(cluster, &mut said);
    said.0.sort_by_key(|line| line.verdict);
    said.0
}

/// Whether nothing stands in the way.
pub fn may_go(lines: &[Line]) -> bool {
    lines.iter().all(|line| !matches!(line.verdict, Verdict::Refused | Verdict::First))
}

struct Said(Vec<Line>);

impl Said {
    fn say(&mut self, verdict: Verdict, what: impl Into<String>) {
        self.0.push(Line { verdict, what: what.into() });
    }
}

/// By the functions that `pgherd validate`, the webhook and the controller use.
fn manifest(cluster: &Cluster, said: &mut Said) {
    for finding in validate::cluster(cluster) {
        let verdict = match finding.kind {
            _ if finding.is_error() => Verdict::Refused,
            Kind::Ignored | Kind::Unknown => Verdict::Ignored,
            _ => continue,
        };
        said.say(verdict, format!("{}: {}", finding.path, finding.message));
    }
    let image = cluster.status.as_ref().and_then(|status| status.image.as_deref());
    if cluster.spec.image_name.is_none() && cluster.spec.image_catalog_ref.is_none() {
        let image = image.unwrap_or("the image that runs");
        said.say(
            Verdict::First,
            format!("spec.imageName is absent, and means another major here: write {image} into it"),
        );
    }
}

fn state(cluster: &Cluster, seen: &Seen, said: &mut Said) {
    let none = pgherd_proto::cluster::ClusterStatus::default();
    let status = cluster.status.as_ref().unwrap_or(&none);
    let ours = |pod: &Pod| pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(labels::MEMBER));
    if seen.pods.iter().any(ours) {
        said.say(Verdict::Refused, "it is pgherd's already: its pods run pgherd's manager");
    }
    match &status.system_id {
        Some(id) => said.say(Verdict::Stays, format!("the database system {id}: every volume is checked against it")),
        None => said.say(Verdict::Refused, "status.systemID is absent: nobody knows which database this is"),
    }
    match (&status.current_primary, &status.target_primary) {
        (Some(current), target) if target.is_none() || target.as_ref() == Some(current) => {
            said.say(Verdict::Stays, format!("the primary {current}: it has everything, and is the first to be asked"));
        }
        _ => said.say(Verdict::First, "a switchover or failover goes on: wait for its end"),
    }
    for operator in &seen.operators {
        said.say(
            Verdict::First,
            format!("stop CloudNativePG's operator ({operator}): two may not work on one cluster"),
        );
    }
    if !seen.pods.is_empty() {
        let names: Vec<&str> = seen.pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
        said.say(
            Verdict::First,
            format!("hibernate the cluster, so that no pod is left: there is {}", names.join(", ")),
        );
    }
}

fn volumes(cluster: &Cluster, claims: &[PersistentVolumeClaim], said: &mut Said) {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let primary = cluster.status.as_ref().and_then(|status| status.current_primary.as_deref());
    let mut of_primary = false;
    for claim in claims {
        let text = |all: &Option<std::collections::BTreeMap<String, String>>, key: &str| {
            all.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default()
        };
        let called = claim.metadata.name.clone().unwrap_or_default();
        let role = text(&claim.metadata.labels, labels::PVC_ROLE);
        let status = text(&claim.metadata.annotations, labels::PVC_STATUS);
        let instance = called.strip_suffix("-wal").filter(|_| role == labels::PVC_ROLE_WAL).unwrap_or(&called);
        match (role.as_str(), status.as_str()) {
            ("PG_TABLESPACE", _) => said.say(Verdict::Refused, format!("volume {called} has a tablespace")),
            _ if names::serial(name, instance).is_none() => {
                said.say(Verdict::First, format!("volume {called} is named for no instance: it is left alone"));
            }
            (_, "ready") => {
                of_primary |= role == labels::PVC_ROLE_DATA && primary == Some(instance);
                said.say(Verdict::Stays, format!("volume {called}, as instance {instance}"));
            }
            (_, "detached") => {
                said.say(
                    Verdict::First,
                    format!("volume {called} is detached: delete it, or its instance is made on it"),
                );
            }
            _ => said.say(Verdict::Changes, format!("volume {called} is not ready: its instance is cloned anew")),
        }
    }
    if !of_primary {
        said.say(Verdict::Refused, "the primary's volume is not there, or not ready: recover from the archive instead");
    }
}

fn secrets(cluster: &Cluster, secrets: &[Secret], said: &mut Said) {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let has = |secret: &str, key: &str| {
        let found = secrets.iter().find(|found| found.metadata.name.as_deref() == Some(secret));
        found.map(|found| found.data.as_ref().is_some_and(|data| data.contains_key(key)))
    };
    let own = cluster.spec.certificates.is_none();
    for (secret, key) in [
        (names::secret_ca(name), "ca.key"),
        (names::secret_server(name), "tls.key"),
        (names::secret_replication(name), "tls.key"),
        (names::secret_app(name), "password"),
    ] {
        match has(&secret, key) {
            Some(true) => said.say(Verdict::Stays, format!("Secret {secret}: clients need no other one")),
            Some(false) if own => said.say(Verdict::First, format!("Secret {secret} has no {key}")),
            None if own => said.say(Verdict::Changes, format!("Secret {secret} is not there, and made anew")),
            _ => {}
        }
    }
    let instances = names::secret_instances(name);
    said.say(Verdict::Changes, format!("Secret {instances} is made: what the instances show each other"));
}

/// The lease, if it is not pgherd's.
pub fn foreign_lease(seen: &Seen) -> Option<&Lease> {
    let ours =
        |lease: &Lease| lease.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(labels::LEASE_TERM));
    seen.lease.as_ref().filter(|lease| !ours(lease))
}

fn lease(seen: &Seen, said: &mut Said) {
    if foreign_lease(seen).is_some() {
        said.say(Verdict::Changes, "the Lease of CloudNativePG is deleted, and made anew with what pgherd keeps in it");
    }
}

fn always(cluster: &Cluster, said: &mut Said) {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    said.say(Verdict::Stays, format!("PGDATA, at {} on each volume", names::PGDATA));
    said.say(
        Verdict::Stays,
        format!("services {name}-rw, {name}-ro and {name}-r: applications find the database as before"),
    );
    match cluster.spec.backup.as_ref().and_then(|backup| backup.barman_object_store.as_ref()) {
        Some(store) => {
            let server = store.server_name.clone().unwrap_or_else(|| name.to_owned());
            let path = &store.destination_path;
            said.say(
                Verdict::Stays,
                format!("the archive {path}, server {server}: its backups count, and WAL goes on in it"),
            );
        }
        None => said.say(Verdict::Changes, "there is no archive: take a copy before, there is no other way back"),
    }
    said.say(Verdict::Changes, "pods are made anew, with pgherd's manager in the same image");
    said.say(Verdict::Changes, "postgresql.conf and pg_hba.conf are written by pgherd, from the same spec");
    said.say(Verdict::Changes, "what differs on purpose: see `pgherd validate --differences`");
}
