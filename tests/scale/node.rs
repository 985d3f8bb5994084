//! A node that fakes pods (the idea is kwok's): each pod that the controller makes is said to run, with an address on
//! loopback, and what its manager would write is written.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use pgherd_core::identity::PodUid;
use pgherd_core::lease::Term;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::labels;
use serde_json::{Value, json};

use crate::lease::take;
use crate::member::{Member, Name, SYSTEM, nonce};
use crate::served;

/// As the kubelet says it of a container that ended more than once.
const BACKOFF: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub struct Node(Arc<Shared>);

impl std::ops::Deref for Node {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub struct Shared {
    pub client: Client,
    /// Leases that were renewed.
    pub renewals: AtomicU64,
    period: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    members: HashMap<Name, Member>,
    addresses: HashMap<Ipv4Addr, Name>,
    clusters: HashMap<Name, Cluster>,
    tls: HashMap<Name, Arc<rustls::ServerConfig>>,
    /// By cluster and term, when an election was first seen.
    elections: HashMap<(Name, u64), Instant>,
    next: u32,
}

impl Node {
    /// Starts to look after all pods that are instances.
    pub fn start(client: Client) -> Self {
        let (renewals, period) = (AtomicU64::new(0), AtomicU64::new(0));
        let node = Self(Arc::new(Shared { client: client.clone(), renewals, period, known: Mutex::default() }));
        node.set_period(crate::timings::period());
        let labelled = || watcher::Config::default().labels(labels::CLUSTER);
        follow(Api::<Pod>::all(client.clone()), labelled(), node.clone(), |node, pod| node.saw_pod(&pod));
        follow(Api::<Secret>::all(client.clone()), labelled(), node.clone(), |node, secret| node.saw_secret(&secret));
        follow(Api::<Cluster>::all(client), watcher::Config::default(), node.clone(), |node, it| node.saw_cluster(it));
        node
    }

    fn saw_pod(&self, pod: &Pod) {
        let (Some(namespace), Some(uid)) = (pod.namespace(), pod.uid()) else { return };
        let name = (namespace, pod.name_any());
        let node = self.clone();
        if pod.metadata.deletion_timestamp.is_some() {
            self.lock().members.remove(&name);
            let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
            tokio::spawn(async move { drop(node.pods(&name).delete(&name.1, &params).await) });
            return;
        }
        let cluster = pod.labels().get(labels::CLUSTER).cloned().unwrap_or_default();
        let known = self.member(&name).is_some_and(|member| member.uid == uid);
        if !known {
            let member = self.add(name, cluster, uid);
            tokio::spawn(async move { node.begin(member).await });
        }
    }

    fn add(&self, name: Name, cluster: String, uid: String) -> Member {
        let mut known = self.lock();
        known.next += 1;
        let address = Ipv4Addr::from(0x7F10_0000 + known.next);
        let member = Member::new(name.clone(), cluster, uid, address);
        known.members.insert(name.clone(), member.clone());
        known.addresses.insert(address, name);
        member
    }

    fn saw_secret(&self, secret: &Secret) {
        let (Some(namespace), Some(cluster)) = (secret.namespace(), secret.labels().get(labels::CLUSTER)) else {
            return;
        };
        if secret.name_any() == pgherd_proto::names::secret_instances(cluster)
            && let Some(tls) = served::tls(secret)
        {
            self.lock().tls.insert((namespace, cluster.clone()), tls);
        }
    }

    fn saw_cluster(&self, cluster: Cluster) {
        let Some(namespace) = cluster.namespace() else { return };
        let name = (namespace, cluster.name_any());
        let election = cluster.status.as_ref().and_then(|status| status.election.as_ref()).map(|one| one.to_fact());
        self.lock().clusters.insert(name.clone(), cluster);
        let Some(election) = election else { return };
        let new = self.lock().elections.insert((name.clone(), election.term.0), Instant::now()).is_none();
        let winner = self.member(&(name.0, election.winner)).filter(|winner| winner.alive && !winner.primary);
        if let Some(winner) = winner.filter(|_| new) {
            let node = self.clone();
            tokio::spawn(async move { node.promote(winner, election.term).await });
        }
    }

    /// A new pod: the first instance makes the database, the others are standbys.
    async fn begin(&self, member: Member) {
        let cluster = self.get_cluster(&member.cluster()).await;
        self.runs(&member).await;
        let status = cluster.status.unwrap_or_default();
        if status.system_id.is_some() {
            self.announce(&member.pod).await;
            return;
        }
        let initialization =
            json!({"instance": member.pod.1, "podUID": member.uid, "startedAt": jiff::Timestamp::now()});
        let made = json!({"initialization": initialization, "systemID": SYSTEM.to_string()});
        self.patch_cluster(&member, made).await;
        self.promote(member, Term(0)).await;
    }

    /// Takes the lease of `term` and says so.
    async fn promote(&self, member: Member, term: Term) {
        let Some(record) = take(self, &member, term).await else { return };
        let cluster = member.cluster();
        for known in self.lock().members.values_mut().filter(|known| known.cluster() == cluster) {
            known.primary = known.pod == member.pod;
            known.timeline = record.timeline.0;
        }
        self.announce(&member.pod).await;
        self.patch_cluster(&member, json!({"currentPrimary": member.pod.1})).await;
        let others: Vec<Name> =
            self.of(&cluster).into_iter().filter(|one| one.alive && !one.primary).map(|one| one.pod).collect();
        for other in others {
            self.announce(&other).await;
        }
    }

    /// The container of the cluster's primary ends, and is started again by and by. Answers who it was and when the API
    /// server had been told.
    pub async fn kill_primary(&self, cluster: &Name) -> Instant {
        let primary = self.of(cluster).into_iter().find(|member| member.primary && member.alive).unwrap();
        let _dead = self.change(&primary.pod, |member| member.alive = false);
        let message = format!("back-off 10s restarting failed container=postgres pod={}", primary.pod.1);
        let postgres = json!({"name": "postgres", "image": "i", "imageID": "i", "ready": false, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "Error", "message": primary.nonce}}});
        self.patch_pod_status(&primary, json!({"containerStatuses": [postgres], "conditions": ready(false)})).await;
        let told = Instant::now();
        let node = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(BACKOFF).await;
            let Some(again) = node.change(&primary.pod, |member| {
                (member.nonce, member.alive, member.primary) = (nonce(), true, false);
            }) else {
                return;
            };
            node.runs(&again).await;
            node.announce(&again.pod).await;
        });
        told
    }

    async fn runs(&self, member: &Member) {
        let now = jiff::Timestamp::now();
        let postgres = json!({"name": "postgres", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": now}}, "lastState": null});
        let address = member.address.to_string();
        let status = json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
            "containerStatuses": [postgres], "conditions": ready(true)});
        self.patch_pod_status(member, status).await;
    }

    /// What a manager writes about itself.
    pub async fn announce(&self, pod: &Name) {
        let Some(member) = self.member(pod) else { return };
        let text = serde_json::to_string(&member.report()).unwrap();
        let mut metadata = json!({"uid": member.uid, "annotations": {labels::MEMBER: text}});
        if member.primary {
            let role = labels::ROLE_PRIMARY;
            metadata["labels"] = json!({labels::INSTANCE_ROLE: role, labels::ROLE_DEPRECATED: role});
        }
        let patch = Patch::Merge(json!({"metadata": metadata}));
        drop(self.pods(pod).patch(&pod.1, &PatchParams::default(), &patch).await);
    }

    async fn patch_pod_status(&self, member: &Member, status: Value) {
        let patch = Patch::Merge(json!({"metadata": {"uid": member.uid}, "status": status}));
        let patched = self.pods(&member.pod).patch_status(&member.pod.1, &PatchParams::default(), &patch).await;
        // One that was deleted meanwhile needs none.
        drop(patched);
    }

    async fn patch_cluster(&self, member: &Member, status: Value) {
        let clusters = Api::<Cluster>::namespaced(self.client.clone(), &member.pod.0);
        let patch = Patch::Merge(json!({"status": status}));
        clusters.patch_status(&member.cluster, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn get_cluster(&self, name: &Name) -> Cluster {
        Api::<Cluster>::namespaced(self.client.clone(), &name.0).get(&name.1).await.unwrap()
    }

    fn pods(&self, pod: &Name) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &pod.0)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    pub fn member(&self, pod: &Name) -> Option<Member> {
        self.lock().members.get(pod).cloned()
    }

    pub fn at(&self, address: Ipv4Addr) -> Option<Member> {
        let known = self.lock();
        known.addresses.get(&address).and_then(|pod| known.members.get(pod)).cloned()
    }

    pub fn tls(&self, cluster: &Name) -> Option<Arc<rustls::ServerConfig>> {
        self.lock().tls.get(cluster).cloned()
    }

    /// Changes a member, and answers what it is then.
    pub fn change(&self, pod: &Name, change: impl FnOnce(&mut Member)) -> Option<Member> {
        let mut known = self.lock();
        let member = known.members.get_mut(pod)?;
        change(member);
        Some(member.clone())
    }

    /// The members of a cluster. The names of its pods are its own with numbers.
    pub fn of(&self, cluster: &Name) -> Vec<Member> {
        let known = self.lock();
        let pod = |number: u32| known.members.get(&(cluster.0.clone(), format!("{}-{number}", cluster.1)));
        (1..=9).filter_map(pod).cloned().collect()
    }

    pub fn others(&self, member: &Member) -> Vec<PodUid> {
        let others = self.of(&member.cluster()).into_iter().filter(|other| other.uid != member.uid);
        others.map(|other| other.uid.as_str().into()).collect()
    }

    /// When the election of this term was first seen in the cluster's status.
    pub fn elected(&self, cluster: &Name, term: u64) -> Option<Instant> {
        self.lock().elections.get(&(cluster.clone(), term)).copied()
    }

    /// The cluster as it was last seen.
    pub fn cluster(&self, name: &Name) -> Option<Cluster> {
        self.lock().clusters.get(name).cloned()
    }

    /// How often a lease is renewed: `primaryLease.retryPeriodSeconds`.
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.period.load(Ordering::Relaxed))
    }

    pub fn set_period(&self, period: Duration) {
        self.period.store(u64::try_from(period.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

fn ready(is: bool) -> Value {
    let is = if is { "True" } else { "False" };
    json!([{"type": "Ready", "status": is, "lastTransitionTime": jiff::Timestamp::now()}])
}

fn follow<K>(api: Api<K>, config: watcher::Config, node: Node, saw: fn(&Node, K))
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(watcher(api, config).default_backoff());
        while let Some(event) = stream.next().await {
            match event {
                Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => saw(&node, object),
                Ok(_) => {}
                Err(error) => eprintln!("the node's watch: {error}"),
            }
        }
    });
}
