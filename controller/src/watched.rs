//! What is watched of one kind: everywhere, or in each of some namespaces, where a list of all is not ours to ask for.

use crate::caches::Key;
use crate::queue::Waker;
use crate::retry::Retry;
use crate::store::{ClusterOf, Store, Writer, store};
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use pgherd_proto::watching;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::watch::error::RecvError;
use tokio::task::JoinSet;

/// The namespaces that are looked after; none stands for all.
#[derive(Clone, Debug, Default)]
pub struct Scope(pub Vec<String>);

impl Scope {
    /// The ways to ask for objects of one kind.
    #[must_use]
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        if self.0.is_empty() {
            return vec![Api::all(client.clone())];
        }
        self.0.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    }
}

/// What of one kind is watched, and how.
pub struct Kind<K> {
    /// What is asked for.
    pub config: watcher::Config,
    /// Whose each object is.
    pub cluster: ClusterOf<K>,
    /// Takes away what nobody here reads: of a thousand clusters, memory is what the rest costs.
    pub trim: fn(&mut K),
}

/// The objects of one kind, as far as they are looked after.
pub struct Watched<K>(Vec<Store<K>>);

impl<K> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Nothing is watched.
impl<K> Default for Watched<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Watched<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    /// Starts the watches, which end with `tasks`; each change of an object wakes its cluster.
    pub fn start(client: &Client, scope: &Scope, kind: &Kind<K>, waker: &Waker, tasks: &mut JoinSet<()>) -> Self {
        let apis = scope.apis(client).into_iter();
        Self(apis.map(|api| watch(api, kind, waker.clone(), tasks)).collect())
    }
}

impl<K: DeserializeOwned> Watched<K> {
    /// One of them.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.0.iter().find_map(|store| store.get(namespace, name))
    }

    /// Those of one cluster.
    #[must_use]
    pub fn of(&self, cluster: &Key) -> Vec<Arc<K>> {
        self.0.iter().flat_map(|store| store.of(cluster)).collect()
    }

    /// The clusters with an object that `wanted` says yes to. Looks at all objects: not for what happens often.
    #[must_use]
    pub fn clusters_with(&self, wanted: impl Fn(&K) -> bool) -> BTreeSet<Key> {
        self.0.iter().flat_map(|store| store.clusters_with(&wanted)).collect()
    }
}

impl<K> Watched<K> {
    /// `metadata.resourceVersion` of one of them.
    #[must_use]
    pub fn version(&self, namespace: &str, name: &str) -> Option<String> {
        self.0.iter().find_map(|store| store.version(namespace, name))
    }

    /// The names of one cluster's.
    #[must_use]
    pub fn names(&self, cluster: &Key) -> BTreeSet<String> {
        self.0.iter().flat_map(|store| store.names(cluster)).collect()
    }

    /// The namespaces with something of a cluster of this name.
    #[must_use]
    pub fn namespaces(&self, cluster: &str) -> Vec<String> {
        self.0.iter().flat_map(|store| store.namespaces(cluster)).collect()
    }

    /// Every cluster that something belongs to.
    #[must_use]
    pub fn clusters(&self) -> Vec<Key> {
        self.0.iter().flat_map(Store::clusters).collect()
    }

    /// Waits until each watch has listed what there is.
    ///
    /// # Errors
    /// A watch has ended.
    pub async fn ready(&self) -> Result<(), RecvError> {
        for store in &self.0 {
            store.ready().await?;
        }
        Ok(())
    }
}

fn watch<K>(api: Api<K>, kind: &Kind<K>, waker: Waker, tasks: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = store(kind.cluster);
    let stream = watching::watcher(api, kind.config.clone()).modify(kind.trim).backoff(Retry::default());
    tasks.spawn(follow(stream, writer, waker));
    store
}

async fn follow<K>(
    stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>>,
    mut writer: Writer<K>,
    waker: Waker,
) where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                for key in writer.apply(event) {
                    waker.wake(key).await;
                }
            }
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = %pgherd_telemetry::chain(&error),
                    "a watch failed and is taken up again");
            }
        }
    }
}
