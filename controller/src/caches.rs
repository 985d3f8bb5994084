//! The watches. Leases are not watched: a thousand clusters renew theirs every other second.

use crate::nodes::Nodes;
use crate::queue::Waker;
use crate::watched::{Scope, Watched};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use kube::runtime::{reflector, watcher};
use kube::{Client, Resource, ResourceExt};
use pgherd_proto::backup::Backup;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::labels;
use pgherd_proto::scheduled_backup::ScheduledBackup;
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
    pub clusters: Watched<Cluster>,
    /// Pods with label `cnpg.io/cluster`.
    pub pods: Watched<Pod>,
    /// Pods of restore drills, which have none of the labels of instances.
    pub drills: Watched<Pod>,
    /// Volume claims with it.
    pub claims: Watched<PersistentVolumeClaim>,
    /// Services with it.
    pub services: Watched<Service>,
    /// Secrets with it.
    pub secrets: Watched<Secret>,
    /// All nodes, as far as they may be seen.
    pub nodes: Nodes,
    /// All schedules.
    pub schedules: Watched<ScheduledBackup>,
    /// All backups.
    pub backups: Watched<Backup>,
    /// True once each of these has listed what there is.
    pub listed: tokio::sync::watch::Receiver<bool>,
}

impl Caches {
    /// Starts the watches; each change of an object wakes its cluster. They end with `tasks`.
    pub fn start(client: &Client, scope: &Scope, waker: &Waker, tasks: &mut JoinSet<()>) -> Self {
        let labelled = || watcher::Config::default().labels(labels::CLUSTER);
        let all = watcher::Config::default;
        let (told, listed) = tokio::sync::watch::channel(false);
        let pods = Watched::start(client, scope, &labelled(), waker, tasks, by_label::<Pod>);
        let caches = Self {
            clusters: Watched::start(client, scope, &all(), waker, tasks, |cluster: &Cluster| {
                Some(Key { namespace: cluster.namespace()?, name: cluster.name_any() })
            }),
            nodes: Nodes::start(client, &pods, waker, tasks),
            pods,
            drills: Watched::start(client, scope, &all().labels(labels::VERIFIES), waker, tasks, |pod: &Pod| {
                Some(Key { namespace: pod.namespace()?, name: pod.labels().get(labels::VERIFIES)?.clone() })
            }),
            claims: Watched::start(client, scope, &labelled(), waker, tasks, by_label::<PersistentVolumeClaim>),
            services: Watched::start(client, scope, &labelled(), waker, tasks, by_label::<Service>),
            secrets: Watched::start(client, scope, &labelled(), waker, tasks, by_label::<Secret>),
            schedules: Watched::start(client, scope, &all(), waker, tasks, |schedule: &ScheduledBackup| {
                Some(Key { namespace: schedule.namespace()?, name: schedule.spec.cluster.name.clone() })
            }),
            backups: Watched::start(client, scope, &all(), waker, tasks, |backup: &Backup| {
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
pub fn of<K>(store: &Watched<K>, key: &Key) -> Vec<Arc<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    store.state_filter(|object| by_label(object).as_ref() == Some(key))
}

pub(crate) fn by_label<K: Resource>(object: &K) -> Option<Key> {
    let name = object.labels().get(labels::CLUSTER)?.clone();
    Some(Key { namespace: object.namespace()?, name })
}
