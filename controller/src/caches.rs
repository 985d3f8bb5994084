//! The watches. Leases are not watched: a thousand clusters renew theirs every other second.

use crate::nodes::Nodes;
use crate::queue::Waker;
use crate::retry::Retry;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use pgherd_proto::backup::Backup;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::labels;
use pgherd_proto::scheduled_backup::ScheduledBackup;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A cluster's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// What is watched.
#[derive(Clone)]
pub struct Caches {
    /// All clusters.
    pub clusters: Store<Cluster>,
    /// Pods with label `cnpg.io/cluster`.
    pub pods: Store<Pod>,
    /// Pods of restore drills, which have none of the labels of instances.
    pub drills: Store<Pod>,
    /// Volume claims with it.
    pub claims: Store<PersistentVolumeClaim>,
    /// Services with it.
    pub services: Store<Service>,
    /// Secrets with it.
    pub secrets: Store<Secret>,
    /// All nodes, as far as they may be seen.
    pub nodes: Nodes,
    /// All schedules.
    pub schedules: Store<ScheduledBackup>,
    /// All backups.
    pub backups: Store<Backup>,
    /// True once each of these has listed what there is.
    pub listed: tokio::sync::watch::Receiver<bool>,
}

impl Caches {
    /// Starts the watches; each change of an object wakes its cluster. They end with `tasks`.
    pub fn start(client: &Client, waker: &Waker, tasks: &mut JoinSet<()>) -> Self {
        let labelled = || watcher::Config::default().labels(labels::CLUSTER);
        let all = watcher::Config::default;
        let (told, listed) = tokio::sync::watch::channel(false);
        let pods = watch(client, labelled(), waker, tasks, by_label::<Pod>);
        let caches = Self {
            clusters: watch(client, all(), waker, tasks, |cluster: &Cluster| {
                Some(Key { namespace: cluster.namespace()?, name: cluster.name_any() })
            }),
            nodes: Nodes::start(client, &pods, waker, tasks),
            pods,
            drills: watch(client, all().labels(labels::VERIFIES), waker, tasks, |pod: &Pod| {
                Some(Key { namespace: pod.namespace()?, name: pod.labels().get(labels::VERIFIES)?.clone() })
            }),
            claims: watch(client, labelled(), waker, tasks, by_label::<PersistentVolumeClaim>),
            services: watch(client, labelled(), waker, tasks, by_label::<Service>),
            secrets: watch(client, labelled(), waker, tasks, by_label::<Secret>),
            schedules: watch(client, all(), waker, tasks, |schedule: &ScheduledBackup| {
                Some(Key { namespace: schedule.namespace()?, name: schedule.spec.cluster.name.clone() })
            }),
            backups: watch(client, all(), waker, tasks, |backup: &Backup| {
                Some(Key { namespace: backup.namespace()?, name: backup.spec.cluster.name.clone() })
            }),
            listed,
        };
        // A store wakes only the last of those who wait for it: so one task waits, and tells everybody.
        let waiting = caches.clone();
        tasks.spawn(async move {
            if waiting.stores_listed().await.is_ok() {
                told.send_replace(true);
            }
        });
        caches
    }

    /// Waits until each watch has listed what there is: planning on less could take what is there for gone.
    ///
    /// # Errors
    /// A watch has ended.
    pub async fn ready(&self) -> Result<(), tokio::sync::watch::error::RecvError> {
        self.listed.clone().wait_for(|listed| *listed).await.map(drop)
    }

    async fn stores_listed(&self) -> Result<(), reflector::store::WriterDropped> {
        self.clusters.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.drills.wait_until_ready().await?;
        self.claims.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.secrets.wait_until_ready().await?;
        self.schedules.wait_until_ready().await?;
        self.backups.wait_until_ready().await?;
        self.nodes.ready().await;
        Ok(())
    }

    /// One cluster.
    #[must_use]
    pub fn cluster(&self, key: &Key) -> Option<Arc<Cluster>> {
        self.clusters.get(&reflector::ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// One of a cluster's secrets.
    #[must_use]
    pub fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        self.secrets.get(&reflector::ObjectRef::new(name).within(namespace))
    }

    /// Every cluster there is.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let key = |cluster: &Arc<Cluster>| Some(Key { namespace: cluster.namespace()?, name: cluster.name_any() });
        self.clusters.state().iter().filter_map(key).collect()
    }
}

/// The objects of one cluster in a store, by label.
#[must_use]
pub fn of<K>(store: &Store<K>, key: &Key) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.state_filter(|object| by_label(object).as_ref() == Some(key))
}

pub(crate) fn by_label<K: Resource>(object: &K) -> Option<Key> {
    let name = object.labels().get(labels::CLUSTER)?.clone();
    Some(Key { namespace: object.namespace()?, name })
}

fn watch<K>(
    client: &Client,
    config: watcher::Config,
    waker: &Waker,
    tasks: &mut JoinSet<()>,
    key: fn(&K) -> Option<Key>,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let (store, writer) = reflector::store();
    let stream = watcher(Api::<K>::all(client.clone()), config).backoff(Retry::default()).reflect(writer);
    let waker = waker.clone();
    tasks.spawn(async move {
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            match event {
                Ok(
                    watcher::Event::Apply(object) | watcher::Event::Delete(object) | watcher::Event::InitApply(object),
                ) => {
                    if let Some(key) = key(&object) {
                        waker.wake(key).await;
                    }
                }
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), %error, "a watch failed and is taken up again");
                }
            }
        }
    });
    store
}
