//! The watches. Leases are not watched: a thousand clusters renew theirs every other second.

use crate::nodes::Nodes;
use crate::observe::Lacked;
use crate::queue::Waker;
use crate::trim;
use crate::watched::{Kind, Scope, Watched};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use kube::runtime::watcher;
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
    /// What the API server said that it does not serve.
    pub lacked: Lacked,
    /// True once each of these has listed what there is.
    pub listed: tokio::sync::watch::Receiver<bool>,
}

impl Caches {
    /// Starts the watches; each change of an object wakes its cluster. They end with `tasks`.
    pub fn start(client: &Client, scope: &Scope, waker: &Waker, tasks: &mut JoinSet<()>) -> Self {
        let labelled = || watcher::Config::default().labels(labels::CLUSTER);
        let all = watcher::Config::default;
        let (told, listed) = tokio::sync::watch::channel(false);
        let pods = Kind { config: labelled(), cluster: by_label::<Pod>, trim: trim::pod };
        let pods = Watched::start(client, scope, &pods, waker, tasks);
        let clusters = Kind { config: all(), cluster: own::<Cluster>, trim: trim::metadata };
        let drills = Kind { config: all().labels(labels::VERIFIES), cluster: by_drill, trim: trim::pod };
        let claims = Kind { config: labelled(), cluster: by_label::<PersistentVolumeClaim>, trim: trim::metadata };
        let services = Kind { config: labelled(), cluster: by_label::<Service>, trim: trim::metadata };
        let secrets = Kind { config: labelled(), cluster: by_label::<Secret>, trim: trim::metadata };
        let schedules = Kind { config: all(), cluster: by_schedule, trim: trim::metadata };
        let backups = Kind { config: all(), cluster: by_backup, trim: trim::metadata };
        let caches = Self {
            clusters: Watched::start(client, scope, &clusters, waker, tasks),
            nodes: Nodes::start(client, &pods, waker, tasks),
            pods,
            drills: Watched::start(client, scope, &drills, waker, tasks),
            claims: Watched::start(client, scope, &claims, waker, tasks),
            services: Watched::start(client, scope, &services, waker, tasks),
            secrets: Watched::start(client, scope, &secrets, waker, tasks),
            schedules: Watched::start(client, scope, &schedules, waker, tasks),
            backups: Watched::start(client, scope, &backups, waker, tasks),
            lacked: Lacked::default(),
            listed,
        };
        // One task waits, and tells everybody.
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

    async fn stores_listed(&self) -> Result<(), tokio::sync::watch::error::RecvError> {
        self.clusters.ready().await?;
        self.pods.ready().await?;
        self.drills.ready().await?;
        self.claims.ready().await?;
        self.services.ready().await?;
        self.secrets.ready().await?;
        self.schedules.ready().await?;
        self.backups.ready().await?;
        self.nodes.ready().await;
        Ok(())
    }

    /// One cluster.
    #[must_use]
    pub fn cluster(&self, key: &Key) -> Option<Arc<Cluster>> {
        self.clusters.get(&key.namespace, &key.name)
    }

    /// One of a cluster's secrets.
    #[must_use]
    pub fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        self.secrets.get(namespace, name)
    }

    /// Every cluster there is.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.clusters.clusters()
    }
}

fn own<K: Resource>(object: &K) -> Option<Key> {
    Some(Key { namespace: object.namespace()?, name: object.meta().name.clone()? })
}

pub(crate) fn by_label<K: Resource>(object: &K) -> Option<Key> {
    let name = object.labels().get(labels::CLUSTER)?.clone();
    Some(Key { namespace: object.namespace()?, name })
}

fn by_drill(pod: &Pod) -> Option<Key> {
    Some(Key { namespace: pod.namespace()?, name: pod.labels().get(labels::VERIFIES)?.clone() })
}

fn by_schedule(schedule: &ScheduledBackup) -> Option<Key> {
    Some(Key { namespace: schedule.namespace()?, name: schedule.spec.cluster.name.clone() })
}

fn by_backup(backup: &Backup) -> Option<Key> {
    Some(Key { namespace: backup.namespace()?, name: backup.spec.cluster.name.clone() })
}
