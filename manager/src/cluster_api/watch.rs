//! Watching the cluster's objects: what is seen is handed to the driver whole, so that a lost event costs nothing.

use super::{ClusterApi, LeaseApi};
use core::time::Duration;
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use pgherd_core::lease::{LeaseRecord, Versioned};
use pgherd_proto::cluster::Cluster;
use pgherd_proto::{labels, lease as wire, watching};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Between a broken watch and the next: short, since a standby that sees nothing cannot count.
const RECONNECT: Duration = Duration::from_millis(500);

/// One look at something.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The Cluster.
    Cluster(Arc<Cluster>),
    /// The Lease.
    Lease(Box<Versioned<LeaseRecord>>),
    /// The Lease is gone.
    NoLease,
    /// All pods of the cluster.
    Pods(Vec<Arc<Pod>>),
}

/// Watches until the set is dropped or the receiver closes.
pub fn watch_cluster(api: &ClusterApi, stored: LeaseApi, seen: &mpsc::Sender<Seen>) -> JoinSet<()> {
    let by_name = watcher::Config::default().fields(&format!("metadata.name={}", api.name));
    let by_cluster = watcher::Config::default().labels(&format!("{}={}", labels::CLUSTER, api.name));
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(api.clusters.clone(), by_name.clone(), seen.clone(), |objects: &BTreeMap<_, Arc<Cluster>>| {
        objects.values().next().cloned().map(Seen::Cluster)
    }));
    tasks.spawn(follow(api.leases.clone(), by_name, seen.clone(), move |objects: &BTreeMap<_, Arc<Lease>>| {
        match objects.values().next() {
            None => Some(Seen::NoLease),
            Some(lease) => match wire::read(lease) {
                Ok(record) => {
                    stored.remember(lease);
                    Some(Seen::Lease(Box::new(record)))
                }
                Err(error) => {
                    tracing::error!(error = %pgherd_telemetry::chain(&error), "the Lease cannot be read; it is left alone");
                    None
                }
            },
        }
    }));
    tasks.spawn(follow(api.pods.clone(), by_cluster, seen.clone(), |objects: &BTreeMap<_, Arc<Pod>>| {
        Some(Seen::Pods(objects.values().cloned().collect()))
    }));
    tasks
}

async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    seen: mpsc::Sender<Seen>,
    tell: impl Fn(&BTreeMap<String, Arc<K>>) -> Option<Seen>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let mut objects: BTreeMap<String, Arc<K>> = BTreeMap::new();
    let mut listed: BTreeMap<String, Arc<K>> = BTreeMap::new();
    let mut events = watching::watcher(api, config).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed.insert(object.name_any(), Arc::new(object));
                continue;
            }
            Ok(Event::InitDone) => objects = core::mem::take(&mut listed),
            Ok(Event::Apply(object)) => {
                objects.insert(object.name_any(), Arc::new(object));
            }
            Ok(Event::Delete(object)) => {
                objects.remove(&object.name_any());
            }
            Err(error) => {
                tracing::warn!(error = %pgherd_telemetry::chain(&error), "a watch broke; it is begun anew");
                tokio::time::sleep(RECONNECT).await;
                continue;
            }
        }
        if let Some(news) = tell(&objects)
            && seen.send(news).await.is_err()
        {
            return;
        }
    }
}
